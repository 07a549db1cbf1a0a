# busybox.sh PORT: run by busybox's own shell, every tool busybox's.
set -u
dir=$(mktemp -d) && cd "$dir" || exit 1
b=busybox
$b seq 1 500 > numbers
$b awk '{ s += $1 } END { print s }' numbers
$b sed -n '/7$/p' numbers | $b sort -rn | $b head -n 3
$b grep -c 1 numbers; $b wc -l < numbers; $b md5sum numbers
for i in $($b seq 50); do $b mkdir -p tree/d$((i % 5)); echo "$i" > tree/d$((i % 5))/f"$i"; done
$b find tree -name 'f*7' -exec $b cat {} \; | $b sort -n | $b tr '\n' ' '; echo
$b tar cf - tree | $b gzip | $b gunzip | $b tar tf - | $b wc -l
$b cp -a tree copy && $b diff -r tree copy && echo same
$b find tree -print0 | $b xargs -0 $b stat -c '%a %F' | $b sort | $b uniq -c
echo '6 7 * p' | $b dc
printf 'two\n' > text && $b vi -c ':s/two/three/' -c ':wq' text < /dev/null > /dev/null 2>&1; $b cat text
( $b sleep 0.1; echo background ) & wait
$b timeout 1 $b sleep 10; echo "timeout $?"
trap 'echo caught' USR1; kill -USR1 $$
$b mkfifo fifo; ( echo through the fifo > fifo ) & $b cat fifo
$b httpd -f -p "127.0.0.1:$1" -h "$dir" & server=$!
for i in 1 2 3 4 5 6 7 8 9 10; do $b wget -q -O page "http://127.0.0.1:$1/numbers" 2> /dev/null && break; $b sleep 0.2; done
$b cmp page numbers && echo "fetched"
kill $server; wait $server 2> /dev/null
$b dd if=/dev/zero bs=1k count=100 2> /dev/null | $b sha256sum
$b ps > /dev/null && $b id -u > /dev/null && $b uname -s
$b env -i A=b $b env
$b find . -type f | $b wc -l
cd / && $b rm -r "$dir"
