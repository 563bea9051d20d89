#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Seeds that are in the repository anyway: seeds.sh TARGET DIRECTORY
set -eu
target=$1 to=$2
take() {
    for file in "$@"; do
        [ ! -e "$file" ] || cp "$file" "$to/$(echo "$file" | tr / -)"
    done
}
case $target in
    manifests | yaml_paths) take examples/*/*.yaml examples/*/*.yaml.in tests/model/golden/*.yaml ;;
    kinds) take model/kinds/*.yaml ;;
    saved_plans) take tests/plan/golden/*.json ;;
    nft_texts) take tests/linux_vpc/golden/*.nft ;;
esac
