# SPDX-License-Identifier: MPL-2.0
# Manifests that an attacker would write, at `spinel check` and at a push.
load hostile.bash
setup() { setup_site; }
teardown() { site_leave; }

# refused FILE TEXT: check exits 1, and says this
refused() {
    run spinel check "$1"
    [ "$status" -eq 1 ] || { echo "not refused: $output"; return 1; }
    [[ $output == *"$2"* ]] || { echo "other words: $output"; return 1; }
    is_plain <<<"$output"
}

pool() { printf 'apiVersion: spinel/v1\nkind: Pool\nmetadata: {name: %s}\nspec: {%s}\n' "$1" "${2:-}"; }

@test "1: brackets without end are refused at 64 levels, fast" {
    head -c 65536 /dev/zero | tr '\0' '[' >small.yaml
    head -c 10485760 /dev/zero | tr '\0' '[' >large.yaml
    refused small.yaml 'nested'
    { printf '[%.0s' $(seq 64); printf ']%.0s' $(seq 64); } >deepest.yaml
    { printf '[%.0s' $(seq 65); printf ']%.0s' $(seq 65); } >deeper.yaml
    refused deeper.yaml 'nested'
    run spinel check deepest.yaml
    [ "$status" -eq 1 ]
    [[ $output != *nested* ]]
    refused large.yaml 'large.yaml:1:'
    run within 80 spinel check small.yaml
    [ "$status" -eq 1 ]
    [[ $output != *"of CPU"* ]]
    run within 400 spinel check large.yaml
    [[ $output != *"of CPU"* ]]
}

@test "1: a push of brackets without end changes nothing" {
    daemon_start
    head -c 65536 /dev/zero | tr '\0' '[' >lab/manifests/bomb.yaml
    git -C lab/manifests add -A
    commit bomb
    before=$(bare rev-parse main)
    run git -C lab/manifests push
    [ "$status" -ne 0 ]
    [ "$(bare rev-parse main)" = "$before" ]
    spinel status --json | jq -e --arg c "$before" '.commit == $c'
}

@test "2: aliases that grow are refused by name of their line" {
    { echo 'a: &a [x, x]'; for i in b c d e f g h i; do echo "$i: &$i [*a, *a, *a, *a, *a, *a, *a, *a, *a]"; done; } >bomb.yaml
    refused bomb.yaml 'bomb.yaml:1:4: error'
    [[ $output == *anchor* ]]
}

@test "3: a merge key and an alias of itself are refused" {
    printf 'apiVersion: spinel/v1\nkind: Pool\nmetadata: &m {name: fast, <<: *m}\nspec: {}\n' >merge.yaml
    refused merge.yaml 'anchor'
    [[ $output == *'merge.yaml:3:'* ]]
    printf 'apiVersion: spinel/v1\nkind: Pool\nmetadata: {name: fast, <<: {name: other}}\nspec: {}\n' >plain.yaml
    refused plain.yaml 'merge'
}

@test "4: a key that comes twice is refused" {
    printf 'apiVersion: spinel/v1\nkind: Volume\nmetadata: {name: a, project: p}\nspec:\n  size: 10GiB\n  size: 1GiB\n' >twice.yaml
    refused twice.yaml 'twice.yaml:6:3: error: duplicate key'
}

@test "5: scalars of another YAML are no truth, number or date" {
    for scalar in no yes on 0o17 1e3 .nan 2026-01-01 1_000 +5 0x10 '~'; do
        printf 'apiVersion: spinel/v1\nkind: Volume\nmetadata: {name: a, project: p}\nspec: {size: 1GiB, protect: %s}\n' "$scalar" >s.yaml
        refused s.yaml 's.yaml:4:29: error: protect: expected true or false'
    done
    for scalar in 1e3 .nan .inf 2026-01-01 no 1_000 1.0 0b11 017_; do
        printf 'apiVersion: spinel/v1\nkind: Instance\nmetadata: {name: a, project: p}\nspec: {cpus: %s, memory: 1GiB}\n' "$scalar" >s.yaml
        refused s.yaml 's.yaml:4:14: error: cpus: expected a whole number'
    done
    # YAML 1.2's own: the number is the one that it says
    for most in 14 15; do
        printf 'apiVersion: spinel/v1\nkind: Project\nmetadata: {name: p}\nspec: {}\n---\napiVersion: spinel/v1\nkind: Instance\nmetadata: {name: a, project: p}\nspec: {cpus: 0o17, maxCpus: %s, memory: 1GiB}\n' "$most" >s$most.yaml
    done
    refused s14.yaml 's14.yaml:9:'
    spinel check s15.yaml
    pool no >no.yaml
    spinel check no.yaml
    pool '~' >null.yaml
    refused null.yaml 'name'
}

