#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Runs a cmocka program, whose "not ok 1 # SKIP" would count as failed: TAP wants "ok" there.
set -o pipefail
"$@" | sed 's/^not ok \([0-9]* # SKIP\)/ok \1/'
