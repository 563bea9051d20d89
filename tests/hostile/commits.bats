# SPDX-License-Identifier: MPL-2.0
# Objects, trees, references and repositories that git itself would not have written, as a push
# brings them and as the daemon finds them.
load hostile.bash
setup() {
    setup_site
    good=$(bare rev-parse main)
    starter=$(bare rev-parse main:starter.yaml)
}
teardown() { site_leave; }

@test "8: a blob without end is not read" {
    big=$(head -c 67108864 /dev/zero | blob)
    bomb=$(commit_tree "$(entry 100644 a.yaml "$big" | tree)" main)
    is_refused "$bomb" 'too many for a manifest'
    [[ $output == *'67108864 bytes'* ]]
    echo "0000000000000000000000000000000000000000 $bomb refs/heads/main" >updates
    run within 400 sh -c 'spinel --site lab/spinel.yaml hook pre-receive <updates'
    [[ $output != *"of CPU"* ]]
}

@test "8: ten levels of trees that name each other stop at a limit" {
    level=$(for i in 0 1 2 3 4 5 6 7 8 9; do entry 100644 "f$i.yaml" "$starter"; done | tree)
    for _ in 1 2 3 4 5 6 7 8 9; do
        level=$(for i in 0 1 2 3 4 5 6 7 8 9; do entry 40000 "d$i" "$level"; done | tree)
    done
    is_refused "$(commit_tree "$level" main)" 'more than 1000000 manifests'
}

@test "8: more manifests than the site allows are refused before they are read" {
    sed -i 's/repository: {/repository: {maxFiles: 100, /' lab/spinel.yaml
    many=$(for i in $(seq -w 0 200); do entry 100644 "f$i.yaml" "$starter"; done | tree)
    is_refused "$(commit_tree "$many" main)" 'more than 100 manifests'
}

@test "8: a tree of a million folders that lead nowhere stops at a limit" {
    level=$(entry 100644 README "$starter" | tree)
    for _ in 1 2 3; do
        level=$(for i in $(seq -w 0 99); do entry 40000 "d$i" "$level"; done | tree)
    done
    run within 8000 sh -c "echo '$good $(commit_tree "$level" main) refs/heads/main' | spinel --site lab/spinel.yaml hook pre-receive"
    [ "$status" -eq 1 ]
    [[ $output == *'too many folders'* ]]
}

