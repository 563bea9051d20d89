#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Every linter that is installed, each said by name; one that is missing is said too.
set -u
status=0
lint() {
    tool=$1
    shift
    command -v "$tool" >/dev/null 2>&1 || { echo "lint: $tool is not installed: skipped"; return; }
    echo "lint: $tool"
    "$@" || status=1
}
sources=$(git ls-files '*.c')
lint cppcheck cppcheck --quiet --enable=warning,portability --inline-suppr --error-exitcode=1 -I. $sources
lint clang-tidy clang-tidy --quiet --checks='-*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,clang-analyzer-*' \
    $sources -- -std=c17 -D_GNU_SOURCE -I. -I"${BUILD:-build}/gen"
lint shellcheck shellcheck contrib/setup contrib/*.sh contrib/guest/build.sh .ci/run
for page in "${BUILD:-build}"/man/*.[1-8]; do
    [ ! -e "$page" ] || lint mandoc mandoc -Tlint -Wwarning "$page"
done
exit $status
