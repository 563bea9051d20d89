#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Every linter that is installed, each said by name; one that is missing is said too.
set -u
build=${BUILD:-build}
status=0
lint() {
    tool=$1
    shift
    command -v "$tool" >/dev/null 2>&1 || { echo "lint: $tool is not installed: skipped"; return; }
    echo "lint: $tool"
    "$@" || status=1
}
sources() { git ls-files -z '*.c'; }

# Without what is included by another one, and is nothing by itself.
parts() { git ls-files -z '*.c' ':!tests/engine/rack_drivers.c'; }

# It does not know the macros of uthash, jansson and cmocka, nor what calloc() behind them sets.
run_cppcheck() {
    sources | xargs -0 cppcheck --quiet --enable=warning,portability --inline-suppr --error-exitcode=1 -I. \
        --suppress=unknownMacro --suppress=uninitvar --suppress=nullPointer \
        --suppress=nullPointerRedundantCheck --suppress=comparePointers --suppress=invalidFunctionArg
}
run_clang_tidy() {
    parts | xargs -0 -n 8 -P "$(nproc)" sh -c \
        'clang-tidy --quiet "$@" -- -std=c17 -D_GNU_SOURCE -I. -I"$0/gen" 2>/dev/null' "$build"
}
run_format() {
    git ls-files -z '*.c' '*.h' | xargs -0 clang-format --dry-run --Werror
}
lint clang-format run_format
lint cppcheck run_cppcheck
lint clang-tidy run_clang_tidy
lint shellcheck shellcheck --severity=warning contrib/setup contrib/*.sh contrib/guest/build.sh .ci/run
for page in "$build"/man/*.[1-8]; do
    [ ! -e "$page" ] || lint mandoc mandoc -Tlint -Wwarning "$page"
done
exit $status
