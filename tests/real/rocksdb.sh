# rocksdb.sh DIR: db_bench without its numbers; ldb reads what it wrote.
set -u
cd "$1" || exit 1
bench() { db_bench --db="$PWD/db" --num=20000 --seed=1 --threads=2 --compression_type=none --write_buffer_size=1000000 --target_file_size_base=500000 "$@" 2>&1; }
bench --benchmarks=fillrandom,overwrite,readrandom,readseq,compact > log; echo "status $?"
grep -oE "^(fillrandom|overwrite|readrandom|readseq|compact) +:" log
bench --use_existing_db=1 --benchmarks=multireadrandom,seekrandom --batch_size=32 --multiread_batched=1 --async_io=1 --use_direct_reads=1 > log; echo "status $?"
grep -oE "^(multireadrandom|seekrandom) +:|\([0-9]+ of [0-9]+ found\)" log | head -n 1
ldb --db="$PWD/db" checkconsistency
ldb --db="$PWD/db" scan --hex --max_keys=2000 | wc -l
for i in 1 2 3; do ldb --db="$PWD/other" --create_if_missing put "k$i" "v$i"; done
ldb --db="$PWD/other" scan
