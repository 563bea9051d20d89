#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# names.sh: the functions that wraps.c stands for, for the linker's --wrap.
# names.sh OBJECT...: whether each function that these call and none of them has is one of those, or in
# unfailing.txt; and whether those are all called.
set -eu
cd "$(dirname "$0")/../.."
names() { grep -oE '^WRAP(_MORE)?\([A-Za-z0-9_]+|__wrap_[a-z0-9_]+' tests/torture/wraps.c | sed -E 's/^WRAP(_MORE)?\(|^__wrap_//' | sort -u; }
[ $# -gt 0 ] || { names; exit; }

export LC_ALL=C
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
names | sort >"$dir/wrapped"
grep -v '^#' tests/torture/unfailing.txt | tr -s ' ' '\n' | sed '/^$/d' | sort >"$dir/unfailing"
nm --defined-only --extern-only --format=just-symbols "$@" 2>/dev/null | grep -v ':$' | sort -u >"$dir/own"
nm --undefined-only --format=just-symbols "$@" 2>/dev/null | grep -vE ':$|^$|^_GLOBAL_OFFSET_TABLE_$|^__(asan|ubsan)_' | sort -u |
    comm -23 - "$dir/own" >"$dir/called"
status=0
say() { while read -r name; do echo "$name: $1"; status=1; done <"$dir/list"; }
sort "$dir/wrapped" "$dir/unfailing" | comm -23 "$dir/called" - >"$dir/list"
say 'called, and neither in tests/torture/wraps.c nor in tests/torture/unfailing.txt'
comm -12 "$dir/wrapped" "$dir/unfailing" >"$dir/list"
say 'both in tests/torture/wraps.c and in tests/torture/unfailing.txt'
# bound_install is our own: wraps.c takes its place.
comm -23 "$dir/wrapped" "$dir/called" | grep -vx bound_install >"$dir/list" || :
say 'in tests/torture/wraps.c, and nothing calls it'
echo "functions called: $(wc -l <"$dir/called"), of which fail: $(comm -12 "$dir/called" "$dir/wrapped" | wc -l)"
exit $status
