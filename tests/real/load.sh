#!/bin/bash
# load.sh run LOAD DIR: works in DIR, without end, until a file DIR/stop is there: then 7.
# load.sh check LOAD DIR: afterwards: everything in DIR is as the programs may have left it when they were killed.
set -u
action=$1 load=$2
cd "$3" || exit 2
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b

run_fio() {
    fio --name=job --filename=file --size=4M --bs=4k --iodepth=16 --ioengine=io_uring --rw=randrw --numjobs=2 --time_based --runtime=1000 \
        --registerfiles=1 --buffer_pattern=0x6d6f6174 --output=fio.log
}
# Pages are written whole.
check_fio() {
    [ ! -e file ] || /usr/bin/python3 -c '
import sys
data = open("file", "rb").read()
good = (bytes(4096), b"\x6d\x6f\x61\x74" * 1024, b"\x74\x61\x6f\x6d" * 1024)
sys.exit(any(data[i:i + 4096] not in good for i in range(0, len(data), 4096)))' && only file fio.log 'local-*'
}

run_git() {
    local i=0 j
    git init -q -b main repo && cd repo || exit 1
    while :; do
        i=$((i + 1))
        for j in $(seq 20); do echo "$i $j" > "f$((i * j % 50))"; done
        git add . && git commit -q -m "number $i"
        [ $((i % 5)) -eq 0 ] && git gc -q
    done
}
check_git() { only repo; [ ! -e repo/.git/refs/heads/main ] || git -C repo fsck --no-progress; }

run_make() {
    local i
    for i in 1 2 3 4 5 6; do echo "int f$i(int x) { return x * $i; }" > f$i.c; done
    echo 'int f1(int); int main(void) { return f1(0); }' > main.c
    printf 'program: main.o f1.o f2.o f3.o f4.o f5.o f6.o\n\t$(CC) -o $@ $^\n%%.o: %%.c\n\t$(CC) -O2 -c -o $@ $<\nclean:\n\trm -f program *.o\n' > Makefile
    while :; do make -s -j2 && ./program && make -s clean; done
}
check_make() { only Makefile '*.c' '*.o' program; }

run_python() {
    /usr/bin/python3 -c '
import multiprocessing, os
def replace(n):
    with open(f"new-{n}", "w") as f:
        f.write(f"{n}\n" * 5000)
    os.rename(f"new-{n}", f"whole-{n % 4}")
    return n * n
with multiprocessing.Pool(3) as pool:
    while True:
        sum(pool.map(replace, range(30)))
    '
}
# What was renamed into place had been written before.
check_python() {
    only 'new-*' 'whole-*'
    local f
    for f in whole-*; do [ ! -e "$f" ] || [ "$(wc -l < "$f")" -eq 5000 ] && [ "$(sort -u "$f" 2> /dev/null | wc -l)" -le 1 ] || [ ! -e "$f" ] || return 1; done
}

run_redis() {
    redis-server --port 7000 --bind 127.0.0.1 --appendonly yes --dir "$PWD" > redis.log 2>&1 &
    while :; do redis-benchmark -p 7000 -q -n 5000 -c 20 -t set,get,lpush --csv > bench.log 2>&1 || sleep 0.05; done
}
check_redis() { only redis.log bench.log dump.rdb appendonlydir 'temp-*.rdb' 'temp-*.aof'; }

run_sqlite() {
    /usr/bin/python3 -c '
import sqlite3
base = sqlite3.connect("data.db")
base.execute("create table t (a int, b text)")
while True:
    with base:
        base.executemany("insert into t values (?, ?)", [(n, "x" * n) for n in range(100)])
    with base:
        base.execute("delete from t where a % 3 = 0")
    '
}
# Whole transactions only.
check_sqlite() {
    [ ! -e data.db ] || /usr/bin/python3 -c '
import sqlite3, sys
base = sqlite3.connect("data.db")
sys.exit(base.execute("pragma integrity_check").fetchone()[0] != "ok")' && only data.db 'data.db-*'
}

# only PATTERN...: there is nothing else in this directory.
only() {
    local options=() p
    for p in "$@" stop; do options+=(! -name "$p"); done
    [ -z "$(find . -mindepth 1 -maxdepth 1 "${options[@]}" | tee /dev/stderr)" ]
}

if [ "$action" = check ]; then
    "check_$load"
    exit
fi
mkfifo /dev/shm/never
"run_$load" > /dev/null 2>&1 &
while [ ! -e stop ]; do read -rt 0.05 _ <> /dev/shm/never; done
kill $! 2> /dev/null
exit 7
