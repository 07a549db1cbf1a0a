# nbd.sh DIR: network block devices over sockets in DIR; the images behind them are used through io_uring.
set -u
cd "$1" || exit 1
waited() { for _ in $(seq 200); do [ -S "$1" ] && return; sleep 0.05; done; echo "no $1"; }
head -c 16M /dev/zero | tr '\0' x > raw.img
qemu-nbd --aio=io_uring -n -f raw -t -k "$PWD/socket" raw.img & server=$!
waited socket
qemu-io -f raw -c 'read -P 0x78 0 16M' -c 'write -P 3 1M 1M' -c flush -c 'read -P 3 1M 1M' "nbd+unix:///?socket=$PWD/socket" | sed 's/; [0-9].*//'
qemu-img bench -c 1000 -d 16 -f raw "nbd+unix:///?socket=$PWD/socket" | sed -n /^Sending/p
qemu-img convert -f raw -O raw "nbd+unix:///?socket=$PWD/socket" copy.img && sha256sum copy.img
kill $server; wait $server; echo "qemu-nbd ended with $?"
rm -f socket
qemu-storage-daemon --blockdev driver=file,node-name=f,filename=raw.img,aio=io_uring,cache.direct=on \
    --blockdev driver=raw,node-name=r,file=f --nbd-server addr.type=unix,addr.path=socket \
    --export type=nbd,id=e,node-name=r,writable=on & server=$!
waited socket
for i in 1 2 3 4; do
    qemu-io -f raw -c "write -P $i ${i}M 1M" -c "read -P $i ${i}M 1M" "nbd+unix:///r?socket=$PWD/socket" | sed 's/; [0-9].*//'
done
kill $server; wait $server; echo "qemu-storage-daemon ended with $?"
sha256sum raw.img
