# Shells, tool chains and what else starts processes.
program "json, threads and files" python3:/usr/bin/python3
compare python cat /usr/bin/python3 tests/real/work.py
program "subprocess, multiprocessing, os.fork, signals" python3:/usr/bin/python3
compare python-processes cat /usr/bin/python3 tests/real/processes.py
program "asyncio and sqlite3, by threads and by processes" python3:/usr/bin/python3
compare python-modules cat /usr/bin/python3 tests/real/modules.py "$volume"
program "pipes, subshells, traps, jobs, coprocesses, process substitution" bash:bash
compare shell cat bash tests/real/shell.sh
program "the shell, find, sed, awk, tar, vi, dc and a web server of its own" busybox:busybox
compare busybox cat busybox sh tests/real/busybox.sh @PORT@
program "processes, pipes, sockets, locks, sorting, \`-i\` on files" perl:perl
compare perl cat perl tests/real/work.pl "$volume"
program "a C program of seven files with \`make -j2\`, and run" make:make gcc:gcc
compare build cat bash tests/real/build.sh
program "init, commits, branches, merge, log, gc, fsck, clone; 1,000 files" git:git
compare git cat bash tests/real/git.sh 200
further git-1000 cat bash tests/real/git.sh 1000

# The classes that need no device; a stressor that verifies what it does says so in its exit code.
stress() { local name=$1; shift; further "stress-$name" "grep -ohE (un)?successful.run.completed" stress-ng --stdout --seed 1 --verify "$@"; }
program "fork, vfork, clone, exec, kill, wait, zombie; with --verify" stress-ng:stress-ng
stress fork --fork 2 --fork-ops 400
stress vfork --vfork 1 --vfork-ops 200
stress clone --clone 1 --clone-ops 200
stress exec --exec 1 --exec-ops 100
stress kill --kill 1 --kill-ops 2000
stress wait --wait 1 --wait-ops 500
stress zombie --zombie 1 --zombie-ops 200
stress daemon --daemon 1 --daemon-ops 50
program "pipe, futex, mutex, semaphores, message queues, shared memory" stress-ng:stress-ng
stress pipe --pipe 2 --pipe-ops 50000
stress futex --futex 2 --futex-ops 20000
stress mutex --mutex 1 --mutex-ops 20000
stress sem-sysv --sem-sysv 1 --sem-sysv-ops 5000
stress msg --msg 1 --msg-ops 20000
stress shm --shm 1 --shm-ops 50
stress shm-sysv --shm-sysv 1 --shm-sysv-ops 20
program "signal, sigsegv, sigq, sigsuspend, sigpending, itimer, timer, timerfd" stress-ng:stress-ng
stress signal --signal 1 --signal-ops 20000
stress sigsegv --sigsegv 1 --sigsegv-ops 2000
stress sigq --sigq 1 --sigq-ops 5000
stress sigsuspend --sigsuspend 1 --sigsuspend-ops 5000
stress sigpending --sigpending 1 --sigpending-ops 5000
stress itimer --itimer 1 --itimer-ops 500 --itimer-freq 1000
stress timer --timer 1 --timer-ops 500 --timer-freq 1000
stress timerfd --timerfd 1 --timerfd-ops 500 --timerfd-freq 1000
program "sock, sockpair, sockabuse, udp, sockfd, epoll, poll, eventfd" stress-ng:stress-ng
stress sock --sock 2 --sock-ops 500 --sock-port @PORT@
stress sockpair --sockpair 1 --sockpair-ops 2000
stress sockabuse --sockabuse 1 --sockabuse-ops 20 --sockabuse-port @PORT@
stress udp --udp 1 --udp-ops 2000 --udp-port @PORT@
stress sockfd --sockfd 1 --sockfd-ops 2000 --sockfd-port @PORT@
stress epoll --epoll 1 --epoll-ops 500 --epoll-port @PORT@
stress poll --poll 1 --poll-ops 2000
stress eventfd --eventfd 1 --eventfd-ops 5000
program "mmap, mremap, mprotect, brk, madvise, dentry, dir, rename, link, locks" stress-ng:stress-ng
stress mmap --mmap 1 --mmap-ops 20 --mmap-bytes 16M
stress mremap --mremap 1 --mremap-ops 50 --mremap-bytes 4M
stress mprotect --mprotect 1 --mprotect-ops 500
stress brk --brk 1 --brk-ops 5000
stress madvise --madvise 1 --madvise-ops 20
stress dentry --dentry 1 --dentry-ops 2000 --temp-path "$volume"
stress dir --dir 1 --dir-ops 1000 --temp-path "$volume"
stress rename --rename 1 --rename-ops 2000 --temp-path "$volume"
stress link --link 1 --link-ops 10 --temp-path "$volume"
stress lockf --lockf 1 --lockf-ops 5000 --temp-path "$volume"
stress flock --flock 1 --flock-ops 5000 --temp-path "$volume"
stress fcntl --fcntl 1 --fcntl-ops 500 --temp-path "$volume"

program "an interactive shell on a terminal: ^C, ^Z, jobs, fg" bash:bash
outside=(/usr/bin/python3 tests/real/terminal.py)
compare terminal cat bash --norc -i
outside=()
