# SPDX-License-Identifier: MPL-2.0
# From a push to its trace, to its note in Git and to a collector; metrics as a parser reads them.
load cli.bash

setup() {
    setup_site
}
teardown() { site_leave; }

is_noted() { git -C lab/manifests.git notes --ref=spinel show main; }

@test "a revision's trace leads from the push to each driver call, and its parts fit in it" {
    daemon_start
    until_true 20 is_converged
    sed -i 's/size: 64MiB/size: 96MiB/' lab/manifests/*.yaml
    commit "More"
    git -C lab/manifests push -q 2>/dev/null
    until_true 20 is_converged
    spinel trace --json >trace.json
    jq -e '.schema == "spinel/trace/v1" and .outcome == "converged" and .revision.revision == 2' trace.json
    jq -e '[.spans[].name] | index("check") and index("load") and index("observe") and index("plan") and index("call") and index("confirm")' trace.json
    jq -e '.spans[0] as $root | all(.spans[]; .status == "ok" and .offset >= 0 and .offset + .ms <= $root.ms)' trace.json
    jq -e '[.spans[].span] | length == (unique | length)' trace.json
    # The ids lead on: the plan and the operation are what history knows them by.
    op=$(jq -r '[.spans[].attributes.op // empty][0]' trace.json)
    spinel history volume shop/web-1-data --json | jq -e --arg op "$op" '.. | objects | select(.op? == $op)'
    spinel trace | grep -q '^revision 2, .*: converged$'
    spinel trace 1 | grep -q '^revision 1,'
    spinel trace "$(git -C lab/manifests rev-parse --short HEAD~1)" | grep -q '^revision 1,'
}

@test "a revision that is not there is named, and what to do" {
    run spinel trace
    [ "$status" -eq 1 ]
    [[ "$output" == *"there is no revision yet"* ]]
    daemon_start
    until_true 20 is_converged
    run spinel trace 77
    [ "$status" -eq 1 ]
    [[ "$output" == *"no revision is or begins with '77'"*"spinel history"* ]]
}

@test "the outcome is noted in Git, a clone shows it, and nobody else may write it" {
    daemon_start
    until_true 20 is_converged
    until_true 10 is_noted
    is_noted | grep -q '^converged after '
    is_noted | grep -q "^Commit: $(git -C lab/manifests.git rev-parse main)\$"
    git -C lab/manifests fetch -q
    git -C lab/manifests log -1 | grep -q '^Notes (spinel):'
    tip=$(git -C lab/manifests.git rev-parse refs/notes/spinel)
    git -C lab/manifests notes --ref=spinel add -f -m "all was well"
    run git -C lab/manifests push origin refs/notes/spinel
    [ "$status" -ne 0 ]
    [[ "$output" == *"written by the daemon alone"* ]]
    # The same outcome again is no second note.
    spinel trace --publish
    [ "$(git -C lab/manifests.git rev-parse refs/notes/spinel)" = "$tip" ]
}

@test "the note of a revision that was held says what became of it" {
    daemon_start
    until_true 20 is_converged
    git -C lab/manifests rm -q starter.yaml
    commit "Away with it"
    git -C lab/manifests push -q 2>/dev/null || true
    says() { git -C lab/manifests.git notes --ref=spinel show main 2>/dev/null | grep -q "^$1 after "; }
    until_true 10 says held
    spinel approve "$(spinel plan --cached --json | jq -r '.holds[0].id')" | grep -q "^[0-9a-f]* is approved: .*, [0-9]* steps* of "
    until_true 20 says converged
}

@test "a repository of somebody else stays writable for them" {
    [ "$(id -u)" -eq 0 ] || skip "not root: cannot give a repository away"
    daemon_start
    until_true 20 is_converged
    until_true 10 is_noted
    daemon_stop
    chown -R nobody lab/manifests.git
    for dir in lab "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/.." "$BATS_RUN_TMPDIR"; do chmod go+x "$dir"; done
    sed -i 's/^  repository: *{\(.*\)}/  repository: {\1, owner: nobody}/' lab/spinel.yaml
    grep -q 'owner: nobody' lab/spinel.yaml || sed -i '/^  repository:/a\    owner: nobody' lab/spinel.yaml
    git -c safe.directory="*" -C lab/manifests.git update-ref -d refs/notes/spinel || rm lab/manifests.git/refs/notes/spinel
    spinel trace --publish
    [ -s lab/manifests.git/refs/notes/spinel ]
    [ -z "$(find lab/manifests.git ! -user nobody)" ]
}

@test "a collector gets the trace as OTLP" {
    cat >collector.py <<'PYTHON'
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        open("received.part", "wb").write(self.path.encode() + b"\n" + body)
        import os; os.rename("received.part", "received")
        self.send_response(200); self.end_headers(); self.wfile.write(b"{}")
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
open("port", "w").write(str(server.server_port))
server.serve_forever()
PYTHON
    python3 collector.py 3>&- &
    until_true 10 test -s port
    printf '  traces: {otlp: "http://127.0.0.1:%s/v1/traces"}\n' "$(cat port)" >>lab/spinel.yaml
    daemon_start
    until_true 20 test -s received
    [ "$(head -n 1 received)" = /v1/traces ]
    tail -n +2 received >otlp.json
    jq -e '.resourceSpans[0].scopeSpans[0].spans | length > 5 and all(.[]; (.traceId | test("^[0-9a-f]{32}$")) and (.spanId | test("^[0-9a-f]{16}$")) and (.startTimeUnixNano | tonumber) <= (.endTimeUnixNano | tonumber))' otlp.json
    jq -S . otlp.json >a
    spinel trace --otlp | jq -S . >b
    diff a b
}

@test "a collector that is not there loses nothing, and the log says so" {
    printf '  traces: {otlp: "http://127.0.0.1:9/v1/traces"}\n' >>lab/spinel.yaml
    daemon_start
    until_true 20 is_converged
    until_true 10 is_noted
    until_true 10 grep -q 'event=outcome.failed' serve.log
    run spinel trace --publish
    [ "$status" -eq 1 ]
    [[ "$output" == *"spec.traces.otlp"* ]]
}

@test "a parser of OpenMetrics reads what is measured" {
    need_python prometheus_client
    short=$(mktemp -d)
    printf '  web: {listen: "unix:%s/sock"}\n' "$short" >>lab/spinel.yaml
    daemon_start
    until_true 20 is_converged
    until_true 10 curl -sf --unix-socket "$short/sock" http://localhost/metrics
    curl -s --unix-socket "$short/sock" http://localhost/metrics >metrics
    rm -rf "$short"
    $python - metrics <<'PYTHON'
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families
found = {f.name: f for f in families(open(sys.argv[1]).read())}
for name in ("spinel_build", "spinel_resources", "spinel_operations", "spinel_operation_duration_seconds",
             "spinel_drift_open", "spinel_drift_oldest_seconds", "spinel_store_commit_duration_seconds",
             "spinel_driver_restarts", "spinel_revision", "spinel_revision_good", "spinel_revision_good_timestamp_seconds"):
    assert name in found, name
counts = {s.labels["verb"]: s.value for s in found["spinel_operation_duration_seconds"].samples
          if s.name.endswith("_count") and s.labels["outcome"] == "confirmed"}
assert counts["create"] >= 5, counts
assert found["spinel_store_commit_duration_seconds"].type == "histogram"
PYTHON
}

@test "the program has its probes" {
    command -v readelf >/dev/null || skip "no readelf"
    for probe in push plan observe op_start op_end; do
        readelf -n "$(command -v spinel)" | grep -q "Name: $probe\$"
    done
}

@test "the log leads from a commit to its plan, its operations and the driver's calls, in both formats" {
    daemon_start
    until_true 20 is_converged
    daemon_stop
    grep -q "event=revision.accepted .*revision=1 commit=$(git -C lab/manifests rev-parse HEAD)" serve.log
    plan=$(sed -n 's/.*event=plan.made .*plan=\([0-9a-f]*\).*/\1/p' serve.log | head -n 1)
    grep -q "event=op.started .*plan=$plan op=[0-9a-f]* verb=create driver=sim call=[0-9]" serve.log
    printf '  log: {format: json}\n' >>lab/spinel.yaml
    daemon_start
    daemon_stop
    jq -e 'has("at") and has("event")' <serve.log >/dev/null || { cat serve.log; return 1; }
}