@test "8: a commit with a message without end, and a folder that is one, are not read" {
    message() { printf 'tree %s\nparent %s\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n' "$(bare rev-parse 'main^{tree}')" "$good"; head -c 268435456 /dev/zero | tr '\0' x; }
    long=$(message | bare hash-object -w -t commit --literally --stdin)
    echo "$good $long refs/heads/main" >updates
    run sh -c 'ulimit -v 400000; spinel --site lab/spinel.yaml hook pre-receive <updates'
    [ "$status" -eq 1 ]
    [[ $(tr -s '\n ' ' ' <<<"$output") == *'the commit is an object of '*' bytes; at most 1048576 are read'* ]]
    large=$(python3 -c '
import sys
sys.stdout.buffer.write(b"".join(b"100644 f%09d\0" % n + bytes.fromhex(sys.argv[1]) for n in range(1800000)))' "$starter" | tree)
    is_refused "$(commit_tree "$large" main)" 'the root folder is an object of'
}

@test "12: a file that is no blob is refused" {
    is_refused "$(commit_tree "$(entry 100644 a.yaml "$good" | tree)" main)" 'a.yaml is a commit of git'
    is_refused "$(commit_tree "$(entry 100644 a.yaml "$(bare rev-parse 'main^{tree}')" | tree)" main)" 'a.yaml is a tree of git'
    is_refused "$(commit_tree "$(entry 40000 d "$starter" | tree)" main)" 'cannot read d from'
}

@test "9: a pack that is cut, a bad trailer and a false object leave the daemon as it was" {
    daemon_start
    until_true 20 sh -c 'spinel status --json | jq -e .converged'
    printf 'PACK\0\0\0\2\0\0\0\1\x95\x0a' >"$repo/objects/pack/pack-$(printf '1%.0s' $(seq 40)).pack"
    printf 'x' >"$repo/objects/pack/pack-$(printf '1%.0s' $(seq 40)).idx"
    mkdir -p "$repo/objects/aa"
    printf 'not zlib' >"$repo/objects/aa/$(printf 'a%.0s' $(seq 38))"
    echo "$(printf 'a%.0s' $(seq 40))" >"$repo/refs/heads/main"
    sleep 0.5
    run spinel drift --json
    [ "$status" -le 2 ]
    spinel status --json | jq -e --arg c "$good" '.commit == $c and .daemon != null'
    echo "$good" >"$repo/refs/heads/main"
    run spinel plan --json
    [ "$status" -eq 0 ]
    kill -0 "$daemon"
}

@test "9: a pack sent to the repository with a bad trailer is not taken, and the same with a good one is" {
    git clone -q lab/manifests.git other 2>/dev/null
    git -C other commit -q --allow-empty -m next
    next=$(git -C other rev-parse HEAD)
    printf '%s\n^%s\n' "$next" "$good" | git -C other pack-objects -q --revs --stdout >pack
    python3 "$BATS_TEST_DIRNAME/packs.py" push "$good" "$next" flip <pack >wire
    run git receive-pack "$repo" <wire
    [[ $output == *'did not match'* || $output == *'corrupt'* ]]
    [ "$(bare rev-parse main)" = "$good" ]
    [ -z "$(find "$repo/objects" -name 'tmp_*' -o -name 'incoming-*' -o -name 'quarantine-*')" ]
    not bare cat-file -e "$next"
    python3 "$BATS_TEST_DIRNAME/packs.py" push "$good" "$next" <pack >wire
    run git receive-pack "$repo" <wire
    [ "$(bare rev-parse main)" = "$next" ]
}

@test "9: a delta that makes a gigabyte of a few bytes is not made" {
    python3 "$BATS_TEST_DIRNAME/packs.py" bomb 1073741824 >pack 2>id
    bare -c core.bigFileThreshold=1m index-pack --stdin <pack
    refused=$(commit_tree "$(entry 100644 z.yaml "$(cat id)" | tree)" main)
    echo "$good $refused refs/heads/main" >updates
    run sh -c 'ulimit -v 400000; spinel --site lab/spinel.yaml hook pre-receive <updates'
    [ "$status" -eq 1 ]
    [[ $output == *'1073741824 bytes are too many'* ]]
}

@test "9: a manifest that inflates without end is not inflated" {
    bomb=$(head -c 268435456 /dev/zero | blob)
    refused=$(commit_tree "$(entry 100644 z.yaml "$bomb" | tree)" main)
    echo "$good $refused refs/heads/main" >updates
    run sh -c 'ulimit -v 400000; spinel --site lab/spinel.yaml hook pre-receive <updates'
    [ "$status" -eq 1 ]
    [[ $output == *'268435456 bytes are too many'* ]]
}

@test "10: a link is not followed, to the host or to another project" {
    link=$(printf '../../../../etc/shadow' | blob)
    is_refused "$(commit_tree "$( { entry 120000 a.yaml "$link"; entry 100644 starter.yaml "$starter"; } | tree)" main)" 'symbolic link'
    not grep -q root: <<<"$output"
    other=$( { entry 120000 a.yaml "$(printf '../other/secret.yaml' | blob)"; entry 100644 starter.yaml "$starter"; } | tree)
    is_refused "$(commit_tree "$(entry 40000 lab "$other" | tree)" main)" 'symbolic link'
}

@test "11: submodules are refused, and what git would run is ignored" {
    is_refused "$(commit_tree "$( { entry 160000 module "$good"; entry 100644 starter.yaml "$starter"; } | tree)" main)" 'submodule'
    evil=$(printf '[filter "x"]\n\tsmudge = touch %s/ran\n' "$PWD" | blob)
    attributes=$(printf '*.yaml filter=x\n' | blob)
    commit=$(commit_tree "$( { entry 100644 .gitattributes "$attributes"; entry 100644 .gitconfig "$evil"; entry 100644 .gitmodules "$evil"
        entry 100644 .lfsconfig "$evil"; entry 100644 starter.yaml "$starter"; } | tree)" main)
    git --git-dir="$repo" config filter.x.smudge "touch $PWD/ran"
    git --git-dir="$repo" config filter.x.clean "touch $PWD/ran"
    run judge "$commit"
    [ "$status" -eq 0 ]
    [ ! -e ran ]
}

