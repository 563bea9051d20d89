#!/usr/bin/perl
# Who may include whom: model nothing of ours, reconciler only model, drivers only
# model and the driver interface; and within the reconciler never backwards.
use strict;
use warnings;
use Test::More;

my @rules = (
    ['model/', qr{^model/}],
    ['reconciler/source/', qr{^(model|reconciler/(source|store|plan))/}],
    ['reconciler/store/', qr{^(model|reconciler/(store|plan))/}],
    ['reconciler/plan/', qr{^(model|reconciler/plan)/}],
    ['reconciler/engine/', qr{^(model|reconciler/(engine|plan|store|source|server))/}],
    ['reconciler/server/', qr{^(model|reconciler/(server|engine|plan|store|source))/}],
    ['reconciler/cli/', qr{^(model|reconciler)/}],
    ['drivers/', qr{^(model|drivers)/}],
);

sub broken {
    my ($file, $allowed) = @_;
    open my $in, '<', $file or die "$file: $!";
    my @found;
    while (my $line = <$in>) {
        next unless $line =~ m{^\s*#\s*include\s+"([^"]+)"};
        my $header = $1;
        next unless $header =~ m{/};    # a header of the same folder
        push @found, "$file:$.: includes $header" unless $header =~ $allowed;
    }
    return @found;
}

for my $rule (@rules) {
    my ($folder, $allowed) = @$rule;
    my @files = grep { m{\.[ch]$} && index($_, $folder) == 0 } split /\n/, `git ls-files -co --exclude-standard`;
    my @found = map { broken($_, $allowed) } @files;
    is_deeply(\@found, [], "$folder includes only what it may (" . scalar(@files) . ' files)');
}

# A driver sees no other driver.
for my $file (grep { m{^drivers/[^/]+/.*\.[ch]$} } split /\n/, `git ls-files -co --exclude-standard`) {
    my ($name) = $file =~ m{^drivers/([^/]+)/};
    my @found = broken($file, qr{^(model/|drivers/spinel-driver\.h$|drivers/lib/|drivers/\Q$name\E/)});
    is_deeply(\@found, [], "$file stays in its folder") if @found;
}

# The test itself must be able to fail.
my $bad = "$ENV{TMPDIR}/" if $ENV{TMPDIR};
$bad = ($bad // '/tmp/') . "layers-$$.c";
open my $out, '>', $bad or die;
print $out qq{#include "reconciler/plan/plan.h"\n};
close $out;
is(scalar(broken($bad, qr{^model/})), 1, 'a forbidden include is found');
unlink $bad;

done_testing();
