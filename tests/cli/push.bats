# SPDX-License-Identifier: MPL-2.0
load cli.bash
setup() { setup_site; }
teardown() { site_leave; }

push() { git -C lab/manifests push "$@" 2>&1; }

# Behind "remote: " no line is over 80 columns, and none ends with spaces of ours (git pads eight).
reads_well() {
    sed 's/        $//' push.out | not grep -nE '^remote: .*[^ ] +$'
    sed 's/        $//' push.out | grep -n '^remote: ' | not grep -E '^[0-9]+:.{81,}'
    not grep -q "$(printf '\033\\[3')" push.out
}

@test "without a daemon a valid push is accepted and says that nothing happens" {
    sed -i 's/64MiB/128MiB/' lab/manifests/starter.yaml
    commit grow
    push >push.out
    grep -q 'No daemon is up: the push is accepted' push.out
    reads_well
}

@test "a bad push is refused with place and caret, and changes nothing" {
    before=$(git -C lab/manifests.git rev-parse main)
    sed -i 's/memory:/memroy:/' lab/manifests/starter.yaml
    commit bad
    run push
    [ "$status" -ne 0 ]
    echo "$output" >push.out
    sed 's/ *$//' push.out | grep '^remote: ' | is_golden push-bad.txt
    [ "$(git -C lab/manifests.git rev-parse main)" = "$before" ]
    reads_well
}

@test "a long line is shown around its caret" {
    printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {name: x, project: shop, labels: {%s: b}}\nspec: {size: 20G}\n' \
        "$(printf 'a%.0s' $(seq 60)): b, c" >>lab/manifests/starter.yaml
    printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {name: y, project: shop}\nspec: {format: raw, pool: some-pool-name, protect: false, onRemove: release, size: 20G}\n' >>lab/manifests/starter.yaml
    commit long
    run push
    [ "$status" -ne 0 ]
    echo "$output" >push.out
    reads_well
    grep -q '\^' push.out
}

@test "with a daemon a push shows the plan and follows until converged" {
    daemon_start
    sed -i 's/64MiB/128MiB/; s/cpus: 1/cpus: 2/' lab/manifests/starter.yaml
    commit grow
    push >push.out
    grep -q '64MiB -> 128MiB' push.out
    grep -q 'converged' push.out
    reads_well
    [ "$(spinel get volume shop/web-1-data --json | jq '.items[0].spec.size')" = 134217728 ]
    run spinel plan
    [ "$status" -eq 0 ]
}

@test "a push that empties the rack is taken, and held" {
    daemon_start
    git -C lab/manifests rm -q starter.yaml
    commit empty
    push >push.out
    grep -q 'spinel approve' push.out
    reads_well
    spinel status --json | jq -e '.resources.held > 0'
    spinel get instance shop/web-1 | grep -q running
}

@test "a push that is refused is on record: who, what, and the first problem" {
    daemon_start
    push >/dev/null 2>&1
    sed -i 's/memory:/memroy:/' lab/manifests/starter.yaml
    commit "A slip of the pen"
    run push
    [ "$status" -ne 0 ]
    spinel history --json | jq -e --arg commit "$(git -C lab/manifests rev-parse HEAD)" '.revisions[0]
        | .state == "refused" and .commit == $commit and .subject == "A slip of the pen"
          and (.message | test("starter.yaml:[0-9]+: .* .and 1 more.")) and .pushedBy != null'
    spinel events --json | jq -e '[.events[] | select(.type == "revision.refused")] | length == 1'
    run spinel trace 2
    [ "$status" -eq 1 ]
    [[ $output == *"was refused, so that there is no trace of it"* ]]
    spinel trace | grep -q '^revision 1,'
}

@test "a tag that is pushed at the branch is told what it is, and what to push" {
    sed -i "s/64MiB/128MiB/" lab/manifests/starter.yaml
    commit grow
    git -C lab/manifests tag -a v1 -m one
    run push origin v1:refs/heads/main
    [ "$status" -ne 0 ]
    [[ $output == *'is a tag, not a commit'* && $output == *'git push origin TAG^{commit}:main'* ]]
}

@test "another branch is refused" {
    git -C lab/manifests checkout -qb feature
    git -C lab/manifests commit -q --allow-empty -m try
    run push origin feature
    [ "$status" -ne 0 ]
    [[ $output == *"push refused, nothing was changed"* ]]
}