@test "12: names that are no names, and orders that are none, are refused" {
    is_refused "$(commit_tree "$(entry 40000 .. "$(bare rev-parse 'main^{tree}')" | tree)" main)" '".."'
    is_refused "$(commit_tree "$(entry 40000 .git "$(bare rev-parse 'main^{tree}')" | tree)" main)" '".git"'
    is_refused "$(commit_tree "$(entry 40000 .GIT "$(bare rev-parse 'main^{tree}')" | tree)" main)" '".git"'
    for name in d. .git. 'git~1' GIT~1 '.git::$INDEX_ALLOCATION' '.g\xe2\x80\x8cit' 'd '; do
        is_refused "$(commit_tree "$(entry 40000 "$name" "$(bare rev-parse 'main^{tree}')" | tree)" main)" 'this name may not be'
        is_refused "$(commit_tree "$(entry 100644 "$name" "$starter" | tree)" main)" 'this name may not be'
    done
    is_refused "$(commit_tree "$(entry 100644 starter.yaml. "$starter" | tree)" main)" 'this name may not be'
    is_refused "$(commit_tree "$(entry 100644 'a//b.yaml' "$starter" | tree)" main)" 'may not be in the repository'
    is_refused "$(commit_tree "$(entry 100644 'a\\\\b.yaml' "$starter" | tree)" main)" 'may not be in the repository'
    is_refused "$(commit_tree "$(entry 100644 'a\033[2J.yaml' "$starter" | tree)" main)" 'may not be in the repository'
    is_refused "$(commit_tree "$(entry 100644 'a\xff.yaml' "$starter" | tree)" main)" 'may not be in the repository'
    is_refused "$(commit_tree "$(entry 100644 'a\xe2\x80\xae.yaml' "$starter" | tree)" main)" 'may not be in the repository'
    is_refused "$(commit_tree "$( { entry 100644 b.yaml "$starter"; entry 100644 a.yaml "$starter"; } | tree)" main)" 'not sorted'
    is_refused "$(commit_tree "$( { entry 100644 a.yaml "$starter"; entry 100644 a.yaml "$starter"; } | tree)" main)" 'not sorted'
    is_refused "$(commit_tree "$(entry 100777 a.yaml "$starter" | tree)" main)" 'not that of a regular file'
    is_refused "$(commit_tree "$(entry 100644 '' "$starter" | tree)" main)" 'cannot read the root folder'
    is_refused "$(commit_tree "$(entry 40000 a.yaml "$starter" | tree)" main)" 'cannot read a.yaml'
    is_refused "$(commit_tree "$(entry 100644 a.yaml "$(bare rev-parse 'main^{tree}')" | tree)" main)" 'a.yaml is a tree of git'
}

@test "12: two names that differ in case only are two manifests, and one identity is refused" {
    is_refused "$(commit_tree "$( { entry 100644 A.yaml "$starter"; entry 100644 a.yaml "$starter"; } | tree)" main)" 'A.yaml'
    [[ $output == *'a.yaml'* ]]
}

@test "12: a name in capitals hides no manifest, and a link of that name is none" {
    good_manifest=$(printf 'apiVersion: spinel/v1\nkind: Volume\nmetadata: {name: spare, project: shop}\nspec: {size: 1MiB}\n' | blob)
    run judge "$(commit_tree "$( { entry 100644 more.YAML "$good_manifest"; entry 100644 starter.yaml "$starter"; } | tree)" main)"
    [ "$status" -eq 0 ]
    [[ $output == *'valid, 7 resources'* ]]
    is_refused "$(commit_tree "$( { entry 100644 Again.YML "$starter"; entry 100644 starter.yaml "$starter"; } | tree)" main)" 'Again.YML'
    is_refused "$(commit_tree "$( { entry 120000 link.YAML "$(printf /etc/passwd | blob)"; entry 100644 starter.yaml "$starter"; } | tree)" main)" 'symbolic link'
}

