# Servers and clients on loopback, all of them in one sandbox: on the host's network, and on the sandbox's own.
networks=(host none)
server() { local name=$1; shift; "$@" "server-$name" cat bash tests/real/servers.sh "$volume" @PORT@ "$name"; }
program "http.server with \`curl\`, asyncio echo server" python3:/usr/bin/python3 curl:curl
server python compare
program "\`redis-server\` with \`redis-benchmark\` of 50 clients, lists, save" redis-server:redis-server redis-tools:redis-benchmark
server redis compare
program "a load of 64 connections by \`wrk\`, \`curl\`" nginx-light:nginx wrk:wrk curl:curl
server nginx compare
program "HTTP server and file work, with and without \`UV_USE_IO_URING=1\`" nodejs:node
server node compare
networks=(host)
