#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# The engine's core has no I/O, clock or randomness of its own: its objects may name
# none of the functions that have. What they need comes through struct env.
build=${BUILD:-build}
forbidden='^(time|clock|clock_gettime|gettimeofday|localtime(_r)?|gmtime(_r)?|mktime|getenv|secure_getenv|setlocale|getpid|gettid|s?rand(om)?(_r)?|getrandom|randombytes.*|open(at)?|fopen|read|write|f?printf|puts|send|recv|poll|select|socket|connect|fork|exec.*|kill|sleep|usleep|nanosleep|sqlite3_.*|store_.*|source_.*|git_.*|ev_.*|pthread_.*)$'

echo 1..2
found=$(nm -u "$build"/obj/reconciler/engine/core*.o | awk 'NF == 2 { print $2 }' |
    sed 's/^__\(.*\)_chk$/\1/' | sort -u | grep -E "$forbidden")
[ -z "$found" ] || { printf 'not '; }
echo 'ok 1 - core objects call nothing that has time, randomness or I/O'
for name in $found; do echo "# $name"; done

files=$(find "$build"/obj/reconciler/engine -name 'core*.o' | wc -l)
[ "$files" -ge 8 ] || printf 'not '
echo "ok 2 - $files core objects were looked at"
