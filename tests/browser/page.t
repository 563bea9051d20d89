#!/bin/sh
# The viewer in a real browser. What drives it is fetched from the npm registry into the build.
here=$(cd "$(dirname "$0")" && pwd)
BUILD=${BUILD:-$here/../../build}
export BUILD
skip() { echo "1..0 # SKIP $1"; exit 0; }
CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no chromium"
export CHROMIUM
command -v node >/dev/null && command -v npm >/dev/null || skip "no node or no npm"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || skip "node is older than 18"
mkdir -p "$BUILD/browser"
cp "$here/package.json" "$here/page.mjs" "$here/scene.mjs" "$BUILD/browser/"
(cd "$BUILD/browser" && npm install --no-audit --no-fund --silent >/dev/null 2>&1) || skip "the npm registry cannot be reached"
cd "$here/../.." && exec node "$BUILD/browser/page.mjs"
