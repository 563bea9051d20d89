#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# A target on its seeds, its committed corpus and what was once found with it; with LARGE=1 also on
# inputs of nearly 1 MiB.
set -eu
target=${1##*/}
here=tests/fuzz
seeds=$(mktemp -d)
trap 'rm -rf "$seeds"' EXIT
sh $here/seeds.sh "$target" "$seeds"
[ -z "${LARGE:-}" ] || python3 $here/corpus.py --large "$target" "$seeds"
set -- "$1" "$seeds"
[ ! -d "$here/corpus/$target" ] || set -- "$@" "$here/corpus/$target"
for found in "$here/found/$target"-*; do
    [ ! -e "$found" ] || set -- "$@" "$found"
done
exec_target=$1
shift
"$exec_target" "$@"
