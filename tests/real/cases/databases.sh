# Database servers and libraries.
program "10.11 with io_uring (innodb_use_native_aio): clients, aria, a crash, recovery" mariadb-server-core:mariadbd mariadb-client-core:mariadb
limit=600
further mariadb cat bash tests/real/mariadb.sh "$volume" @PORT@
limit=120
program "initdb, pgbench with 4 clients, parallel queries, pg_dump, a crash, recovery" postgresql-15:/usr/lib/postgresql/15/bin/postgres postgresql-client-15:/usr/lib/postgresql/15/bin/psql
further postgresql cat bash tests/real/postgres.sh "$volume" @PORT@
program "RocksDB's \`db_bench\`: fills, MultiGet with async I/O, compaction, checked by \`ldb\`" rocksdb-tools:db_bench
further rocksdb cat bash tests/real/rocksdb.sh "$volume"
program "a script through the shell: journal, WAL, two writers, backup" sqlite3:sqlite3
compare sqlite3 cat bash tests/real/sqlite.sh "$volume"
program "plugins file and memory, filters, behind \`qemu-img\` and \`qemu-io\`" nbdkit:nbdkit qemu-utils:qemu-img
further nbdkit cat bash tests/real/nbdkit.sh "$volume"