@test "13: references that would never be applied are refused, replaced objects are not followed" {
    for ref in refs/heads/other refs/replace/$good refs/notes/spinel refs/heads/main/x refs/heads/mаin; do
        run sh -c "echo '0000000000000000000000000000000000000000 $good $ref' | spinel --site lab/spinel.yaml hook pre-receive 2>&1"
        [ "$status" -eq 1 ] || { echo "$ref: $output"; false; }
        [[ $output == *'push refused'* ]]
    done
    printf '%s %s refs/heads/\033[2J\n' "$good" "$good" >updates
    run sh -c 'spinel --site lab/spinel.yaml hook pre-receive <updates 2>&1'
    [ "$status" -eq 1 ]
    is_plain <<<"$output"
    printf 'x\0y\n%s' "$(head -c 100000 /dev/zero | tr '\0' a)" >updates
    run sh -c 'spinel --site lab/spinel.yaml hook pre-receive <updates 2>&1'
    [ "$status" -eq 1 ]
    is_plain <<<"$output"
    bare replace -f "$starter" "$(echo 'kind: Evil' | blob)"
    run spinel plan
    [ "$status" -eq 1 ]
    [[ $output == *replace* ]]
}

@test "13: HEAD that points elsewhere changes nothing" {
    printf 'ref: ../../../../etc/passwd\n' >"$repo/HEAD"
    run spinel plan --json
    [ "$status" -le 2 ]
    not grep -q root: <<<"$output"
    printf 'ref: refs/heads/none\n' >"$repo/HEAD"
    spinel plan --json | jq -e --arg c "$good" '.commit == $c'
}

@test "19: a history that is rewritten is said with its old tip, and the guard stands before it" {
    daemon_start
    until_true 20 sh -c 'spinel status --json | jq -e .converged'
    git -C lab/manifests rm -q starter.yaml
    git -C lab/manifests commit -q --amend --allow-empty -m 'Nothing was ever here'
    run git -C lab/manifests push --force
    [[ $output == *"the old tip was ${good:0:12}"* ]]
    [[ $output == *'spinel approve'* ]]
    spinel get instance shop/web-1 | grep -q running
}

@test "19: a rewind to an older commit is said with the tip it leaves, converges there, and goes on from there" {
    daemon_start
    until_true 20 is_converged
    volume=$(spinel get volume shop/web-1-data --json | jq -r '.items[0].metadata.uid')
    for port in 81 82; do
        sed -i -E "s/ports: \[8[0-9]\]/ports: [$port]/" lab/manifests/starter.yaml
        commit "$port"
    done
    git -C lab/manifests push -q >/dev/null 2>&1
    tip=$(bare rev-parse main)
    opens() { spinel get firewall shop/main --json | jq -e --arg port "$1" '.items[0].spec.rules[0].protocols[0].ports == [$port]'; }
    until_true 20 opens 82

    git -C lab/manifests reset -q --hard "$good"
    git -C lab/manifests push --force >push.out 2>&1
    grep -q "the old tip was ${tip:0:12}" push.out
    [ "$(bare rev-parse main)" = "$good" ]
    until_true 20 opens 80
    until_true 20 is_converged
    spinel status --json | jq -e --arg c "$good" '.commit == $c and .headProblem == null'
    spinel get volumes --json | jq -e --arg uid "$volume" '.items | length == 1 and .[0].metadata.uid == $uid'

    git -C lab/manifests reset -q --hard "$tip"
    git -C lab/manifests push >push.out 2>&1
    not grep -q 'the old tip' push.out
    until_true 20 opens 82
}

@test "23: a manifest tree that is emptied, or moved away, destroys nothing" {
    daemon_start
    until_true 20 sh -c 'spinel status --json | jq -e .converged'
    git -C lab/manifests mv starter.yaml .hidden.yaml
    commit hide
    git -C lab/manifests push >push.out 2>&1
    grep -q 'spinel approve' push.out
    sleep 1
    spinel plan --json | jq -e '[.steps[] | select(.disposition == "run" and (.action == "delete" or .action == "release"))] | length == 0'
    spinel get instance shop/web-1 | grep -q running
    spinel get volume | grep -q web-1-data
}

