# SPDX-License-Identifier: MPL-2.0
# What single commands say of a rack that lives: fields, objects, pasts, what was kept.
load cli.bash

setup() { setup_site; }
teardown() { site_leave; }

world() { "$BUILD/drivers/sim" --world lab/state/drivers/sim/world "$@"; }
apply() { spinel apply --yes --wait=60s >/dev/null 2>&1; }
push() {
    commit "$1"
    git -C lab/manifests push -q 2>/dev/null
}

# ---- the manual in the program

@test "explain tells a field's type, default, choices, range, and the means of a change" {
    spinel explain | grep -q '^ *Instance'
    spinel explain instance | grep -q 'cpus'
    spinel explain instance.spec | grep -q 'cpus'
    [ "$(spinel explain instance.spec)" = "$(spinel explain instance)" ]
    spinel explain instance.spec.updatePolicy.restart >out
    grep -q 'onNextStop' out
    grep -q '^DEFAULT' out
    grep -q '^ONE OF' out
    spinel explain instance.spec.memory | grep -q 'up to .* as it was at boot'
    spinel explain volume.spec.size | grep -qi 'grow'
    spinel explain instance.spec.disks | grep -q 'compared by name'
    spinel explain instance.disks.volume >out
    [ "$(spinel explain instance.spec.disks.volume)" = "$(cat out)" ]
    spinel explain instance.spec.cloudInit.userData | grep -q 'never shown, stored or logged'
    spinel explain subnet.spec.cidr | grep -q 'required'
    spinel --color=always explain instance.spec.cpus | grep -q $'\033'
}

@test "explain names the part of a path that is not there" {
    run spinel explain instance.spec.memroy
    [ "$status" -eq 64 ]
    [[ $output == *"Instance has no field 'spec.memroy', did you mean 'memory'?"* ]]
    run spinel explain instance.spec.disks.volum
    [ "$status" -eq 64 ]
    [[ $output == *"did you mean 'volume'?"* ]]
    run spinel explain instance.spec.cpus.qqqqqqqq
    [ "$status" -eq 64 ]
    [[ $output != *"did you mean"* ]]
    run spinel explain instnace
    [ "$status" -eq 64 ]
    [[ $output == *nstance* ]]
}

@test "a schema is one kind's, or all for an editor" {
    spinel schema instance | jq -e '.properties.spec.properties.cpus.type == "integer"'
    spinel schema --all | jq -e '[.. | .const? // empty] | index("Volume") != null'
    spinel schema | grep -q '^Volume '
}

@test "help of a command is its own, and of none lists them" {
    spinel help plan | grep -q 'spinel plan'
    run spinel help paln
    [ "$status" -eq 64 ]
    [[ $output == *plan* ]]
    [ "$(spinel help plan)" = "$(spinel plan --help)" ]
}

# ---- a site

@test "init takes an example by name or by path, and says what it cannot take" {
    run spinel init other --drivers=none
    [ "$status" -eq 64 ]
    [[ $output == *"host or sim, not 'none'"* ]]
    run spinel init other --drivers=sim --example=nowhere
    [ "$status" -eq 1 ]
    [[ $output == *"there is no example 'nowhere'"* ]]
    mkdir -p mine/deep
    cp lab/manifests/starter.yaml mine/deep/a.yaml
    echo 'not copied' >mine/README
    spinel init My_Rack--7 --drivers=sim --example=./mine | grep -q 'with the example committed'
    [ -e My_Rack--7/manifests/deep/a.yaml ]
    [ ! -e My_Rack--7/manifests/README ]
    grep -q 'name: my-rack-7' My_Rack--7/spinel.yaml
    echo 'kind: Volume' >mine/deep/bad.yaml
    run spinel init third --drivers=sim --example=./mine
    [ "$status" -eq 1 ]
    [[ $output == *"the example ./mine is not valid"* ]]
    [ ! -e third ]
    touch file
    run spinel init file --drivers=sim
    [ "$status" -eq 1 ]
    [[ $output == *"cannot look into file"* ]]
    run spinel init nowhere/deep --drivers=sim
    [ "$status" -eq 1 ]
    [[ $output == *"cannot make nowhere/deep"* ]]
    spinel init host --drivers=host | grep -q 'push'
    grep -q 'instance: qemu' host/spinel.yaml
    spinel init ./___ --drivers=sim >/dev/null
    grep -q 'name: lab' ./___/spinel.yaml
}

# ---- one object

