# SPDX-License-Identifier: MPL-2.0
# The console is a socket and a log in the instance's run directory; a listener of
# the test stands for the machine's end, so that its bytes are known.
load cli.bash
setup() {
    command -v socat >/dev/null || skip "socat is not installed"
    setup_site
    spinel apply --yes --wait=60s >/dev/null
    uid=$(spinel get instance shop/web-1 --json | jq -r '.items[0].metadata.uid')
    run_dir=lab/state/instances/$uid
    mkdir -p "$run_dir"
}
teardown() {
    [ -z "${listener:-}" ] || process_end "$listener"
    site_leave
}

@test "console copies both ways and ends when the machine's end closes" {
    printf '#!/bin/sh\nprintf "login: "; read -r line; echo "hello $line"\n' >guest
    chmod +x guest
    (cd "$run_dir" && exec socat UNIX-LISTEN:serial.sock EXEC:"$BATS_TEST_TMPDIR/guest") 3>&- &
    listener=$!
    until_true 20 test -S "$run_dir/serial.sock"
    run timeout 20 spinel console shop/web-1 < <(printf 'root\n')
    [ "$status" -eq 0 ]
    [ "$output" = "login: hello root" ]
}

@test "the log is shown of a machine that does not run" {
    printf 'spinel-guest ready\r\n' >"$run_dir/serial.log"
    run spinel console --log shop/web-1
    [ "$status" -eq 0 ]
    [[ $output == *"spinel-guest ready"* ]]
}

@test "a machine without a console is told, with what to do" {
    run spinel console shop/web-1 </dev/null
    [ "$status" -eq 1 ]
    [[ $output == *"cannot reach the console of shop/web-1"* && $output == *"--log"* ]]
    run spinel console shop/nobody </dev/null
    [ "$status" -eq 1 ]
    [[ $output == *"there is no Instance shop/nobody"* ]]
}
