# qemu-system.sh DIR: a machine that never starts, with two drives behind io_uring, one of them in a thread of its own.
set -u
cd "$1" || exit 1
qemu-img create -q -f raw a.img 16M
qemu-img create -q -f qcow2 b.img 16M
qemu-system-x86_64 -S -M none -accel tcg -display none -nodefaults -monitor stdio -object iothread,id=t \
    -drive if=none,id=a,file=a.img,format=raw,aio=io_uring,cache=none \
    -drive if=none,id=b,file=b.img,format=qcow2,aio=io_uring < <(
    for d in a b; do
        echo "qemu-io $d \"write -P 5 0 1M\""
        echo "qemu-io $d \"aio_write -P 6 1M 1M\""
        echo "qemu-io $d \"read -P 5 0 1M\""
        echo "qemu-io $d \"flush\""
    done
    sleep 1
    echo "qemu-io a \"read -P 6 1M 1M\""
    echo "info block"
    echo quit
) 2>&1 | tr -d '\r\033' | grep -oE '(read|wrote) [0-9]+/[0-9]+ bytes at offset [0-9]+|Pattern|verification failed.*|^[ab]: .*|Cache mode.*' | sort
echo "status ${PIPESTATUS[0]}"
qemu-img check -q b.img && echo whole
sha256sum a.img
