# SPDX-License-Identifier: MPL-2.0
bats_require_minimum_version 1.5.0
load cli.bash
setup() { setup_site; }
teardown() { site_leave; }

@test "init refuses a directory that is not empty and leaves it as it is" {
    mkdir full && echo mine >full/file
    run spinel init full
    [ "$status" -eq 1 ]
    [[ $output == *"not empty"* ]]
    [ "$(ls -A full)" = file ]
}

@test "init makes a clean clone, hooks and a site that the program accepts" {
    spinel init new --drivers=sim --example=starter | is_golden init.txt
    [ -x new/manifests.git/hooks/pre-receive ]
    [ -x new/manifests.git/hooks/post-receive ]
    [ -z "$(git -C new/manifests status --porcelain)" ]
    spinel --site new/spinel.yaml status
    spinel check new/manifests
}

@test "init quotes a path with a space and a quote for the hooks" {
    spinel init "it's a lab" --drivers=sim >/dev/null
    git -C "it's a lab/manifests" push 2>&1 | grep -q 'the push is accepted'
}

@test "plan exits 2 while something would run and 0 afterwards" {
    run spinel plan
    [ "$status" -eq 2 ]
    spinel apply --yes --wait=60s
    run spinel plan
    [ "$status" -eq 0 ]
}

@test "a store that an older Spinel made, or whose first start was cut short, is taken up by apply" {
    spinel apply --yes --wait=60s >/dev/null
    sqlite3 lab/state/spinel.db 'DELETE FROM rack'
    spinel apply --yes --wait=60s
    sqlite3 lab/state/spinel.db 'PRAGMA writable_schema=ON; DROP TABLE event; DROP TABLE drift;
        DROP TRIGGER object_added; DROP TRIGGER object_changed; DROP TRIGGER object_dropped;
        DROP INDEX intent_left; ALTER TABLE intent DROP COLUMN leaves_git;
        ALTER TABLE object DROP COLUMN tried;
        DROP TABLE mention; DROP INDEX object_name; DROP INDEX object_renamed; DROP INDEX object_address;
        CREATE INDEX object_gone ON object (kind, name, project) WHERE life = 3; PRAGMA user_version=2'
    run spinel status
    [ "$status" -eq 1 ]
    [[ $output == *'older Spinel'* ]]
    spinel apply --yes --wait=60s
    spinel status
}

@test "apply off a terminal needs --yes, and without it does nothing" {
    run spinel apply </dev/null
    [ "$status" -eq 64 ]
    [ ! -e lab/state/spinel.db ]
}

@test "without a daemon a commit that was pushed and not applied is counted, and what is there stays true" {
    spinel apply --yes >/dev/null 2>&1
    for i in 1 2 3; do
        printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {name: more-%d, project: shop}\nspec: {size: 1MiB}\n' $i
    done >>lab/manifests/starter.yaml
    commit more
    git -C lab/manifests push -q 2>/dev/null
    spinel status --json | jq -e '.resources == {total: 9, true: 6, pending: 3, drifting: 0, held: 0}'
}

@test "a site without a driver for what is declared is told so, and nobody waits for one" {
    sed -i 's/drivers: {default: sim}/drivers: {}/' lab/spinel.yaml
    for command in "plan" "drift" "apply --yes"; do
        run timeout 10 spinel $command
        [ "$status" -eq 1 ] || { echo "$command: $status $output"; false; }
        [[ $output == *'names no driver'*'drivers: {default: sim}'* ]]
    done
    sed -i 's/drivers: {}/drivers: {volume: sim}/' lab/spinel.yaml
    run timeout 20 spinel apply --yes
    [ "$status" -eq 1 ]
    [[ $output == *'Volume shop/web-1-data: create confirmed'*'no driver looks after a VPC'*'default'* ]]
    spinel get volume shop/web-1-data >/dev/null
    daemon_start
    is_told() { spinel status --json | jq -e '.driverProblem | test("no driver looks after a VPC")'; }
    until_true 10 is_told
}

@test "a folder of manifests that is misspelt is told, by plan and push" {
    sed -i 's/branch: main/branch: main, subdir: racks/' lab/spinel.yaml
    run spinel plan
    [ "$status" -eq 0 ]
    [[ $output == *'declares nothing.'*"below 'racks'"*'spec.repository.subdir'* ]]
    commit_empty() { git -C lab/manifests commit -q --allow-empty -m again; }
    commit_empty
    run git -C lab/manifests push
    [[ $output == *"below 'racks'"* ]]
    mkdir lab/manifests/racks
    git -C lab/manifests mv starter.yaml racks/
    commit move
    run git -C lab/manifests push
    [ "$status" -eq 0 ]
    [[ $output != *"below 'racks'"* && $output == *'valid, 6 resources'* ]]
}