@test "6: tags are refused" {
    printf 'apiVersion: spinel/v1\nkind: Pool\nmetadata: {name: !!python/object/apply:os.system ["id"]}\nspec: {}\n' >tag.yaml
    refused tag.yaml 'tag'
    printf 'apiVersion: spinel/v1\nkind: !include /etc/shadow\nmetadata: {name: a}\nspec: {}\n' >include.yaml
    refused include.yaml 'tag'
    { printf '%%YAML 1.2\n---\n'; pool a; } >version.yaml
    spinel check version.yaml
    { printf '%%TAG !e! tag:example.org,2026:\n---\n'; pool a; } >directive.yaml
    refused directive.yaml 'directive.yaml:1:1: error: a line that begins with % is a directive'
    { seq -f '%%TAG !%.0f! !' 50000; printf -- '---\n'; pool a; } >directives.yaml
    costs 500 100 directives.yaml 'directives.yaml:1:1: error: a line that begins with % is a directive'
    { printf '\xef\xbb\xbf%%TAG ! '; head -c 16000 /dev/zero | tr '\0' a; printf '\n---\n- '; yes '!a' | head -60 | tr '\n' ' '; } >prefix.yaml
    refused prefix.yaml 'is a directive'
}

@test "7: bytes and characters that hide something are refused" {
    pool 'a\xff' | sed 's/\\xff/\xff/' >utf8.yaml
    refused utf8.yaml 'UTF-8'
    { pool a; printf -- '---\n\xef\xbb\xbf'; pool b; } >bom.yaml
    refused bom.yaml 'byte-order mark U+FEFF is not allowed'
    pool a | iconv -t UTF-16 >utf16.yaml
    refused utf16.yaml 'looks like UTF-16'
    { printf '\xff\xfe\0\0'; pool a | iconv -t UTF-32LE; } >utf32.yaml
    refused utf32.yaml 'looks like UTF-32'
    for form in 16LE 16BE 32LE 32BE; do
        pool a | iconv -t UTF-$form >wide.yaml
        refused wide.yaml "1:1: error: the file looks like UTF-${form%?E}; save it as UTF-8"
        [[ $output != *U+0000* ]]
    done
    { printf '\0\0\xfe\xff'; pool a | iconv -t UTF-32BE; } >wide.yaml
    refused wide.yaml 'looks like UTF-32'
    { pool a | head -c 40; printf '\0'; pool a | tail -c +41; } >nul.yaml
    refused nul.yaml 'control character U+0000'
    for name in 'a\u202eb' 'a\u200bb' 'a\u2066b' '\u0430pool' 'A' 'a_b' 'a.b' '-a' "$(printf 'a%.0s' $(seq 64))"; do
        pool "$(printf "\"$name\"")" >name.yaml
        refused name.yaml 'is not a name'
    done
    for point in '\uFFFE' '\uFFFF' '\uFDD0' '\U0001FFFE'; do
        { printf '# first\n'; pool "a, labels: {x: y$(printf "$point")}"; } >none.yaml
        refused none.yaml 'none.yaml:4:34: error: noncharacter U+'
        [[ $output == *'1 error in 1 file'* ]]
    done
    pool '"a\u202eb"' >escaped.yaml
    refused escaped.yaml 'is not a name'
    pool '"a\0b"' >escaped-nul.yaml
    refused escaped-nul.yaml 'U+0000'
}

@test "what a manifest is called cannot write to the terminal" {
    mkdir -p "$(printf 'd\033]0;x\007')"
    printf 'kind: \033[31m\n' >"$(printf 'd\033]0;x\007/a\033[2J\n.yaml')"
    run spinel check "$(printf 'd\033]0;x\007')"
    [ "$status" -eq 1 ]
    is_plain <<<"$output"
    run spinel check "$(printf 'nothing\033[2J.yaml')"
    [ "$status" -eq 1 ]
    is_plain <<<"$output"
    spinel check --json "$(printf 'd\033]0;x\007')" | jq -e '.valid == false' || [ "${PIPESTATUS[0]}" -eq 1 ]
}

@test "a link among manifests is not followed, nor is a device or a pipe read" {
    mkdir m
    ln -s /etc/passwd m/a.yaml
    mkfifo m/b.yaml
    run timeout 10 spinel check m
    [ "$status" -eq 1 ]
    [[ $output == *'symbolic link'* && $output == *'not a regular file'* ]]
    not grep -q root: <<<"$output"
}

