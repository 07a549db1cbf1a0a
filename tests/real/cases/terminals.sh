# Programs that make terminals, watch files, or use native asynchronous I/O and POSIX message queues.
program "two windows, keys, job control, a resize" tmux:tmux
compare tmux cat bash tests/real/tmux.sh "$volume"
program "the pty module: cooked and raw, window size, hangup" python3:/usr/bin/python3
compare pty cat /usr/bin/python3 tests/real/pseudo.py
program "a shell that asks for a password, ^C, the exit code" expect:expect
further expect cat expect tests/real/session.exp
program "\`script\`: a session's output and exit code" bsdutils:script
compare script cat script -qefc 'tty -s && echo terminal; stty -a | grep -c icanon; exit 9' /dev/null
program "\`inotifywait -m -r\` and \`tail -f\`" inotify-tools:inotifywait
further inotify cat bash tests/real/watch.sh "$volume"
program "libaio: buffered, direct, fsync, several jobs" fio:fio
aio_case() {
    local name=$1
    shift
    compare "aio-$name" "/usr/bin/python3 tests/real/fio.py" fio --output-format=json --name=job --filename="$volume/file" --size=8M --bs=4k \
        --iodepth=16 --verify_state_save=0 --ioengine=libaio --rw=randrw "$@"
}
aio_case buffered
aio_case direct --direct=1 --numjobs=2
aio_case reaping --direct=1 --userspace_reap=1
aio_case fsync --fsync=8 --rw=randwrite
aio_case verify --direct=1 --rw=randwrite --verify=crc32c
program "\`aio=native\`, raw" qemu-utils:qemu-io
prepare() { [ -e "$work/aio.img" ] || head -c 16M /dev/zero > "$work/aio.img"; }
compare qemu-aio "sed s/[0-9.]*.sec.*//" qemu-io -t none -i native -f raw -c 'write -P 5 0 1M' -c 'aio_write -P 6 1M 64k' -c aio_flush -c 'read -P 5 0 1M' \
    -c 'read -P 6 1M 64k' "$work/aio.img"
prepare() { :; }
program "pty, inotify, aio-linux, mq; with --verify" stress-ng:stress-ng
kernel_stress() { local name=$1; shift; further "stress-$name" "grep -ohE passed:.*|failed:.*|skipped:.*" stress-ng --stdout --seed 1 --verify "$@"; }
kernel_stress pty --pty 1 --pty-ops 20 --pty-max 16
kernel_stress inotify --inotify 1 --inotify-ops 30 --temp-path "$volume"
kernel_stress aio-linux --aiol 1 --aiol-ops 2000 --temp-path "$volume"
kernel_stress mq --mq 1 --mq-ops 2000
