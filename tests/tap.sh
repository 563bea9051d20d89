#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Runs a cmocka program. Of a test that is skipped it says "not ok 1 # SKIP", which TAP counts as
# failed: it is "ok", with the reason that the test printed before. Without a reason it stays failed.
set -o pipefail
"$@" | awk '
    sub(/^(# )?SKIP:? /, "") { reason = $0; next }
    /^not ok [0-9]+ # SKIP/ && reason {
        $0 = "ok " $3 " - " $6 " # SKIP " reason
    }
    /^(not )?ok / { reason = "" }
    { print; fflush() }'
