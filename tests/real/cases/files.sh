# Tools that read and write files.
program "small tools: exit codes and output" coreutils:sort
compare true cat /bin/true
compare false cat /bin/false
compare echo cat /bin/echo hello world
compare sh-exit cat sh -c 'exit 7'
program "\`gcc --version\`" gcc:gcc
compare gcc-version cat /usr/bin/gcc --version
program "\`ls -lR /usr/share\`" coreutils:ls
compare ls-usr-share sha256sum ls -lR /usr/share

prepare() {
    [ -e "$work/tree.db" ] && return
    mkdir -p "$work/tree"
    local i j
    for ((i = 0; i < 40; i++)); do
        mkdir "$work/tree/dir$i"
        for ((j = 0; j < 50; j++)); do : > "$work/tree/dir$i/file-$i-$j.txt"; done
    done
    updatedb.plocate -l no -U "$work/tree" -o "$work/tree.db" --prunepaths '' --prunefs '' 2> "$work/err" || cat "$work/err"
}
program "searches; reads its database through io_uring" plocate:plocate
compare plocate cat plocate -d "$work/tree.db" file-3 txt
compare plocate-count cat plocate -d "$work/tree.db" -c -i FILE-1
compare plocate-none cat plocate -d "$work/tree.db" not-there

prepare() { [ -e "$work/lines" ] || head -c 150M /dev/urandom | base64 > "$work/lines"; }
program "\`sort\` and \`sha256sum\` of 200 MB" coreutils:sort
compare sort sha256sum sort "$work/lines"
compare sha256sum cat sha256sum "$work/lines"
rm -f "$work/lines"
prepare() { :; }

program "\`tar\` and \`gzip\` of a tree, there and back" tar:tar gzip:gzip
compare tar cat bash tests/real/tree.sh "$volume"
program "\`rsync -a --delete\` of a tree, twice" rsync:rsync
further rsync cat bash tests/real/rsync.sh "$volume"