@test "describe shows three states side by side, what differs, and what was done" {
    apply
    spinel describe instance shop/web-1 >out
    grep -q '^Instance shop/web-1' out
    grep -qE '^  declared +starter.yaml:[0-9]+' out
    grep -qE '^  FIELD +DESIRED +BOOTED +OBSERVED' out
    grep -qE '^  spec.memory +' out
    grep -q 'Last operations:' out
    grep -q 'Last events:' out
    uid=$(spinel get volume shop/web-1-data --json | jq -r '.items[0].metadata.uid')
    world set "$uid" spec.size 134217728
    apply || true
    spinel describe volume shop/web-1-data >out
    grep -q '128MiB' out
    spinel --color=always describe volume shop/web-1-data | grep -q $'\033'
    # declared, and never met
    printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {name: late, project: shop}\nspec: {size: 1GiB}\n' >>lab/manifests/starter.yaml
    push late
    spinel describe volume shop/late | grep -q 'none yet: nothing was applied'
    spinel describe volume shop/late --json | jq -e '.desired.size == 1073741824 and .observed == null and .metadata.name == "late"'
    run spinel describe volume shop/nobody
    [ "$status" -eq 1 ]
    run spinel describe valume shop/late
    [ "$status" -eq 64 ]
}

@test "describe tells what is gone from Git, and hides what is secret" {
    cat >>lab/manifests/starter.yaml <<'Y'
---
apiVersion: spinel/v1
kind: Instance
metadata: {name: two, project: shop}
spec: {cpus: 1, memory: 64MiB, cloudInit: {userData: hush-hush}}
Y
    push secret
    apply
    spinel describe instance shop/two >out
    spinel describe instance shop/two --json >>out
    spinel describe seed shop/two >>out
    spinel describe seed shop/two --json >>out
    not grep -q hush-hush out
    spinel describe instance shop/two --json | jq -e '.desired.cloudInit.userData == {"sensitive": "same"}'
    git -C lab/manifests rm -q starter.yaml
    push gone || true
    apply || true
    spinel describe volume shop/web-1-data | grep -qE '^  declared +no'
}

@test "get is a table, JSON or YAML, of all or of one" {
    apply
    spinel get volumes | grep -q 'shop/web-1-data'
    spinel get instance | grep -q 'web-1'
    spinel get instance shop/web-1 --yaml | grep -q 'kind: Instance'
    spinel get subnet --json | jq -e '.items | length > 0'
    run spinel get volume shop/nobody
    [ "$status" -eq 1 ]
}

# ---- the past

@test "history is of the rack or of one object, newest first, as long as asked for" {
    apply
    sed -i 's/64MiB/96MiB/' lab/manifests/starter.yaml
    push 'more room'
    apply
    spinel history >out
    grep -q 'more room' out
    [ "$(spinel history --json | jq '.revisions | length')" = 2 ]
    [ "$(spinel history --limit=1 --json | jq -r '.revisions[0].subject')" = 'more room' ]
    spinel history volume shop/web-1-data | grep -q 'create'
    spinel history volume shop/web-1-data --json | jq -e '.operations[-1].verb == "create"'
    run spinel history volume shop/nobody
    [ "$status" -eq 1 ]
    run spinel history volume
    [ "$status" -ne 0 ]
    run spinel history --limit=-1
    [ "$status" -eq 64 ]
}

@test "events are from a time, or the newest so many" {
    apply
    [ "$(spinel events --limit=2 --json | jq '.events | length')" = 2 ]
    [ "$(spinel events --since=2099-01-01 --json | jq '.events | length')" = 0 ]
    [ "$(spinel events --since=2h --json | jq '.events | length > 2')" = true ]
    [ "$(spinel events --limit=3 | wc -l)" = 3 ]
    run spinel events --since=yesterday
    [ "$status" -ne 0 ]
    [[ $output == *"'yesterday' is neither a time nor a duration"* ]]
}

@test "drift is a table, JSON, a page and a report for CI; of all or of one object" {
    apply
    run spinel drift
    [ "$status" -eq 0 ]
    uid=$(spinel get volume shop/web-1-data --json | jq -r '.items[0].metadata.uid')
    world delete "$uid"
    run spinel drift --html=page.html --junit=report.xml
    [ "$status" -eq 2 ]
    [[ $output == *web-1-data* ]]
    grep -q '<html' page.html
    grep -q 'web-1-data' page.html
    not grep -qE '(src|href)="?https?:' page.html
    grep -q '<testsuite' report.xml
    grep -q '<failure' report.xml
    run spinel drift --resource=volume/shop/web-1-data
    [ "$status" -eq 2 ]
    run spinel drift --resource=instance/shop/web-1 --json
    [ "$status" -eq 0 ]
    run spinel drift --resource=web-1
    [ "$status" -eq 64 ]
    run spinel drift --since=never
    [ "$status" -eq 64 ]
    run spinel drift --html=nowhere/page.html
    [ "$status" -eq 1 ]
    [[ $output == *nowhere/page.html* ]]
    spinel drift --since=2h --ignored --json >/dev/null || [ $? -eq 2 ]
}