@test "an author, a subject and a pusher's name cannot write to anybody's terminal" {
    export GIT_AUTHOR_NAME=$(printf '\033]0;owned\007Eve\342\200\256') GIT_AUTHOR_EMAIL=$(printf 'e\033[2J@x')
    sed -i 's/64MiB/65MiB/' lab/manifests/starter.yaml
    git -C lab/manifests commit -qam "$(printf 'red \033[31m\r\nnext \007 \302\233 bell')"
    git -C lab/manifests push >push.out 2>&1
    spinel apply --yes --wait=60s >apply.out 2>&1
    for command in history status events drift trace 'describe volume shop/web-1-data' 'get volume' plan; do
        spinel $command >command.out 2>&1 || true
        is_plain <command.out
    done
    spinel history --json | jq -e .
}

@test "a commit of very many parents, and one that is its own grandparent's child, are judged" {
    tree=$(bare rev-parse 'main^{tree}')
    parents=
    for i in $(seq 300); do
        parents="$parents $(GIT_AUTHOR_DATE="@$i +0000" bare commit-tree "$tree" -m "$i")"
    done
    # shellcheck disable=SC2086
    run judge "$(commit_tree "$tree" main $parents)"
    [ "$status" -eq 0 ]
    missing=$(printf 'tree %s\nparent %s\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n' "$tree" "$(printf 'c%.0s' $(seq 40))" |
        bare hash-object -w -t commit --literally --stdin)
    run judge "$missing"
    [ "$status" -eq 1 ]
    broken=$(printf 'tree zzz\n' | bare hash-object -w -t commit --literally --stdin)
    run judge "$broken"
    [ "$status" -eq 1 ]
    is_plain <<<"$output"
}

@test "configuration of the repository and the environment of the pusher run nothing and lead nowhere" {
    printf '[core]\n\tfsmonitor = touch %s/ran\n\tsshCommand = touch %s/ran\n[alias]\n\tx = !touch %s/ran\n' "$PWD" "$PWD" "$PWD" >>"$repo/config"
    printf '#!/bin/sh\ntouch %s/ran\n' "$PWD" >"$repo/hooks/post-checkout"
    chmod +x "$repo/hooks/post-checkout"
    mkdir -p home/.config/git
    printf '[core]\n\tattributesFile = /etc/passwd\n' >home/.config/git/config
    HOME=$PWD/home GIT_DIR=/nonexistent GIT_CEILING_DIRECTORIES=/ GIT_CONFIG=/etc/shadow GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.hooksPath GIT_CONFIG_VALUE_0=/tmp \
        spinel plan --json >plan.json || [ $? -eq 2 ]
    jq -e --arg c "$good" '.commit == $c' plan.json
    [ ! -e ran ]
    mkdir outside
    GIT_OBJECT_DIRECTORY=$PWD/outside GIT_QUARANTINE_PATH=$PWD/outside run judge "$good"
    [ "$status" -eq 1 ]
    [[ $output == *'is not below'* ]]
    mkdir -p "$repo/objects/info"
    echo "$PWD/outside" >"$repo/objects/info/alternates"
    run spinel plan
    [ "$status" -eq 1 ]
}

@test "a repository whose configuration leads to other files, or is a pipe, is refused and not waited for" {
    cp "$repo/config" whole
    for section in '[include]' '[includeIf "gitdir:/"]' '[core] x = y [INCLUDE]'; do
        printf '%s\n\tpath = /etc/shadow\n' "$section" >>"$repo/config"
        run timeout 10 spinel plan
        [ "$status" -eq 1 ]
        [[ $output == *'includes other files'* && $output != *shadow:* ]]
        cp whole "$repo/config"
    done
    for file in config HEAD packed-refs; do
        mv "$repo/$file" kept 2>/dev/null || touch kept
        mkfifo "$repo/$file"
        run timeout 10 spinel plan
        [ "$status" -eq 1 ] || { echo "$file: $status $output"; false; }
        [[ $output == *'not a regular file'* ]]
        mv kept "$repo/$file"
    done
    spinel plan >/dev/null || [ $? -eq 2 ]
}

