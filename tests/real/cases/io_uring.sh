# Programs that use io_uring.
prepare() { [ -e "$work/disk.img" ] || head -c 64M /dev/urandom > "$work/disk.img"; }
program "\`qemu-img bench -c 2000 -d 16 -i io_uring -f raw -t none\`" qemu-utils:qemu-img
compare qemu-img "sed -n /^Sending/p" qemu-img bench -c 2000 -d 16 -i io_uring -f raw -t none "$work/disk.img"
prepare() { :; }
program "\`qemu-img\` create, bench -w, convert, compare; \`qemu-io\` with io_uring, raw and qcow2" qemu-utils:qemu-io
compare qemu-io cat bash tests/real/qemu.sh "$volume"
program "\`qemu-nbd --aio=io_uring\` and \`qemu-storage-daemon\` behind \`qemu-img\`" qemu-utils:qemu-nbd qemu-system-common:qemu-storage-daemon
further qemu-nbd cat bash tests/real/nbd.sh "$volume"
program "no guest, two drives with aio=io_uring, read and written through the monitor" qemu-system-x86:qemu-system-x86_64
further qemu-system cat bash tests/real/qemu-system.sh "$volume"

# fio_case LEVEL NAME OPTIONS...: a job on files of a volume; fio's own numbers of requests, bytes and errors are compared.
fio_case() {
    local level=$1 name=$2 where=--filename=$volume/file
    shift 2
    # Several files have no name of their own.
    [[ " $*" != *" --nrfiles="* ]] || where=--directory=$volume
    $level "fio-$name" "/usr/bin/python3 tests/real/fio.py" fio --output-format=json --name=job "$where" --size=8M --bs=4k \
        --iodepth=16 --verify_state_save=0 --ioengine=io_uring --rw=randrw "$@"
}
program "io_uring: forked jobs and threads, \`--fixedbufs --registerfiles\`, \`--verify=crc32c\`" fio:fio
fio_case compare fork --numjobs=2
fio_case compare thread --thread --numjobs=2
fio_case compare fixed --fixedbufs=1 --registerfiles=1 --direct=1
fio_case compare verify --verify=crc32c --rw=randwrite
fio_case further verify-thread --thread --verify=crc32c --rw=randwrite --fixedbufs=1 --registerfiles=1
fio_case further verify-backlog --verify=crc32c --verify_backlog=64 --rw=randwrite
fio_case further verify-async --verify=sha256 --verify_async=2 --rw=randwrite --direct=1
program "io_uring: each option of the engine" fio:fio
fio_case compare sqthread_poll --sqthread_poll=1
fio_case further sqthread_poll-fixed --sqthread_poll=1 --fixedbufs=1 --registerfiles=1 --thread --numjobs=2
fio_case further sqthread_poll_cpu --sqthread_poll=1 --sqthread_poll_cpu=1
fio_case further nonvectored --nonvectored=1
fio_case further vectored --nonvectored=0 --direct=1
# Few disks can be polled; without, Linux fails where Moat polls.
native=(--hipri=0)
fio_case further hipri --hipri=1 --direct=1
fio_case further hipri-fixed --hipri=1 --direct=1 --fixedbufs=1 --registerfiles=1
fio_case further hipri-sqthread --hipri=1 --direct=1 --sqthread_poll=1
native=()
fio_case further uncached --uncached=1
fio_case further nowait --nowait=1
fio_case further nowait-cached --nowait=1 --rw=randread --invalidate=0
fio_case further force_async --force_async=4
fio_case further force_async-all --force_async=1 --direct=1 --numjobs=2
fio_case further cmdprio --cmdprio_percentage=50 --cmdprio_class=2 --cmdprio=3 --direct=1
fio_case further cmdprio_bssplit --cmdprio_bssplit=4k/50:8k/0 --bsrange=4k-8k --direct=1
fio_case further cmd_type --ioengine=io_uring_cmd --cmd_type=nvme
fio_case further batch --iodepth_batch_submit=8 --iodepth_batch_complete_min=4 --iodepth_batch_complete_max=16
fio_case further rate --rate_iops=2000 --size=2M --rw=randread
fio_case further sync --sync=1 --size=1M --rw=write
fio_case further fsync --fsync=8 --rw=write
fio_case further fdatasync --fdatasync=8 --rw=randwrite
fio_case further sync_file_range --sync_file_range=write:16 --rw=write
fio_case further trim --rw=randtrim
fio_case further trimwrite --rw=trimwrite
fio_case further memory-mmap --mem=mmapshared --direct=1
fio_case further memory-file --mem=mmap:"$volume/memory"
fio_case further memory-shm --mem=shm --fixedbufs=1
fio_case further large --bs=1M --size=32M --iodepth=4
fio_case further unaligned --bs=3001 --bs_unaligned=1
fio_case further files --nrfiles=16 --registerfiles=1
fio_case further openfiles --nrfiles=32 --openfiles=4 --file_service_type=random --rw=randread
fio_case further many --numjobs=8 --size=2M
fio_case further rate-poisson --rate_iops=1000 --rate_process=poisson --numjobs=3 --size=2M --rw=read
fio_case further time --runtime=3 --time_based --rw=randread
program "the io-uring class, and file classes on a volume" stress-ng:stress-ng
further stress-io-uring "grep -ohE (un)?successful.run.completed" stress-ng --stdout --io-uring 2 --io-uring-ops 5000 --temp-path "$volume"
program "file work and streams with \`UV_USE_IO_URING=1\`" nodejs:node
compare node-files cat env UV_USE_IO_URING=1 node tests/real/files.js "$volume"
further node-files-plain cat node tests/real/files.js "$volume"
program_npm "the client's ring against a server that hangs up" tigerbeetle-node@0.17.9
further tigerbeetle cat node tests/real/tigerbeetle.js @PORT@ "$modules"
