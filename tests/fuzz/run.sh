#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# libFuzzer, one target after the other, each for so many seconds, one process at a time.
#
#   run.sh BUILD SECONDS TARGET...
#
# What it finds is kept under build-fuzz/findings; what it learns, under build-fuzz/corpus, so
# that the next run goes on from there, whichever build it is: one without sanitizers gets
# through four times as many inputs, and a sanitized one then reads what that has learnt.
#
# No input may cost more than 100 ms of CPU (a longer one: for each 64 KiB), nor one under 1 MiB more than 64 MiB of memory. Without
# sanitizers each is held to that (bounded.c). Under them time and memory are not what they would
# be: one that takes more than 2 s, or 64 MiB at once, is a finding, and what the rest costs is
# measured by `make check-fuzz`. MAX_LEN= is the longest input, of 64 KiB; 1048576 finds what grows
# faster than its input.
set -eu
build=$1 seconds=$2
shift 2
here=tests/fuzz
kept=build-fuzz
status=0
for target in "$@"; do
    corpus=$kept/corpus/$target
    seeds=$kept/seeds/$target
    mkdir -p "$corpus" "$seeds" "$kept/findings" "$kept/log"
    sh $here/seeds.sh "$target" "$seeds"
    [ ! -d "$here/corpus/$target" ] || cp "$here/corpus/$target"/* "$seeds"/
    set -- -max_total_time="$seconds" -timeout=2 -report_slow_units=1 -rss_limit_mb=1024 -malloc_limit_mb=64 \
        -max_len="${MAX_LEN:-65536}" ${MAX_LEN:+-len_control=0} -print_final_stats=1 -artifact_prefix="$kept/findings/$target-"
    [ ! -e "$here/dict/$target" ] || set -- "$@" -dict="$here/dict/$target"
    # What these keep open is taken for a leak after each input, and libgit2's own leak can only be
    # told apart slowly. `make check-fuzz` looks for their leaks.
    export ASAN_OPTIONS=quarantine_size_mb=16
    case $target in control | git_objects) ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0:fast_unwind_on_malloc=1 ;; esac
    printf '%s: ' "$target"
    if "$build/fuzzer/$target" "$@" "$corpus" "$seeds" >"$kept/log/$target" 2>&1; then
        grep -E '^#[0-9]+.*DONE' "$kept/log/$target" | tail -n 1
    else
        status=1
        echo "FOUND something; the end of $kept/log/$target:"
        tail -n 25 "$kept/log/$target" | sed 's/^/  /'
    fi
done
exit $status