@test "events are followed as they happen, and Ctrl-C ends it cleanly" {
    daemon_start
    spinel events --follow --json >events.out 3>&- &
    follower=$!
    sed -i 's/64MiB/128MiB/' lab/manifests/starter.yaml
    commit grow
    push >push.out
    for _ in $(seq 100); do
        if grep -q '"op.confirmed"' events.out; then break; fi
        sleep 0.05
    done
    # A background job of a script ignores SIGINT; SIGTERM ends the wait the same way.
    kill -TERM "$follower"
    wait "$follower"
    jq -es 'map(.seq) == (map(.seq) | sort)' <events.out
    grep -q '"op.confirmed"' events.out
}

# git-receive-pack that lost its pusher waits for the hook and holds the pipe, but reads it no more.
@test "a hook whose words nobody reads ends by itself, and a plan that nobody took is refused" {
    sed -i 's/^spec:/spec:\n  pushWait: 1s/' lab/spinel.yaml
    daemon_start
    until_true 20 is_converged
    sed -i 's/64MiB/128MiB/' lab/manifests/starter.yaml
    commit grow
    old=$(git -C lab/manifests.git rev-parse main) new=$(git -C lab/manifests rev-parse main)
    git -C lab/manifests.git fetch -q ../manifests main
    unread() { # HOOK: its end, and what lies in the pipe then
        mkfifo $1.fifo
        exec 7<>$1.fifo
        timeout 1 cat /dev/zero >&7 || true
        (cd lab/manifests.git && echo "$old $new refs/heads/main" |
            GIT_DIR=. timeout 60 "$BUILD/spinel" hook $1 >&7 2>&7 || echo "$?" >"$BATS_TEST_TMPDIR/$1.status")
        timeout 3 cat <&7 >$1.said || true
    }
    hooks=
    for hook in pre-receive post-receive; do
        unread $hook 3>&- &
        hooks="$hooks $!"
    done
    wait $hooks
    [ "$(cat pre-receive.status)" -eq 1 ]
    [ ! -e post-receive.status ] # the push is done: it ends with 0
    grep -aq 'nobody read on' pre-receive.said
    grep -aq 'push refused, nothing was changed' pre-receive.said
    grep -aq 'it goes on without you' post-receive.said
    spinel history --json | jq -e '.revisions | any(.message // "" | test("nobody read"))'
    is_converged
}

@test "who reads a plan slowly is waited for, longer than one who does not read at all" {
    sed -i 's/^spec:/spec:\n  pushWait: 0s/' lab/spinel.yaml
    for i in $(seq 4000); do
        printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {name: v%d, project: shop}\nspec: {size: 1MiB}\n' $i
    done >lab/manifests/many.yaml
    git -C lab/manifests add .
    commit many
    daemon_start
    until_true 20 is_converged
    old=$(git -C lab/manifests.git rev-parse main) new=$(git -C lab/manifests rev-parse main)
    git -C lab/manifests.git fetch -q ../manifests main
    run python3 - "$BUILD/spinel" "$old $new refs/heads/main" <<'PY'
import subprocess, sys, time
hook = subprocess.Popen([sys.argv[1], "hook", "pre-receive"], cwd="lab/manifests.git", stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
hook.stdin.write((sys.argv[2] + "\n").encode())
hook.stdin.close()
began, said = time.monotonic(), b""
while time.monotonic() - began < 32:
    said += hook.stdout.read(4096)
    time.sleep(1)
said += hook.stdout.read()
print(said.decode()[-200:])
sys.exit(hook.wait())
PY
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *'4000 to create'* ]]
}

# By the part that it changes it would be within bounds, and have steps before all of it is read.
@test "a commit beyond maxBytes that came by no push is refused as a whole" {
    printf -- '---\napiVersion: spinel/v1\nkind: Instance\nmetadata: {name: told, project: shop}\nspec: {cpus: 1, memory: 64MiB, cloudInit: {userData: hello}}\n' >lab/manifests/told.yaml
    head -c 200000 /dev/zero | tr '\0' 'x' | sed 's/^/# /' >>lab/manifests/told.yaml
    git -C lab/manifests add told.yaml
    commit told
    push -q
    sed -i "s/repository: {/repository: {maxBytes: $(cat lab/manifests/*.yaml | wc -c)B, /" lab/spinel.yaml
    daemon_start
    until_true 20 is_converged
    before=$(git -C lab/manifests.git rev-parse main)
    sed -i 's/64MiB/128MiB/' lab/manifests/starter.yaml
    printf '# %01000d\n' 0 >>lab/manifests/starter.yaml
    commit over
    git -C lab/manifests.git fetch -qf ../manifests HEAD:main
    run spinel apply --yes
    [ "$status" -eq 1 ]
    [[ $output == *'more than'*'bytes'* ]]
    spinel status --json | jq -e --arg commit "$before" '.daemon != null and .commit == $commit'
    spinel events --json | jq -e '[.events[] | select(.type == "op.started" and .data.verb == "update")] == []'
}