@test "a damaged head does not end the daemon: told, served without it, taken when it is mended" {
    daemon_start
    until_true 20 is_converged
    daemon_stop
    object=$repo/objects/${good:0:2}/${good:2}
    cp "$object" whole
    chmod u+w "$object"
    echo garbage >"$object"

    run spinel status
    [ "$status" -eq 0 ]
    [[ $output == *"! cannot read commit ${good:0:12}"*'git fsck'* && $output != *true* ]]

    daemon_start
    spinel status --json | jq -e '.commit == null and (.headProblem | test("cannot read commit"))'
    [[ $(spinel drift) == *"nothing is the target yet"* ]]
    spinel get volumes | grep -q web-1-data
    [ "$(spinel events --json | grep -c head.unreadable)" -eq 1 ]

    cp whole "$object"
    spinel plan >/dev/null
    until_true 20 is_converged
    spinel status --json | jq -e '.headProblem == null'
}

# tells_of_the_branch TEXT: so `spinel status` says, and so says the record, once
tells_of_the_branch() {
    until_true 20 sh -c "spinel status --json | jq -e --arg why '$1' '.headProblem | test(\$why)'"
    sleep 2.2 # two looks more
    spinel events --json | jq -e --arg why "$1" '[.events[] | select(.type == "head.unreadable" and (.text | test($why)))] | length == 1'
    spinel status --json | jq -e --arg c "$good" '.commit == $c and .resources.true == .resources.total'
}

@test "a branch that is gone, or that a power cut left empty, is told, and the rack is kept meanwhile" {
    sed -i 's/# resync: 5m/resync: 1s/' lab/spinel.yaml
    daemon_start
    until_true 20 is_converged
    bare update-ref -d refs/heads/main
    tells_of_the_branch 'no commit yet'
    : >"$repo/refs/heads/main"
    tells_of_the_branch 'corrupted'
    mv "$repo" away
    tells_of_the_branch 'cannot open the repository'
    mv away "$repo"
    daemon_stop

    daemon_start # with the empty file in place, as after the power cut
    spinel status --json | jq -e --arg c "$good" '.commit == $c and (.headProblem | test("power cut"))'
    rm "$repo/refs/heads/main"
    bare update-ref refs/heads/main "$good"
    until_true 20 sh -c "spinel status --json | jq -e '.headProblem == null and .converged'"
}

@test "before the first push a daemon has nothing to say of a branch that is not there" {
    spinel init new --drivers=sim >/dev/null
    sed -i 's/# resync: 5m/resync: 1s/' new/spinel.yaml
    export SPINEL_SITE=$PWD/new/spinel.yaml
    daemon_start
    sleep 2
    spinel status --json | jq -e '.headProblem == null and .commit == null'
    not grep -q head.unreadable serve.log
}

@test "a damaged store is no damaged head" {
    daemon_start
    until_true 20 is_converged
    daemon_stop
    sqlite3 lab/state/spinel.db "UPDATE object SET chosen = '{' WHERE kind = 'Volume'"
    run spinel status
    [ "$status" -eq 1 ]
    [[ $output == *'does not read as Spinel wrote it'* || $output == *'not as Spinel wrote it'* ]]
    [[ $output != *'git fsck'* ]]
}

@test "a head that is refused, left and comes again is told again" {
    bad=$(bare mktree </dev/null | { read -r tree; blob <<<'kind: {' >blob; entry 100644 a.yaml "$(cat blob)" | tree; })
    bad=$(commit_tree "$bad" main)
    daemon_start
    until_true 20 is_converged
    for _ in 1 2; do
        bare update-ref refs/heads/main "$bad"
        spinel plan >/dev/null 2>&1 || true
        until_true 20 sh -c "spinel status --json | jq -e '.headProblem != null'"
        bare update-ref refs/heads/main "$good"
        spinel plan >/dev/null
        until_true 20 sh -c "spinel status --json | jq -e '.headProblem == null'"
    done
}
