# mariadb.sh DIR PORT: a server that does its I/O through io_uring (innodb_use_native_aio): tables, clients, a crash, and recovery.
set -u
cd "$1" || exit 1
dir=$PWD data=$PWD/data
mkdir -p data/mysql
client() { mariadb --no-defaults -S "$dir/socket" -u root -N "$@"; }
options=(--no-defaults --user=root --datadir="$data" --socket="$dir/socket" --port="$2" --bind-address=127.0.0.1 --lc-messages-dir=/usr/share/mysql
    --innodb-use-native-aio=1 --innodb-buffer-pool-size=32M --innodb-log-file-size=8M --innodb-flush-method=O_DIRECT --pid-file="$dir/pid" --log-error="$dir/log.err")
start() {
    mariadbd "${options[@]}" --skip-grant-tables & server=$!
    for _ in $(seq 600); do client -e 'select 1' > ping.log 2>&1 && break; sleep 0.1; done
    client -e "select @@innodb_use_native_aio"
}
start
client -e "create database d; create table d.t (id int auto_increment primary key, n int, s varchar(200), key (n)) engine=innodb"
for c in 1 2 3 4; do
    for i in $(seq 20); do echo "begin; insert into d.t (n, s) select seq, repeat(char(97 + seq % 26), 150) from d_seq where seq <= 100; commit;"; done |
        sed 's/d_seq/(select a.n * 10 + b.n + 1 as seq from (select 0 n union select 1 union select 2 union select 3 union select 4 union select 5 union select 6 union select 7 union select 8 union select 9) a, (select 0 n union select 1 union select 2 union select 3 union select 4 union select 5 union select 6 union select 7 union select 8 union select 9) b) q/' |
        client d & clients[c]=$!
done
wait "${clients[@]}"
client -e "select count(*), sum(n), count(distinct s) from d.t; update d.t set n = n + 1 where n % 3 = 0; select sum(n) from d.t; checksum table d.t" | head -n 2
client -e "create table d.a (n int) engine=aria; insert into d.a select n from d.t; select count(*), max(n) from d.a; check table d.t, d.a"
client -h 127.0.0.1 -P "$2" --protocol=tcp -e "select sum(length(s)) from d.t"
kill -9 $server; wait $server; echo "crash $?"
start
client -e "select count(*), sum(n) from d.t; check table d.t; truncate d.a; alter table d.t add column x int default 7; select sum(x) from d.t; optimize table d.t" | tail -n 5
client -e shutdown; wait $server; echo "shutdown $?"
grep -ciE "io_uring.*(fail|disabled|not)|assert|corrupt" log.err
tail -n 5 log.err >&2
