#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Figures beside the peers and the floors of this machine, all in one run.
# ROWS=plan,forwarding SIZES="1000 10000" MACHINES=20 NICS=1000 OUT=build/bench.json RECORD=1 tests/bench/run.sh
# The peers and tools from the distribution: contrib/setup bench
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC2086
exec python3 -u "$here/bench.py" --build "${BUILD:-$here/../../build}" --sizes ${SIZES-1000 10000} --rows "${ROWS:-}" \
    --machines "${MACHINES:-20}" --nics "${NICS:-1000}" --out "${OUT:-$here/../../build/bench.json}" ${RECORD:+--record}