@test "numbers beyond 64 bits, negative sizes and lists without end are refused" {
    for size in -1GiB 0B 9223372036854775808B 99999999999999999999TiB 1.5GiB '"1 GiB"' 20G; do
        printf 'apiVersion: spinel/v1\nkind: Volume\nmetadata: {name: a, project: p}\nspec: {size: %s}\n' "$size" >size.yaml
        refused size.yaml 'size.yaml:4:'
    done
    for cpus in -1 0 9223372036854775808 99999999999999999999999; do
        printf 'apiVersion: spinel/v1\nkind: Instance\nmetadata: {name: a, project: p}\nspec: {cpus: %s, memory: 1GiB}\n' "$cpus" >cpus.yaml
        refused cpus.yaml 'cpus.yaml:4:'
    done
    { printf 'apiVersion: spinel/v1\nkind: VPC\nmetadata: {name: a, project: p}\nspec: {prefixes: ['
      for i in $(seq 0 255); do printf '10.%s.0.0/16, ' "$i"; done
      for i in $(seq 0 255); do printf '10.%s.0.0/16, ' "$i"; done
      printf ']}\n'; } >many.yaml
    refused many.yaml 'many.yaml:4:'
}

@test "a route to everywhere and networks over each other are refused" {
    printf 'apiVersion: spinel/v1\nkind: Project\nmetadata: {name: p}\nspec: {}\n---\napiVersion: spinel/v1\nkind: VPC\nmetadata: {name: a, project: p}\nspec: {prefixes: [0.0.0.0/0]}\n' >all.yaml
    refused all.yaml 'no guest can have'
    { printf 'apiVersion: spinel/v1\nkind: Project\nmetadata: {name: p}\nspec: {}\n---\napiVersion: spinel/v1\nkind: VPC\nmetadata: {name: a, project: p}\nspec: {prefixes: [10.0.0.0/8]}\n'
      for i in $(seq 10000); do
          printf -- '---\napiVersion: spinel/v1\nkind: Subnet\nmetadata: {name: s%s, project: p}\nspec: {vpc: a, cidr: 10.0.0.0/16}\n' "$i"
      done; } >overlap.yaml
    run within 4000 spinel check overlap.yaml
    [ "$status" -eq 1 ]
    [[ $output == *overlap* && $output != *"of CPU"* ]]
}

# costs CPU_MS MIB FILE TEXT: refused within this CPU time and memory, in less than 300 KB of words
costs() {
    run within "$1" sh -c "ulimit -v $(($2 << 10)); exec spinel check $3"
    [ "$status" -eq 1 ] || { echo "$3: $status ${output:0:300}"; return 1; }
    [[ $output == *"$4"* && $output != *"of CPU"* ]] || { echo "$3: other words: ${output:0:300}"; return 1; }
    [ "${#output}" -lt 300000 ]
}

@test "mistakes without end are counted, and the first thousand told" {
    yes "$(printf 'a\n---')" | head -c 16777216 >texts.yaml
    costs 6000 500 texts.yaml 'errors; these are the first 1000'
    yes "$(printf 'a: b\n---')" | head -c 1048576 >maps.yaml
    costs 1000 200 maps.yaml 'errors; these are the first 1000'
    spinel check --json maps.yaml >maps.json || [ $? -eq 1 ]
    jq -e '.valid == false and (.errors | length) == 1000 and .errorCount > 400000' maps.json
}

@test "a list, labels and a line that are long cost no more than their length" {
    for count in 100000 500000; do
        { printf 'apiVersion: spinel/v1\nkind: VPC\nmetadata: {name: a, project: p}\nspec: {prefixes: ['
          yes '1,' | head -$count | tr -d '\n'
          printf ']}\n'; } >list-$count.yaml
    done
    costs 1000 100 list-100000.yaml '100000 elements; at most 8'
    costs 1000 100 list-500000.yaml 'list-500000.yaml:4:262149: error: over 131072 values in one file'
    { printf 'apiVersion: spinel/v1\nkind: Pool\nmetadata:\n  name: a\n  labels:\n'
      seq -f '    k%.0f: "!"' 60000
      printf 'spec: {}\n'; } >labels.yaml
    costs 1500 200 labels.yaml '60000 errors'
    { printf 'apiVersion: spinel/v1\nkind: Pool\nmetadata: {'
      seq -f 'k%.0f: 1,' 80000 | tr -d '\n'
      printf '}\nspec: {}\n'; } >line.yaml
    costs 1500 200 line.yaml 'unknown field `k1`'
    { printf 'apiVersion: spinel/v1\nkind: Project\nmetadata: {name: p}\nspec: {}\n'
      for i in $(seq 5000); do
          printf -- '---\napiVersion: spinel/v1\nkind: Instance\nmetadata: {name: m%s, project: p}\nspec: {cpus: 1, memory: 1GiB, nics: [{name: eth0, subnet: s}]}\n' "$i"
      done; } >machines.yaml
    costs 3000 200 machines.yaml 'there is no Subnet'
}

