# postgres.sh DIR PORT: a cluster made, a server, pgbench with several clients, a crash, and recovery.
set -u
cd "$1" || exit 1
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
data=$PWD/data
run() { setpriv --reuid 65534 --regid 65534 --clear-groups -- env -i PATH="$bin:$PATH" HOME="$PWD" LC_ALL=C.UTF-8 PGHOST="$PWD" PGPORT="$port" "$@"; }
port=$2
sql() { run psql -qAtX -d postgres -c "$1"; }
run initdb -D "$data" -U nobody -A trust > init.log 2>&1
echo "initdb $?"
start() { run pg_ctl -D "$data" -w -t 60 -l "$PWD/server.log" -o "-c listen_addresses=127.0.0.1 -c unix_socket_directories=$PWD -c port=$port" start > start.log 2>&1; echo "start $?"; }
start
run pgbench -i -s 1 -q postgres > bench.log 2>&1; echo "pgbench -i $?"
run pgbench -c 4 -j 2 -t 50 postgres 2>&1 | grep -E "^(number of transactions|number of failed)"
run pgbench -n -h 127.0.0.1 -C -c 2 -t 5 -S postgres 2>&1 | grep -E "^(number of transactions|number of failed)"
sql "select count(*), sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts"
sql "create table t as select n, md5(n::text) m from generate_series(1, 20000) n; create index on t (m); analyze t"
sql "set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0; select sum(length(m)), count(distinct m) from t"
sql "select count(*) from t a join t b using (m)"
sql "listen x; notify x, 'told'" > notify.log 2>&1; grep -c told notify.log
run pg_dump -t t postgres | grep -vE '^(--|.(un)?restrict)' | sha256sum
run pg_ctl -D "$data" -m immediate -w stop > stop.log 2>&1; echo "crash $?"
start
sql "select count(*), min(m) from t"
sql vacuum
run pg_ctl -D "$data" -m fast -w stop > stop.log 2>&1; echo "stop $?"
run pg_controldata "$data" | grep state
