# git.sh [FILES]: a repository: init, commits, branches, a merge, log, gc, fsck, clone.
dir=$(mktemp -d) && cd "$dir" || exit 1
export HOME=$dir GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z' GIT_PAGER=cat
git init -q -b main repo && cd repo || exit 1
for i in $(seq 1 "${1:-200}"); do mkdir -p d$((i % 7)); echo "file $i" > d$((i % 7))/f$i; done
git add . && git commit -q -m first
git checkout -q -b other && echo changed > d1/f1 && git commit -q -am second
git checkout -q main && echo more > new && git add new && git commit -q -m third
git merge -q -m merged other
git log --graph --format='%h %s'
git diff --stat HEAD~1
git gc -q && git fsck --no-progress
git count-objects -v | grep -E '^(count|in-pack)'
cd .. && git clone -q repo copy && cd copy && git log --oneline | wc -l && git status --short
git grep -c 'file 1' | sort | tail -n 3
cd / && rm -rf "$dir"
