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
program "before \`lighttpd\`: checks, a load of 32 connections, a reload" haproxy:haproxy lighttpd:lighttpd wrk:wrk curl:curl
server haproxy further
program "8 clients of 500 keys, 4 threads" memcached:memcached
further memcached cat /usr/bin/python3 tests/real/memcached.py @PORT@
program "keys put and read over HTTP" etcd-server:etcd curl:curl
server etcd further
program "20 messages to a subscriber" mosquitto:mosquitto mosquitto-clients:mosquitto_pub
server mosquitto further
program "a cache before a web server" varnish:varnishd curl:curl gcc:gcc
server varnish further
program "its web server with workers, child processes" php8.2-cli:php8.2 curl:curl
server php further
program "\`smbd\` with vfs_io_uring, \`smbclient\`" samba:smbd smbclient:smbclient samba-vfs-modules:/usr/lib/x86_64-linux-gnu/samba/vfs/io_uring.so
server samba further
limit=600
program "the server and its command, on Erlang" rabbitmq-server:/usr/lib/rabbitmq/bin/rabbitmq-server
server rabbitmq further
