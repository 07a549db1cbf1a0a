# tree.sh DIR: a tree with links, holes and odd modes goes through tar, gzip, and cpio's pipes, and comes back the same.
set -u
cd "$1" || exit 1
listing() { (cd "$1" && find . -printf '%p %y %m %s %l\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum) | sha256sum; }
mkdir tree && cd tree || exit 1
for i in $(seq 300); do mkdir -p d$((i % 11))/e$((i % 3)); seq "$i" > d$((i % 11))/e$((i % 3))/f"$i"; done
ln -s d1/e1 link && ln d1/e1/f1 hard && truncate -s 1M hole && chmod 4751 d1/e1/f1 && mkfifo fifo && : > "a name with spaces"
cd ..
listing tree
tar czf tree.tar.gz tree && mkdir one && tar xzpf tree.tar.gz -C one && listing one/tree
tar cf - -S tree | gzip -9 | gzip -d > sparse.tar && mkdir two && tar xpf sparse.tar -C two && listing two/tree
tar tzf tree.tar.gz | wc -l
tar --delete -f sparse.tar tree/hard && tar tf sparse.tar | grep -c .
gzip -t tree.tar.gz && gzip -l sparse.tar 2>&1 | head -n 1
cp -a tree three && listing three
gzip -k hole 2>&1 || echo "no hole here"
rm -r tree one two three && ls
