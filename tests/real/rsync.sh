# rsync.sh DIR: a copy, a change, a copy again; two processes talk over a socket pair.
set -u
cd "$1" || exit 1
mkdir from
for i in $(seq 200); do mkdir -p from/d$((i % 9)); seq "$i" 2000 > from/d$((i % 9))/f"$i"; done
ln -s d1 from/link
rsync -a --stats from/ to | grep -E '^(Number of|Total file size)'
seq 5000 > from/d1/f1 && rm from/d2/f2 && : > from/new
rsync -rlpgoDci --delete --no-whole-file from/ to
diff -r from to && echo same
