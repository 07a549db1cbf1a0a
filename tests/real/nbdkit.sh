# nbdkit.sh DIR: servers on sockets in DIR, and qemu's tools as clients.
set -u
cd "$1" || exit 1
seq 1 400000 > plain && truncate -s 8M plain
serve() { nbdkit -f -U "$PWD/socket" "$@" & server=$!; for _ in $(seq 200); do [ -S socket ] && return; sleep 0.05; done; echo "no socket"; }
finish() { kill $server; wait $server; echo "nbdkit ended with $?"; rm -f socket; }
uri="nbd+unix:///?socket=$PWD/socket"
serve file plain
qemu-img convert -f raw -O raw "$uri" copy && cmp plain copy && echo copied
qemu-io -f raw -c 'write -P 1 1M 1M' -c 'write -z 3M 64k' -c flush -c 'read -P 1 1M 1M' "$uri" | sed 's/; [0-9:.]* sec.*//'
finish
serve --threads=4 --filter=delay memory 16M rdelay=1ms wdelay=1ms
qemu-img bench -w -c 500 -d 32 -f raw "$uri" | sed -n /^Sending/p
qemu-img bench -c 500 -d 32 -f raw "$uri" | sed -n /^Sending/p
finish
serve --filter=cow file plain
qemu-img convert -f raw -O qcow2 "$uri" copy.qcow2 && qemu-img compare -f raw -F qcow2 plain copy.qcow2
finish
serve pattern 4M
qemu-img convert -f raw -O raw "$uri" pattern && sha256sum pattern
finish