# ---- holds, freezes, what was kept

@test "freezes have an end or none, are refused without a reason, and are lifted by name" {
    spinel freeze healing --why='a test' --until=2h | grep -q 'frozen until 20'
    spinel freeze changes --why='a test' | grep -q 'until it is lifted'
    spinel freeze | grep -qE 'healing .*a test'
    run spinel freeze deletions
    [ "$status" -eq 64 ]
    [[ $output == *'it needs --why'* ]]
    run spinel freeze deletions --why=''
    [ "$status" -eq 64 ]
    run spinel freeze healing --why=x --until=whenever
    [ "$status" -eq 64 ]
    run spinel freeze --lift=healing --why=x
    [ "$status" -eq 64 ]
    [[ $output == *'--lift stands alone'* ]]
    run spinel freeze --lift=everything
    [ "$status" -eq 64 ]
    spinel freeze --lift=healing | grep -q 'no longer frozen'
    run spinel freeze --lift=healing
    [ "$status" -eq 1 ]
    [[ $output == *'not frozen'* ]]
    daemon_start
    spinel freeze deletions --why='by the daemon' --until=2099-01-01 | grep -q 2099
    spinel freeze --json | jq -e '[.freezes[].what] == ["changes", "deletions"]'
    spinel freeze --lift=deletions
    run spinel freeze --lift=deletions
    [ "$status" -eq 1 ]
}

@test "what was released is listed, and given up by its uid: without a daemon and by one" {
    run spinel purge
    [ "$status" -eq 0 ]
    [[ $output == *'nothing is released'* ]]
    for name in one two; do
        printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {name: %s, project: shop}\nspec: {size: 1GiB}\n' "$name"
    done >lab/manifests/more.yaml
    git -C lab/manifests add more.yaml
    push more
    apply
    git -C lab/manifests rm -q more.yaml
    push less
    apply
    spinel purge >out 2>err
    grep -q 'shop/one' out
    grep -q 'To destroy one' err
    [ "$(spinel purge --json | jq '.released | length')" = 2 ]
    one=$(spinel purge --json | jq -r '.released[0].metadata.uid')
    two=$(spinel purge --json | jq -r '.released[1].metadata.uid')
    run spinel purge "$one"
    [ "$status" -eq 64 ]
    [[ $output == *'needs --yes; nothing was done'* ]]
    run spinel purge --yes ffffffffffffffffffffffffffffffff
    [ "$status" -eq 1 ]
    spinel purge --yes "$one" | grep -q "the next 'spinel apply' deletes it"
    apply
    world list | not grep -q "$one"
    daemon_start
    spinel purge -y "$two" | grep -q 'the daemon deletes it'
    is_gone() { ! world list | grep -q "$two"; }
    until_true 20 is_gone
}

@test "holds are listed with what they hold, and an approval is refused twice" {
    apply
    git -C lab/manifests rm -q starter.yaml
    push 'all gone' || true
    run spinel apply --yes --wait=20s
    [ "$status" -eq 3 ]
    spinel approve | grep -qE 'empty-set|collapse'
    hold=$(spinel approve --json | jq -r '.holds[0].id')
    run spinel approve 00000000
    [ "$status" -eq 1 ]
    [[ $output == *'no hold 00000000'* ]]
    cp -r lab/state before
    spinel approve "$hold" --json | shape | is_golden approved.shape
    rm -rf lab/state && mv before lab/state
    said=$(spinel approve --json | jq -r '.holds[0] | "\(.rule), \(.steps) step"')
    spinel approve "$hold" >out
    grep -q "^$hold is approved: ${said}s* of $(git -C lab/manifests rev-parse --short=12 HEAD)$" out
    grep -qF "  $(spinel events --json | jq -r '[.events[] | select(.type == "hold.raised")][-1].data.reason')" out
    run spinel approve "$hold"
    [ "$status" -eq 1 ]
    [[ $output == *'approved before'* ]]
}
