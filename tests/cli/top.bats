# SPDX-License-Identifier: MPL-2.0
# `spinel top` in a real terminal: tmux holds it, and its screen is read back.
load cli.bash

setup() {
    setup_site
    command -v tmux >/dev/null || skip "tmux is not installed"
    # A socket's path may have 107 characters.
    short=$(mktemp -d)
    export TMUX_TMPDIR=$short TERM=xterm-256color
}
teardown() {
    [ -z "${short:-}" ] || { tmux kill-server 2>/dev/null || true; rm -rf "$short"; }
    site_leave
}

top_start() { tmux -f /dev/null new-session -d -x "$1" -y "$2" -s top "spinel top; echo ended with \$?; sleep 60" 3>&-; }
screen() { tmux capture-pane -p -t top; }
shows() { screen | grep -q -- "$1"; }
press() { tmux send-keys -t top "$@"; }

@test "it shows the rack in 80 columns and 24 lines, and follows what happens" {
    daemon_start
    top_start 80 24
    until_true 20 shows "true to Git"
    until_true 5 shows 'Instance .*shop/web-1'
    [ "$(screen | awk '{ if (length($0) > most) most = length($0) } END { print most }')" -le 80 ]
    shows '? help  q quit'
    uid=$(spinel get volume shop/web-1-data --json | jq -r '.items[0].metadata.uid')
    "$BUILD/drivers/sim" --world lab/state/drivers/sim/world set "$uid" spec.size 4096
    press 3
    until_true 20 shows 'spec.size'
    press Enter
    until_true 5 shows '"desired": 67108864'
    press Escape
    press 2
    until_true 5 shows 'create .*confirmed'
    press 4
    until_true 5 shows 'drift.found'
    press q
    until_true 5 shows 'ended with 0'
}

@test "what differs and is only reported is not called true, here and in status" {
    daemon_start
    top_start 100 24
    until_true 20 shows 'true to Git'
    uid=$(spinel get volume shop/web-1-data --json | jq -r '.items[0].metadata.uid')
    "$BUILD/drivers/sim" --world lab/state/drivers/sim/world set "$uid" spec.size 1073741824
    until_true 20 shows 'not as Git says'
    not shows 'true to Git'
    until_true 5 shows 'Volume .*shop/web-1-data .*drifting'
    shows 'VPC .*shop/main .*true'
    press 3
    until_true 5 shows '1GiB  *64MiB'
    spinel status | grep -q 'not as Git says'
}

@test "a filter finds, says when nothing matches, and is cleared" {
    daemon_start
    top_start 80 24
    until_true 20 shows 'shop/web-1'
    press / f i r e w a l l Enter
    until_true 5 shows 'Firewall'
    not shows 'Instance'
    press / z z z Enter
    until_true 5 shows 'Nothing matches the filter'
    press Escape
    until_true 5 shows 'Instance'
}

@test "it follows the terminal's size, down to one that is too small" {
    daemon_start
    top_start 80 24
    until_true 20 shows 'shop/web-1'
    for size in "132 43" "40 10" "10 3" "80 24"; do
        # shellcheck disable=SC2086
        set -- $size
        tmux resize-window -t top -x "$1" -y "$2"
        sleep 0.5
        not shows 'ended with'
    done
    until_true 5 shows 'shop/web-1'
    until_true 5 shows 'q quit'
}

@test "without a daemon it says so, and takes it up when there is one" {
    top_start 80 24
    until_true 10 shows 'no daemon'
    daemon_start
    until_true 20 shows "true to Git"
    daemon_stop
    until_true 20 shows 'no daemon'
    press C-c
    until_true 5 shows 'ended with 0'
}

@test "colors are as --color says" {
    daemon_start
    colored() { tmux capture-pane -e -p -t top | grep -qE "$(printf '\033')\\[[0-9;]*3[1-7]m"; }
    for when in never always; do
        [ "$when" = never ] || export NO_COLOR=1
        tmux -f /dev/null new-session -d -x 80 -y 24 -s top "spinel top --color=$when; sleep 60" 3>&-
        until_true 20 shows 'true to Git'
        if [ "$when" = never ]; then ! colored; else until_true 5 colored; fi
        tmux kill-session -t top
    done
}

@test "without a terminal it refuses and names what does without" {
    run spinel top </dev/null
    [ "$status" -eq 64 ]
    [[ "$output" == *"spinel status"* ]]
}
