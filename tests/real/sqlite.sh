# sqlite.sh DIR: the shell of sqlite3 on files in DIR.
set -u
cd "$1" || exit 1
for mode in delete truncate persist wal; do
    sqlite3 $mode.db "pragma journal_mode=$mode; create table t (a integer primary key, b text);
        with recursive n(x) as (select 1 union all select x + 1 from n where x < 5000) insert into t select x, hex(x * 7919) from n;
        create index i on t (b); select count(*), sum(length(b)) from t;"
    for w in 1 2 3; do
        for k in $(seq 15); do echo "begin immediate; update t set b = b || '$w' where a % 15 = $k - 1; commit;"; done | sqlite3 -cmd '.timeout 60000' $mode.db & writers[w]=$!
    done
    wait "${writers[@]}"
    sqlite3 $mode.db "select count(*), sum(length(b)) from t; pragma integrity_check; delete from t where a > 1000; vacuum; select count(*) from t"
    sqlite3 $mode.db ".backup $mode.copy"
    cmp <(sqlite3 $mode.db .dump) <(sqlite3 $mode.copy .dump) && echo copied
    sqlite3 $mode.db "begin exclusive" ".shell sqlite3 $mode.db 'insert into t values (0, 0)' 2>&1"
done
sqlite3 -cmd 'pragma mmap_size=100000000' wal.db "select sum(a) from t"
