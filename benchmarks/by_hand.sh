#!/bin/sh
# What Relay's own way is measured against: the same work by plain git commands, 10 builders at once.
# usage: by_hand.sh COUNT, in a repository
set -eu
base=$(git rev-parse HEAD)
names=$(seq -f 'b%02.0f' 1 "$1")

# Worktrees are added one at a time: side by side, git reads the half-made folder of another and gives up.
# shellcheck disable=SC2016 # the inner shell expands it
printf '%s\n' "$names" | xargs -P 10 -I NAME sh -euc '
    flock .git git worktree add -q -b "by-hand/$1" ".trees/$1" "$2"
    cd ".trees/$1"
    sleep 0.2
    echo "$1" >"$1.txt"
    git add -A
    git commit -q -m "Part $1"
' - NAME "$base"

git worktree add -q -b by-hand/merged .trees/merged "$base"
for name in $names; do
    git -C .trees/merged merge -q --no-ff -m "Merge $name" "by-hand/$name"
done
git merge -q --ff-only by-hand/merged

for name in merged $names; do
    git worktree remove ".trees/$name"
    git branch -q -d "by-hand/$name"
done
