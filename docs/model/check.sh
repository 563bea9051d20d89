#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Checks the model: every property holds, and each rule that is taken away makes one fail.
#
#   check.sh DIRECTORY        where the verifiers are built
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
command -v spin >/dev/null 2>&1 || { echo "1..0 # SKIP spin is not installed: apt-get install spin"; exit 0; }

# verifier NAME DEFINES: one that is built of the model
verifier() {
    mkdir -p "$1"
    # shellcheck disable=SC2086
    (cd "$1" && spin $2 -a "$here/intent.pml" >spin.out 2>&1 && ${CC:-gcc} -O2 -w -DCOLLAPSE -DVECTORSZ=2048 -DNFAIR=3 -o pan pan.c 2>cc.out) ||
        { cat "$1"/*.out; exit 1; }
}

# fails NAME PROPERTY: 0 if it does; the search has to be complete, or to have found something
fails() {
    fair=
    [ "$2" != converges ] || fair=-f
    (cd "$1" && ./pan -a $fair -m2000000 -w24 -N "$2" >"$2.out" 2>&1) || true
    if grep -q 'search depth too small\|out of memory\|hash.*full' "$1/$2.out"; then
        echo "# $1, $2: the search was not complete"
        exit 1
    fi
    grep -q 'errors: [1-9]' "$1/$2.out" || { grep -q 'errors: 0' "$1/$2.out" || { cat "$1/$2.out"; exit 1; }; return 1; }
}
states() { sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$1/$2.out" | head -n 1; }

properties='single no_resurrection converges'
echo 1..12
n=0
# Fairness multiplies what has to be looked at: there one message under way at a time has to do.
verifier whole ''
verifier fair -DWIRE=1
for property in $properties; do
    n=$((n + 1))
    in=whole
    [ "$property" != converges ] || in=fair
    if fails $in "$property"; then printf 'not '; fi
    echo "ok $n - $property holds ($(states $in "$property") states)"
done
for rule in 1 2 3 4 5 6 7 8 9; do
    n=$((n + 1))
    verifier "no_r$rule" "-DNO_R$rule"
    broken=
    for property in $properties; do
        # What has to end in time is looked at last, and only where no wrong was found.
        [ -n "$broken" ] || ! fails "no_r$rule" "$property" || broken=$property
    done
    why=$(sed -n 's/^pan:[0-9]*: *\(assertion violated\).*/ (\1)/p' "no_r$rule/$broken.out" 2>/dev/null | head -n 1)
    [ -n "$broken" ] || printf 'not '
    echo "ok $n - without R$rule ${broken:-nothing} fails$why"
done
