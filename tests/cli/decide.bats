# SPDX-License-Identifier: MPL-2.0
# Decisions by HTTP: who may make them, in which words, and what comes of them.
load cli.bash

setup() {
    setup_site
    short=$(mktemp -d) # a socket's path may have 107 characters
    printf '  web: {listen: "unix:%s/sock", tokenFile: ./token}\n' "$short" >>lab/spinel.yaml
    token=0123456789abcdef0123
    (umask 077 && echo "$token" >lab/token)
}
teardown() {
    site_leave
    rm -rf "$short"
}

ask() { curl -s -m 10 --unix-socket "$short/sock" "$@"; }
up() { until_true 20 ask -f -o /dev/null http://localhost/; }
is_converged() { ask http://localhost/api/v1/status | jq -e .converged; }

# decide WHAT BODY [CURL OPTION...]: the status, with the answer in `answer`
decide() {
    local what=$1 body=$2
    shift 2
    ask -o answer -w '%{http_code}' -H "Content-Type: ${type-application/json}" \
        -H "Authorization: ${auth-Bearer $token}" -d "$body" "$@" "http://localhost/api/v1/$what"
}
# refused STATUS WORDS WHAT BODY [CURL OPTION...]
refused() {
    local status=$1 words=$2
    shift 2
    local got
    got=$(decide "$@")
    [ "$got" = "$status" ] && jq -e --arg words "$words" '[.title, .detail] | map(. // "") | join(" ") | contains($words)' answer >/dev/null ||
        { echo "$got: $(cat answer)"; return 1; }
}

@test "without a token in the site file nothing is decided" {
    sed -i 's/, tokenFile: [^}]*//' lab/spinel.yaml
    daemon_start
    up
    [ "$(decide freeze '{"what":"healing","why":"x"}')" != 200 ]
    spinel status --json | jq -e '.freezes == [] or .freezes == null'
}

@test "who decides has the token, and comes from this page or a script" {
    daemon_start
    up
    local good='{"what":"healing","why":"x"}'
    auth='' refused 401 'missing or wrong' freeze "$good"
    auth='Bearer 0123456789abcdef0124' refused 401 'missing or wrong' freeze "$good"
    auth="Basic $token" refused 401 'missing or wrong' freeze "$good"
    type=text/plain refused 403 'comes from this page' freeze "$good"
    type='' refused 403 'comes from this page' freeze "$good"
    refused 403 'comes from this page' freeze "$good" -H 'Origin: http://evil.example'
    refused 403 'comes from this page' freeze "$good" -H 'Origin: null'
    refused 403 'comes from this page' freeze "$good" -H 'Sec-Fetch-Site: cross-site'
    chmod 644 lab/token
    refused 503 'chmod 600' freeze "$good"
    chmod 600 lab/token
    echo short >lab/token
    refused 503 'shorter than' freeze "$good"
    rm lab/token
    refused 503 "cannot read the token's file" freeze "$good"
    mkdir lab/token
    refused 503 "cannot read the token's file" freeze "$good"
    run spinel freeze
    [[ $output != *healing* ]]
}

@test "a decision is whole, or says what it lacks" {
    daemon_start
    up
    refused 400 '' freeze 'no json'
    refused 400 '' freeze '[1]'
    refused 400 'says what' freeze '{"what":"everything","why":"x"}'
    refused 400 'says what' freeze '{"what":"healing"}'
    refused 400 'whenever' freeze '{"what":"healing","why":"x","until":"whenever"}'
    refused 400 'end of a freeze is a text' freeze '{"what":"healing","why":"x","until":7200}'
    refused 400 'over already' freeze '{"what":"healing","why":"x","until":"1970-01-01"}'
    refused 400 'over already' freeze '{"what":"healing","why":"x","until":"2001-01-01"}'
    refused 400 'names its hold' approve '{}'
    refused 400 'what was frozen' lift '{}'
    refused 404 'nothing to decide' destroy '{}'
    refused 404 'no hold' approve '{"hold":"00000000"}'
    refused 404 'not frozen' lift '{"what":"healing"}'
}

@test "a freeze of a token is in force, is told as the viewer's, and is lifted" {
    daemon_start
    up
    [ "$(decide freeze '{"what":"healing","why":"a look","until":"2h"}' -H 'Sec-Fetch-Site: same-origin' -H 'Origin: http://localhost')" = 200 ]
    spinel freeze --json | jq -e '.freezes[0].what == "healing" and .freezes[0].why == "a look" and (.freezes[0].who | test("viewer"))'
    [ "$(decide freeze '{"what":"changes","why":"a look"}' -H 'Sec-Fetch-Site: none')" = 200 ]
    [ "$(decide lift '{"what":"healing"}')" = 200 ]
    [ "$(decide lift '{"what":"changes"}')" = 200 ]
    spinel freeze --json | jq -e '.freezes == []'
}

@test "an approval by the page lets the held steps through, once" {
    daemon_start
    up
    until_true 20 is_converged
    git -C lab/manifests rm -q starter.yaml
    commit 'all gone'
    git -C lab/manifests push -q 2>/dev/null || true
    is_held() { ask http://localhost/api/v1/plan | jq -e '.holds | length > 0'; }
    until_true 20 is_held
    hold=$(ask http://localhost/api/v1/plan | jq -r '.holds[0].id')
    [ "$(decide approve "{\"hold\":\"$hold\"}")" = 200 ]
    until_true 30 is_converged
    ask http://localhost/api/v1/resources | jq -e '[.items[] | select(.kind == "Instance")] == []'
}

@test "a core that does not answer is said, and nothing was decided" {
    daemon_start
    up
    core=$(pgrep -P "$daemon" -x spinel | head -1)
    kill -STOP "$core"
    got=$(decide freeze '{"what":"healing","why":"x"}')
    kill -CONT "$core"
    [ "$got" = 503 ]
}
