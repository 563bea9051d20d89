#!/usr/bin/perl
# SPDX-License-Identifier: MPL-2.0
# What the shell's set -e passes over fails no test: a negated command, and all but the last of
# commands that && joins. `not COMMAND` of tests/starter.bash is held to what it says.
use strict;
use warnings;
use Test::More;

sub passed_over {
    my ($text) = @_;
    return grep {
        m{^\s*!\s} || m{(\|\||&&)\s*!\s} || m{^\s*\[.*\]\s*&&\s(?!return|.*\|\|)}
    } split /\n/, $text;
}

for my $file (grep { m{^tests/.*\.(bats|bash)$} } split /\n/, `git ls-files -co --exclude-standard`) {
    open my $in, '<', $file or die "$file: $!";
    my @found = passed_over(do { local $/; <$in> });
    is_deeply(\@found, [], "$file has nothing that set -e passes over");
}

is(scalar(passed_over("    ! grep x y\n")), 1, 'a negated command is found');
is(scalar(passed_over("[ \$a = b ] || ! grep x y\n")), 1, 'also behind another');
is(scalar(passed_over("    [ -n x ] && [ -n y ]\n")), 1, 'two conditions are found');
is(scalar(passed_over("[ ! -e x ]\n[ -n x ] && grep y z || { echo; false; }\n")), 0, 'what fails a test is left alone');

done_testing();
