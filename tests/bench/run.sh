#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Figures beside the peers and the floors of this machine, all in one run.
# SIZES="1000 10000 100000" MACHINES=10 NICS=1000 OUT=build/bench.json RECORD=1 tests/bench/run.sh
# The peers from the distribution: contrib/setup bench
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec python3 -u "$here/bench.py" --build "${BUILD:-$here/../../build}" --sizes ${SIZES-1000 10000 100000} \
    --machines "${MACHINES:-10}" --nics "${NICS:-1000}" --out "${OUT:-$here/../../build/bench.json}" ${RECORD:+--record}
