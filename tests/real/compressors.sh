# compressors.sh DIR: compressors with threads of their own.
set -u
cd "$1" || exit 1
seq 1 900000 > data
xz -k -T2 --block-size=1MiB -1 data && xz -dc -T2 data.xz | cmp - data && sha256sum data.xz
zstd -q -T2 -9 -k data && zstd -dqc data.zst | cmp - data && sha256sum data.zst
zstd -q -T0 --long=20 --rsyncable -k -o data.rsync.zst data && zstd -tq data.rsync.zst && echo tested
tar cf - data | xz -T2 -0 | xz -d | tar xOf - data | cmp - data && echo piped
zstd -q -b1 -i1 -e3 data > log 2>&1; echo "bench $?"
