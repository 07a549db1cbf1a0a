# qemu.sh DIR: images by qemu-img and qemu-io with the io_uring engine.
set -u
cd "$1" || exit 1
qemu-img create -q -f raw raw.img 32M
qemu-img create -q -f qcow2 base.qcow2 32M
for cache in none writeback directsync; do
    qemu-io -f raw -i io_uring -t $cache -c 'write -P 0xa5 0 1M' -c 'write -z 2M 64k' -c 'aio_write -P 7 3M 256k' -c 'aio_read -P 0xa5 0 1M' \
        -c 'discard 4M 64k' -c flush -c 'read -P 7 3M 256k' -c 'read -P 0 2M 64k' -c aio_flush raw.img 2>&1 | sed 's/; [0-9:.]* sec.*//' | sort
done
qemu-io -f qcow2 -i io_uring -c 'writev -P 1 0 64k 128k 4k' -c 'read -P 1 0 64k' -c 'write -P 9 8M 1M' -c 'read -P 9 8M 1M' \
    base.qcow2 2>&1 | sed 's/; [0-9:.]* sec.*//'
qemu-io -f raw -i io_uring -c 'read 1G 4k' -c 'write -P 1 31M 2M' raw.img 2>&1
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2
for i in 1 2 3 4; do qemu-io -f qcow2 -i io_uring -c "write -P $i ${i}M 300k" top.qcow2 > log 2>&1 || cat log; done
qemu-img bench -w -c 500 -d 8 -i io_uring -f qcow2 -s 64k top.qcow2 | sed -n /^Sending/p
qemu-img bench -w -c 500 -d 32 -i io_uring -f raw -t none --flush-interval=50 raw.img | sed -n /^Sending/p
qemu-img convert -O raw top.qcow2 flat.img && qemu-img compare -f qcow2 -F raw top.qcow2 flat.img
qemu-img check -q top.qcow2 && qemu-img commit -q top.qcow2 && qemu-img check base.qcow2 | head -n 1
sha256sum flat.img raw.img
