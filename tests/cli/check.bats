# SPDX-License-Identifier: MPL-2.0
load cli.bash
setup() {
    setup_alone
    cat >bad.yaml <<'YAML'
apiVersion: spinel/v1
kind: Project
metadata: {name: shop}
---
apiVersion: spinel/v1
kind: Instance
metadata: {name: web-1, project: shop}
spec:
  cpus: 1
  memroy: 192MiB
  disks: [{name: data, volume: nowhere}]
YAML
    cp "$BATS_TEST_DIRNAME/../../examples/starter/starter.yaml" good.yaml
}

@test "valid manifests are counted" {
    run spinel check good.yaml
    [ "$status" -eq 0 ]
    [ "$output" = "6 resources in 1 file" ]
}

@test "all errors are told at once, with place, line and caret" {
    run spinel check bad.yaml
    [ "$status" -eq 1 ]
    echo "$output" | is_golden check-bad.txt
}

@test "errors go to standard error and the result to standard output" {
    spinel check bad.yaml >out 2>err || true
    [ ! -s out ]
    [ -s err ]
}

@test "the same as JSON" {
    run spinel check --json bad.yaml
    [ "$status" -eq 1 ]
    echo "$output" | is_golden check-bad.json
    run spinel check --json good.yaml
    [ "$status" -eq 0 ]
    echo "$output" | is_golden check-good.json
}

@test "standard input has a name" {
    run spinel check - <bad.yaml
    [ "$status" -eq 1 ]
    [[ $output == "<stdin>:10:3: error: "* || $output == *$'\n'"<stdin>:10:3: error: "* ]]
}

@test "directories are walked, hidden files and spinel.yaml left out" {
    mkdir -p d/sub d/.hidden
    cp good.yaml d/sub/
    cp bad.yaml d/.hidden/
    echo 'nonsense: [' >d/spinel.yaml
    echo 'not a manifest' >d/notes.txt
    run spinel check d
    [ "$status" -eq 0 ]
    [ "$output" = "6 resources in 1 file" ]
}

@test "a manifest is one whether its name ends in small letters or not" {
    mkdir upper
    for name in a.YAML b.Yml c.yaml d.yml e.YAMLX f.yaml.bak .G.YAML; do
        printf 'apiVersion: spinel/v1\nkind: Project\nmetadata: {name: %s}\n' "p-${#name}-$(tr -dc a-z <<<"$name")" >"upper/$name"
    done
    run spinel check upper
    [ "$status" -eq 0 ]
    [ "$output" = "4 resources in 4 files" ]
    echo 'kind: nothing' >upper/Z.YAML
    run spinel check upper
    [ "$status" -eq 1 ]
    [[ $output == *'upper/Z.YAML:1:'* ]]
}

@test "what cannot be read is an error, as text and as JSON" {
    run spinel check missing.yaml
    [ "$status" -eq 1 ]
    [[ $output == *missing.yaml* ]]
    spinel check --json missing.yaml | jq -e '.valid == false and (.errors | length) == 1' || [ "${PIPESTATUS[0]}" -eq 1 ]
}

@test "nothing to check is wrong usage" {
    run spinel check
    [ "$status" -eq 64 ]
}

@test "a revision of the repository is checked" {
    setup_site
    run spinel check --rev HEAD
    [ "$status" -eq 0 ]
    [ "$output" = "6 resources in 1 file" ]
    run spinel check --rev nowhere
    [ "$status" -eq 1 ]
}