@test "the dashboard and the alert rules ask only for what is measured" {
    short=$(mktemp -d)
    printf '  web: {listen: "unix:%s/sock"}\n' "$short" >>lab/spinel.yaml
    daemon_start
    until_true 20 is_converged
    until_true 10 curl -sf --unix-socket "$short/sock" http://localhost/metrics
    curl -s --unix-socket "$short/sock" http://localhost/metrics >metrics
    rm -rf "$short"
    grafana=$BATS_TEST_DIRNAME/../../contrib/grafana
    jq -e '.panels | length > 5 and all(.[]; .targets | length > 0)' "$grafana/dashboard.json"
    python3 - "$grafana/alerts.yaml" <<'PYTHON' || /usr/bin/python3 -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))' "$grafana/alerts.yaml"
import sys, yaml
groups = yaml.safe_load(open(sys.argv[1]))["groups"]
assert all(r["alert"] and r["expr"] and r["annotations"]["summary"] for g in groups for r in g["rules"])
PYTHON
    for name in $(cat "$grafana"/* | grep -oE 'spinel_[a-z_]+' | sort -u); do
        [ "$name" = spinel_drift_contested_total ] || grep -q "^$name" metrics || { echo "not measured: $name"; return 1; }
    done
    [ -z "$(command -v promtool)" ] || promtool check rules "$grafana/alerts.yaml"
}