@test "names that are nowhere cost no search each, nor do their projects and former names" {
    { printf 'apiVersion: spinel/v1\nkind: Project\nmetadata: {name: p}\nspec: {}\n'
      long=$(printf 'a%.0s' $(seq 40))
      for i in $(seq -w 4000); do
          printf -- '---\napiVersion: spinel/v1\nkind: Pool\nmetadata: {name: %s%s}\nspec: {}\n' "$long" "$i"
          printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {name: v%s, project: p}\nspec: {size: 1GiB, pool: %sx%s}\n' "$i" "$long" "$i"
      done; } >pools.yaml
    costs 3000 300 pools.yaml 'did you mean `aaaa'
    for i in $(seq 8000); do
        printf -- '---\napiVersion: spinel/v1\nkind: Instance\nmetadata: {name: m%s, project: none}\nspec: {cpus: 1, memory: 64MiB, nics: [{name: e, subnet: s}]}\n' "$i"
    done >machines.yaml
    costs 3000 300 machines.yaml 'there is no Project `none`'
    { for i in $(seq 30000); do
          printf -- '---\napiVersion: spinel/v1\nkind: Pool\nmetadata: {name: a%s, renamedFrom: b%s}\nspec: {}\n' "$i" "$i"
      done
      printf -- '---\napiVersion: spinel/v1\nkind: Pool\nmetadata: {name: z, renamedFrom: b1}\nspec: {}\n'; } >renamed.yaml
    costs 3000 300 renamed.yaml 'a1 takes the name b1, too'
}

@test "a machine that is called like a service of the host is a machine and no more" {
    printf 'apiVersion: spinel/v1\nkind: Project\nmetadata: {name: p}\nspec: {}\n---\napiVersion: spinel/v1\nkind: Instance\nmetadata: {name: sshd, project: p}\nspec: {cpus: 1, memory: 64MiB}\n' >lab/manifests/sshd.yaml
    git -C lab/manifests add -A
    commit sshd
    git -C lab/manifests push -q 2>/dev/null
    spinel apply --yes --wait=60s >/dev/null
    uid=$(spinel get instance p/sshd --json | jq -r '.items[0].metadata.uid')
    [[ $uid =~ ^[0-9a-f]{32}$ ]]
    [ -z "$(find lab/state -name '*sshd*')" ]
}

# stays_as_it_was FIELD: of what is declared, this one is told and nothing is done
stays_as_it_was() {
    commit "Another $1"
    git -C lab/manifests push -q >/dev/null 2>&1
    spinel plan --json >plan.json
    jq -e --arg path "spec.$1" '[.steps[] | select(.disposition == "run" or .action == "replace" or .action == "delete")] == [] and
        ([.steps[].fields[] | select(.path == $path and .disposition == "reported" and (.reason // "" | length) > 0)] | length == 1)' plan.json
    spinel apply --yes --wait=20s >/dev/null 2>&1
    spinel get volumes --json | jq -e --arg uid "$volume" '.items | length == 1 and (.[0] | .metadata.uid == $uid and .spec.size == 67108864 and .spec.format == "raw")'
    spinel get instances --json | jq -e --arg uid "$machine" '.items | length == 1 and .[0].metadata.uid == $uid'
    grep -c '"size":67108864,"format":"raw"' lab/state/drivers/sim/world
    cp starter.yaml lab/manifests/starter.yaml
}

@test "24: a volume that would shrink, and a field that needs another object, are refused in words" {
    spinel apply --yes --wait=60s >/dev/null
    volume=$(spinel get volume shop/web-1-data --json | jq -r '.items[0].metadata.uid')
    machine=$(spinel get instance shop/web-1 --json | jq -r '.items[0].metadata.uid')
    cp lab/manifests/starter.yaml .
    sed -i 's/64MiB/32MiB/' lab/manifests/starter.yaml
    stays_as_it_was size
    sed -i 's/64MiB/64MiB, format: qcow2/' lab/manifests/starter.yaml
    stays_as_it_was format
    sed -i 's/memory: 192MiB/&\n  firmware: uefi/' lab/manifests/starter.yaml
    stays_as_it_was firmware
}