@test "a saved plan is applied exactly, and once" {
    spinel plan -o saved >/dev/null 2>&1 || [ $? -eq 2 ]
    [ "$(stat -c %a saved)" = 600 ]
    spinel apply --yes --wait=60s saved
    run spinel apply --yes --wait=60s saved
    [ "$status" -eq 1 ]
}

@test "a saved plan that was altered is refused" {
    spinel plan -o saved >/dev/null 2>&1 || [ $? -eq 2 ]
    sed -i 's/67108864/67108865/' saved
    run spinel apply --yes saved
    [ "$status" -eq 1 ]
    [[ $output == *altered* ]]
}

@test "a result that did not reach its reader is an error, in whatever piece it was lost" {
    for command in 'plan' 'plan --json' 'apply --yes --wait=60s' 'status' 'get instance' 'history' \
        'events' 'drift' 'schema instance' 'schema --all' 'help'; do
        run bash -c "spinel $command 2>/dev/null >/dev/full"
        [ "$status" -eq 1 ] || { echo "$command: $status"; false; }
    done
    spinel schema --all | head -n 1 >/dev/null
    [ "${PIPESTATUS[0]}" -eq 0 ]
}

@test "an empty revision is held, plan exits 3, approval lets it through" {
    spinel apply --yes --wait=60s >/dev/null
    git -C lab/manifests rm -q starter.yaml
    commit empty
    git -C lab/manifests push -q 2>/dev/null
    run spinel apply --yes --wait=60s
    [ "$status" -eq 3 ]
    run spinel plan
    [ "$status" -eq 3 ]
    for hold in $(spinel plan --json | jq -r '.holds[].id'); do spinel approve "$hold"; done
    run spinel apply --yes --wait=60s
    [ "$status" -eq 0 ]
    spinel purge --json | jq -e '.released | length == 1'
    spinel get volume | grep -q released
    uid=$(spinel purge --json | jq -r '.released[0].metadata.uid')
    run spinel purge "$uid" </dev/null
    [ "$status" -eq 64 ]
    run spinel purge --yes 00000000000000000000000000000000
    [ "$status" -eq 1 ]
    [[ $output == *"nothing that was released"* ]]
    spinel purge --yes "$uid"
    spinel plan --json | jq -e --arg uid "$uid" '[.steps[] | select(.uid == $uid)] | .[0].action == "delete"'
    spinel events --json | jq -e --arg uid "$uid" '.events[] | select(.type == "purge.asked" and .uid == $uid)'
    run spinel apply --yes --wait=60s
    spinel purge --json | jq -e '.released == []'
    run spinel get volume --json
    jq -e --arg uid "$uid" '[.items[] | select(.metadata.uid == $uid)] == []' <<<"$output"
}

@test "a lost store is rebuilt from the world, makes nothing twice, and asks first" {
    spinel apply --yes --wait=60s >/dev/null
    uid=$(spinel get volume --json | jq -r '.items[0].metadata.uid')
    rm lab/state/spinel.db*
    run spinel apply --yes --wait=60s
    [ "$status" -eq 3 ]
    [[ $output == *"spinel approve rebuild"* ]]
    [ "$(spinel get volume --json | jq -r '.items[0].metadata.uid')" = "$uid" ]
    spinel approve --json | jq -e '.holds[0].id == "rebuild"'
    spinel approve rebuild
    spinel apply --yes --wait=60s >/dev/null
    run spinel plan
    [ "$status" -eq 0 ]
    [ "$(spinel get volume --json | jq -r '[.items[].metadata.uid] | join(" ")')" = "$uid" ]
    # an approval is for one loss
    rm lab/state/spinel.db*
    run spinel apply --yes --wait=60s
    [ "$status" -eq 3 ]
}

@test "freezes are listed, need a reason and are lifted" {
    spinel apply --yes --wait=60s >/dev/null
    spinel freeze changes --why "audit" --until 2h
    spinel freeze --json | jq -e '.freezes[0] | .what == "changes" and .why == "audit" and .until != null'
    sed -i 's/64MiB/128MiB/' lab/manifests/starter.yaml
    commit grow
    git -C lab/manifests push -q 2>/dev/null
    run spinel plan
    [ "$status" -eq 0 ]
    spinel freeze --lift changes
    run spinel plan
    [ "$status" -eq 2 ]
    run spinel freeze chnages --why x
    [ "$status" -eq 64 ]
}

