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

haproxy() {
    local p=$port
    mkdir -p html
    echo hello from behind > html/index.html
    printf 'server.document-root = "%s/html"\nserver.port = %s\nserver.bind = "127.0.0.1"\nindex-file.names = ( "index.html" )\n' "$dir" "$p" > lighttpd.conf
    cat > haproxy.cfg << END
global
    stats socket $dir/stats mode 600 level admin
    nbthread 2
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend f
    bind 127.0.0.1:$((p + 1))
    default_backend b
backend b
    option httpchk GET /
    server one 127.0.0.1:$p check inter 100
    server two 127.0.0.1:$((p + 2)) check inter 100
END
    lighttpd -D -f lighttpd.conf 2> lighttpd.err &
    local behind=$!
    wait_for "$p"
    command haproxy -W -db -f haproxy.cfg 2> haproxy.err &
    local front=$! url=http://127.0.0.1:$((p + 1))/
    wait_for $((p + 1))
    # Until the checks have found the server that is there, and the one that is not.
    until curl -sf -o page "$url" && stats | grep -q '^b,two,.*DOWN'; do sleep 0.1; done
    cat page
    wrk -c 32 -t 1 -d 2 "$url" > load
    grep -E "Socket errors|Non-2xx" load
    awk '/requests in/ { print ($1 > 100 ? "served" : "too few: " $0) }' load
    kill -USR2 $front
    curl -s --retry 9 --retry-connrefused "$url"
    kill -TERM $front
    wait $front
    kill $behind
    wait $behind
    echo "lighttpd ended with $?"
}

stats() {
    /usr/bin/python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"show stat\n")
print(s.makefile().read())' "$dir/stats"
}

etcd() {
    local url=http://127.0.0.1:$port peer=http://127.0.0.1:$((port + 1)) i
    command etcd --data-dir "$dir/etcd" --listen-client-urls "$url" --advertise-client-urls "$url" --listen-peer-urls "$peer" \
        --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer" > etcd.log 2>&1 &
    local server=$!
    wait_for "$port"
    until curl -s "$url/health" | grep -q true; do sleep 0.1; done
    for i in $(seq 30); do
        curl -s -o answer "$url/v3/kv/put" -d "{\"key\": \"$(echo -n "k$i" | base64)\", \"value\": \"$(echo -n "v$i" | base64)\"}"
    done
    curl -s "$url/v3/kv/range" -d "{\"key\": \"$(echo -n k7 | base64)\"}" | grep -o '"value":"[^"]*"'
    kill $server
    wait $server
    echo "etcd ended with $?"
}

mosquitto() {
    command mosquitto -p "$port" > mosquitto.log 2>&1 &
    local server=$! i
    wait_for "$port"
    mosquitto_sub -p "$port" -t 'a/#' -C 20 > got &
    local reader=$!
    until grep -q 'Received SUBSCRIBE\|Sending SUBACK\|New client' mosquitto.log; do sleep 0.1; done
    # Kept, so that a reader that is late gets them too.
    for i in $(seq 20); do mosquitto_pub -p "$port" -t "a/$i" -q 1 -r -m "message $i"; done
    wait $reader
    sort -V got | sha256sum
    kill $server
    wait $server
    echo "mosquitto ended with $?"
}

varnish() {
    mkdir -p html
    echo behind > html/x
    /usr/bin/python3 -m http.server -d html --bind 127.0.0.1 $((port + 1)) > /dev/null 2>&1 &
    local behind=$!
    wait_for $((port + 1))
    varnishd -F -n "$dir/varnish" -a "127.0.0.1:$port" -b "127.0.0.1:$((port + 1))" -s malloc,16m > varnish.log 2>&1 &
    local server=$!
    wait_for "$port"
    for _ in 1 2 3 4 5; do curl -s "http://127.0.0.1:$port/x"; done
    varnishstat -n "$dir/varnish" -1 | awk '/^MAIN.cache_hit / { print $2 }'
    kill $server
    wait $server
    echo "varnish ended with $?"
    kill $behind
    wait $behind
}

php() {
    cat > index.php << 'END'
<?php echo "php ", $_GET["a"] * 2, "\n"; file_put_contents("hits", "x", FILE_APPEND | LOCK_EX);
END
    PHP_CLI_SERVER_WORKERS=3 setsid php8.2 -S "127.0.0.1:$port" > php.log 2>&1 &
    local server=$! i
    wait_for "$port"
    for i in $(seq 20); do curl -s "http://127.0.0.1:$port/index.php?a=$i"; done | sha256sum
    wc -c < hits
    php8.2 -r 'for ($i = 0; $i < 4; $i++) { $h = proc_open(["sh", "-c", "cat; exit $i"], [["pipe", "r"], ["pipe", "w"]], $p); fwrite($p[0], "x$i");
        fclose($p[0]); echo stream_get_contents($p[1]), proc_close($h), "\n"; }'
    kill -- -$server
    wait $server
    echo "php ended with $?"
}

samba() {
    mkdir -p share own
    cat > smb.conf << END
[global]
 smb ports = $port
 interfaces = 127.0.0.1
 bind interfaces only = yes
 lock directory = $dir/own
 state directory = $dir/own
 cache directory = $dir/own
 pid directory = $dir/own
 private dir = $dir/own
 ncalrpc dir = $dir/own/rpc
 log file = $dir/own/log
 map to guest = Bad User
 guest account = root
 disable spoolss = yes
[share]
 path = $dir/share
 guest ok = yes
 read only = no
 vfs objects = io_uring
END
    smbd -F -s smb.conf > smbd.log 2>&1 &
    local server=$!
    wait_for "$port"
    head -c 5M /dev/urandom > a
    smbclient -s smb.conf -p "$port" -N //127.0.0.1/share -c 'put a; mkdir dir; cd dir; put a b; get b ../back; rm b; cd ..; rmdir dir; get a back2' \
        2>&1 | sed 's/ (.*//'
    cmp a back && cmp a back2 && echo same
    kill $server
    wait $server
    echo "samba ended with $?"
}

rabbitmq() {
    local bin
    bin=$(echo /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin)
    export HOME=$dir RABBITMQ_NODENAME=moat$port@localhost RABBITMQ_MNESIA_BASE=$dir/mnesia RABBITMQ_LOG_BASE=$dir/logs RABBITMQ_NODE_PORT=$port \
        RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_DIST_PORT=$((port + 1)) ERL_EPMD_PORT=$((port + 2)) RABBITMQ_PLUGINS_DIR=${bin%/*}/plugins \
        RABBITMQ_ENABLED_PLUGINS_FILE=$dir/plugins RABBITMQ_PID_FILE=$dir/pid
    echo '[].' > plugins
    "$bin/rabbitmq-server" > rabbitmq.log 2>&1 &
    local server=$!
    wait_for "$port"
    "$bin/rabbitmqctl" -q await_startup > started 2>&1
    "$bin/rabbitmqctl" -q add_vhost other
    "$bin/rabbitmqctl" -q list_vhosts name 2>&1 | sort
    "$bin/rabbitmqctl" -q stop > stopped 2>&1
    wait $server
    echo "rabbitmq ended with $?"
    epmd -kill > epmd.log 2>&1
}

for c in "${cases[@]}"; do
    echo "== $c"
    $c
done
