# Runs natively and in Moat with the same output: inotifywait and tail -f see what others do to files.
# Usage: watch.sh DIR
cd "$1" || exit 1
mkdir d
inotifywait -q -m -r --format '%w%f %e' d > events &
watcher=$!
shown() {
    local i
    for ((i = 0; i < 300; i++)); do grep -qF "$1" "$2" && return; sleep 0.1; done
    echo "never: $1"
}
# It watches once the first event shows.
: > events
until grep -q . events; do : > d/start; sleep 0.1; done
shown 'd/start CLOSE_WRITE' events
: > events.before; mv d/start d/begun
shown 'd/begun MOVED_TO' events
echo one > d/a
mv d/a d/b
chmod 600 d/b
mkdir d/sub
shown 'd/sub CREATE,ISDIR' events
sleep 0.3
echo two > d/sub/c
rm -r d/sub d/b
shown 'd/sub DELETE,ISDIR' events
kill $watcher
wait $watcher 2> /dev/null
sed -n '/MOVED_TO/,$p' events | grep -v begun | grep -E 'CREATE|MODIFY|WRITE|MOVED|ATTRIB|DELETE'
echo first > log
tail -f log > tailed &
follower=$!
shown first tailed
echo second >> log
shown second tailed
(sleep 0.2; echo third) >> log
shown third tailed
kill $follower
cat tailed