@test "describe says that nobody knows what is declared while Git cannot be read, not that nothing is" {
    spinel apply --yes --wait=60s >/dev/null
    mv lab/manifests.git away.git
    run spinel describe volume shop/web-1-data
    [ "$status" -eq 1 ]
    [[ $output == *"declared   unknown: "*manifests.git*"spinel describe: "*manifests.git* ]]
    { spinel describe volume shop/web-1-data --json 2>/dev/null || [ $? -eq 1 ]; } |
        jq -e '.desired == null and (.desiredUnknown | test("manifests.git"))'
    run spinel describe volume shop/nobody
    [ "$status" -eq 1 ]
    [[ $output == *manifests.git* ]]
}

@test "every JSON document has its pinned shape" {
    spinel plan --json | without_values | shape | is_golden plan.shape
    spinel status --json | shape | is_golden status-new.shape
    spinel apply --yes --json --wait=60s | without_values | shape | is_golden apply.shape
    spinel status --json | shape | is_golden status.shape
    spinel get volume shop/web-1-data --json | shape | is_golden get.shape
    spinel describe volume shop/web-1-data --json | shape | is_golden describe.shape
    spinel drift --json | shape | is_golden drift.shape
    spinel history --json | shape | is_golden history.shape
    spinel history volume shop/web-1-data --json | jq 'del(.operations[].step.fields)' | shape | is_golden operations.shape
    spinel events --json | jq 'del(.events[].data)' | jq '[.events[] | keys] | unique' | is_golden events.shape
    spinel approve --json | is_golden approve.json
    spinel freeze --json | is_golden freeze.json
    spinel purge --json | is_golden purge.json
    spinel version --json | shape | is_golden version.shape
}

@test "get reads kinds in any case, singular and plural, and fails for what is not there" {
    spinel apply --yes --wait=60s >/dev/null
    for word in volume Volumes VOLUME; do
        [ "$(spinel get $word --json | jq -r '.items[0].metadata.name')" = web-1-data ]
    done
    spinel get instance shop/web-1 --yaml | grep -q 'name: web-1'
    run spinel get volume shop/nothing
    [ "$status" -eq 1 ]
    run spinel get volmue
    [ "$status" -eq 64 ]
    [[ $output == *"did you mean 'volume'?"* ]]
}

damage() {
    file=lab/manifests.git/objects/${1:0:2}/${1:2}
    chmod u+w "$file"
    printf garbage >"$file"
}

@test "a damaged target gives way to the head, and of a damaged head it is said what to do" {
    spinel apply --yes --wait=60s >/dev/null
    old=$(git -C lab/manifests rev-parse HEAD)
    echo '# more' >>lab/manifests/$(git -C lab/manifests ls-files '*.yaml' | head -1)
    git -C lab/manifests -c user.name=a -c user.email=a@b commit -qam two
    git -C lab/manifests push -q
    damage "$old"
    spinel apply --yes --wait=60s
    run spinel plan
    [ "$status" -eq 0 ]
    new=$(git -C lab/manifests rev-parse HEAD)
    damage "$new"
    run spinel apply --yes
    [ "$status" -eq 1 ]
    [[ $output == *"cannot read commit ${new:0:12} from "*"git fsck"* ]] || { echo "$output"; false; }
}

@test "a corrupt store and a second daemon are told clearly" {
    daemon_start
    run timeout 20 spinel serve
    [ "$status" -eq 1 ]
    [[ $output == *"another spinel (pid "* ]]
    daemon_stop
    rm -f lab/state/spinel.db-wal lab/state/spinel.db-shm
    head -c 8192 /dev/urandom >lab/state/spinel.db
    run spinel status
    [ "$status" -eq 1 ]
    [[ $output == *spinel.db* ]]
}

@test "drift of an object that is not there is an error, and never none" {
    spinel apply --yes --wait=60s >/dev/null
    run spinel drift --resource=volume/shop/web-1-data
    [ "$status" -eq 0 ]
    run spinel drift --resource=volume/shop/web-1-dota
    [ "$status" -eq 1 ]
    [[ "$output" == *"web-1-dota"* ]]
    run spinel drift --resource=valume/shop/web-1-data
    [ "$status" -eq 64 ]
}

