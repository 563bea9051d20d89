#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# libFuzzer, one target after the other, each for so many seconds, one process at a time.
#
#   run.sh BUILD SECONDS TARGET...
#
# What it finds is kept under BUILD/findings; what it learns, under BUILD/corpus, so that the
# next run goes on from there. An input that takes longer than a second under the sanitizers
# (about 100 ms without) or 512 MiB of their memory (64 MiB without) is a finding; what it
# really costs is measured by `make check-fuzz`.
set -eu
build=$1 seconds=$2
shift 2
here=tests/fuzz
status=0
for target in "$@"; do
    corpus=$build/corpus/$target
    seeds=$build/seeds/$target
    mkdir -p "$corpus" "$seeds" "$build/findings" "$build/log"
    sh $here/seeds.sh "$target" "$seeds"
    [ ! -d "$here/corpus/$target" ] || cp "$here/corpus/$target"/* "$seeds"/
    set -- -max_total_time="$seconds" -timeout=2 -report_slow_units=1 -rss_limit_mb=1024 -malloc_limit_mb=256 \
        -max_len="${MAX_LEN:-16384}" -print_final_stats=1 -artifact_prefix="$build/findings/$target-"
    [ ! -e "$here/dict/$target" ] || set -- "$@" -dict="$here/dict/$target"
    printf '%s: ' "$target"
    if "$build/fuzzer/$target" "$@" "$corpus" "$seeds" >"$build/log/$target" 2>&1; then
        grep -E '^#[0-9]+.*DONE' "$build/log/$target" | tail -n 1
    else
        status=1
        echo "FOUND something; the end of $build/log/$target:"
        tail -n 25 "$build/log/$target" | sed 's/^/  /'
    fi
done
exit $status
