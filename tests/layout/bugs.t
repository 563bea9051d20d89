#!/usr/bin/perl
# SPDX-License-Identifier: MPL-2.0
# Each planted bug can be planted: `make bugs` takes long, and a patch ages with what it changes.
use strict;
use warnings;
use Test::More;

my @patches = glob 'tests/sim/bugs/*.patch';
cmp_ok(scalar @patches, '>=', 60, 'there are bugs to plant');
for my $patch (@patches) {
    my $said = `patch --dry-run --silent --force --strip=1 --input='$patch' 2>&1`;
    is($?, 0, "$patch applies") or diag($said);
}
done_testing();