@test "drift is found without a daemon, healed by one, and told with since when" {
    spinel apply --yes --wait=60s >/dev/null
    world=lab/state/drivers/sim/world
    volume=$(spinel get volume shop/web-1-data --json | jq -r '.items[0].metadata.uid')
    instance=$(spinel get instance shop/web-1 --json | jq -r '.items[0].metadata.uid')
    run spinel drift
    [ "$status" -eq 0 ]
    "$BUILD/drivers/sim" --world "$world" set "$volume" spec.size 4096
    "$BUILD/drivers/sim" --world "$world" delete "$instance"
    run spinel drift --json
    [ "$status" -eq 2 ]
    echo "$output" | shape | is_golden drift-open.shape
    echo "$output" | jq -e '.drift | map([.kind, .path]) == [["Volume", "spec.size"], ["Instance", "object"]]'
    echo "$output" | jq -e '.drift[0] | .desired == 67108864 and .observed == 4096'
    run spinel drift --html drift.html --junit drift.xml
    [[ "$output" == *"should be"*"found by"*"cause"*"then "* ]]
    [ "$status" -eq 2 ]
    grep -q '<code>spec.size</code>' drift.html
    not grep -qE 'src=|href=|<script' drift.html
    grep -q '@media print' drift.html
    python3 - <<'PYTHON'
import xml.etree.ElementTree as xml
suite = xml.parse("drift.xml").getroot()
assert (suite.tag, suite.get("tests"), suite.get("failures")) == ("testsuite", "2", "2"), suite.attrib
assert suite[0].get("name") == "spec.size" and suite[0][0].get("message") == "should be 67108864, is 4096"
PYTHON
    run spinel drift --resource volume/shop/web-1-data
    [ "$status" -eq 2 ]
    [[ $output == *4KiB* && $output != *Instance* ]]
    spinel apply --yes --wait=60s
    run spinel drift
    [ "$status" -eq 0 ]
    spinel drift --since 1h --json | jq -e '.drift | length == 2 and all(.healed != null)'
    # The same state is the same file, whenever it is asked for.
    for copy in a b; do SOURCE_DATE_EPOCH=1700000000 spinel drift --since 1h --html $copy.html >/dev/null || true; sleep 1.1; done
    cmp a.html b.html
    grep -q 'As of 2023-11-14T22:13:20Z' a.html
}

@test "what changed while Spinel was down is told so, and keeps its cause" {
    daemon_start
    until_true 20 eval 'spinel status --json | jq -e .converged'
    uid=$(spinel get volume shop/web-1-data --json | jq -r '.items[0].metadata.uid')
    daemon_stop
    "$BUILD/drivers/sim" --world lab/state/drivers/sim/world set "$uid" spec.size 1073741824
    daemon_start
    until_true 20 eval 'spinel drift --json | jq -e ".drift[0].cause | test(\"before the first look since Spinel started\")"'
    "$BUILD/drivers/sim" --world lab/state/drivers/sim/world set "$uid" spec.size 67108864
    until_true 20 eval 'spinel drift --json | jq -e ".drift == []"'
    "$BUILD/drivers/sim" --world lab/state/drivers/sim/world set "$uid" spec.size 1073741824
    until_true 20 eval 'spinel drift --json | jq -e ".drift[0].cause == \"changed from outside\""'
    daemon_stop
    daemon_start
    spinel drift --json | jq -e '.drift[0].cause == "changed from outside"'
}

@test "a FILE that is - is standard output or input, and nothing is called that" {
    run --separate-stderr spinel plan -o -
    [ "$status" -eq 2 ]
    jq -e '.plan.steps | length > 0' <<<"$output"
    printf '%s\n' "$output" >piped
    spinel apply --yes --wait=60s - <piped >/dev/null 2>&1
    run --separate-stderr spinel drift --html -
    [ "$status" -eq 0 ]
    [[ $output == '<!doctype html>'* && $output == *'</html>' ]]
    run --separate-stderr spinel drift --junit=-
    [ "$status" -eq 0 ]
    python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parseString(sys.argv[1])' "$output"
    for twice in 'drift --html=- --json' 'drift --html=- --junit=-' 'plan --json -o -'; do
        # shellcheck disable=SC2086
        run spinel $twice
        [ "$status" -eq 64 ] || { echo "$twice: $status"; false; }
    done
    [ ! -e - ]
}
