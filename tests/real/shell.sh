# What shell scripts do with processes: pipes, substitutions, subshells, traps, background jobs, here documents.
set -u
dir=$(mktemp -d) && cd "$dir" || exit 1
seq 1 1000 | grep 7 | sort -rn | head -n 5
echo "sum: $(seq 1 100 | paste -sd+ | bc 2> /dev/null || seq 1 100 | awk '{ s += $1 } END { print s }')"
(exit 3); echo "status $?"
false | true; echo "pipe ${PIPESTATUS[*]}"
for i in 1 2 3 4 5; do (sleep 0.0$i; exit $i) & done
total=0
for job in $(jobs -p); do wait "$job"; total=$((total + $?)); done
echo "jobs $total"
trap 'echo caught' USR1
kill -USR1 $$
sleep 100 & pid=$!
kill $pid; wait $pid; echo "killed $?"
coproc cat
echo through the coprocess >&"${COPROC[1]}"
read -r line <&"${COPROC[0]}"; echo "$line"
exec {COPROC[1]}>&-
wait
cat << END | tr a-z A-Z
here document $((6 * 7))
END
diff <(echo a; echo b) <(echo a; echo c)
mkfifo fifo
(echo fifo > fifo) &
cat fifo
wait
find /etc -maxdepth 1 -name 'host*' 2> /dev/null | sort | xargs -n 1 basename
tar cf - /etc/passwd 2> /dev/null | gzip | gzip -d | tar tf -
timeout 0.2 sleep 10; echo "timeout $?"
umask
x=$(bash -c 'echo $PPID'); [ "$x" = $$ ] && echo "parent right"
nice -n 5 nice
( trap 'echo bye' EXIT; exit 9 ); echo $?
cd / && rm -r "$dir"
