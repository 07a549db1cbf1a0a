#!/bin/bash
# Servers and clients on 127.0.0.1, all of them in one sandbox (or natively); prints what has to be the same every time.
#
#   servers.sh DIR PORT [CASE]...    DIR: a directory for files, PORT: the first of ten free ports
set -u
dir=$1 port=$2
shift 2
cases=("$@")
[ ${#cases[@]} -eq 0 ] && cases=(python redis nginx node)
cd "$dir" || exit 2

# wait_for PORT: until somebody listens there.
wait_for() {
    for _ in $(seq 200); do
        (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null && return 0
        sleep 0.05
    done
    echo "nobody listens on port $1" >&2
    return 1
}

python() {
    mkdir -p www
    seq 1000 > www/numbers
    /usr/bin/python3 -m http.server -d www --bind 127.0.0.1 "$port" > /dev/null 2>&1 &
    local server=$!
    wait_for "$port"
    curl -s "http://127.0.0.1:$port/numbers" | sha256sum
    curl -s -o /dev/null -w '%{http_code} %{size_download}\n' "http://127.0.0.1:$port/none"
    kill $server
    wait $server
    /usr/bin/python3 - << 'END'
import asyncio

async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
        await writer.drain()
    writer.close()

async def client(port, n):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    total = 0
    for i in range(50):
        writer.write(bytes([n]) * 100)
        total += len(await reader.readexactly(100))
    writer.close()
    return total

async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(sum(await asyncio.gather(*[client(port, n) for n in range(40)])))
    server.close()

asyncio.run(main())
END
}

redis() {
    local p=$((port + 1))
    redis-server --port $p --bind 127.0.0.1 --save "" --dir "$dir" > redis.log 2>&1 &
    local server=$!
    wait_for $p
    redis-cli -p $p set key "a value"
    redis-cli -p $p get key
    for i in 1 2 3; do redis-cli -p $p rpush list "$i"; done
    redis-cli -p $p lrange list 0 -1
    redis-benchmark -p $p -q -n 4000 -c 50 -t set,get,lpush --csv > bench 2>&1
    cut -d, -f1 < bench
    redis-cli -p $p dbsize
    redis-cli -p $p save
    redis-cli -p $p shutdown nosave
    wait $server
    echo "redis ended with $?"
}

nginx() {
    local p=$((port + 2))
    mkdir -p html logs
    seq 100 > html/index.html
    cat > nginx.conf << END
worker_processes 2;
daemon off;
pid $dir/nginx.pid;
error_log $dir/logs/error.log;
events { worker_connections 256; }
http {
    access_log off;
    sendfile on;
    client_body_temp_path $dir/logs/1;
    proxy_temp_path $dir/logs/2;
    fastcgi_temp_path $dir/logs/3;
    uwsgi_temp_path $dir/logs/4;
    scgi_temp_path $dir/logs/5;
    server { listen 127.0.0.1:$p; root $dir/html; }
}
END
    command nginx -c "$dir/nginx.conf" -p "$dir" > /dev/null 2>&1 &
    local server=$!
    wait_for $p
    curl -s "http://127.0.0.1:$p/" | sha256sum
    wrk -c 64 -t 1 -d 2 "http://127.0.0.1:$p/" > load
    grep -E "Socket errors|Non-2xx" load
    awk '/requests in/ { print ($1 > 100 ? "served" : "too few: " $0) }' load
    kill -QUIT $server
    wait $server
    echo "nginx ended with $?"
}

node() {
    local p=$((port + 3))
    cat > server.js << 'END'
const http = require('http'), fs = require('fs'), port = Number(process.argv[2]);
fs.writeFileSync('node-file', 'x'.repeat(100000));
const server = http.createServer((q, r) => fs.createReadStream('node-file').pipe(r));
server.listen(port, '127.0.0.1', () => {
    let left = 20, bytes = 0;
    for (let i = 0; i < 20; i++)
        http.get({ port, host: '127.0.0.1', path: '/' + i }, r => {
            r.on('data', d => bytes += d.length);
            r.on('end', () => { if (--left === 0) { console.log('node', bytes); server.close(); } });
        });
});
END
    command node server.js $p
    UV_USE_IO_URING=1 command node server.js $p
}

for c in "${cases[@]}"; do
    echo "== $c"
    $c
done
