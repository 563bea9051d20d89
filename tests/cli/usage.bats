# SPDX-License-Identifier: MPL-2.0
load cli.bash
setup() { setup_alone; }

@test "help lists every command with one line" {
    spinel --help | is_golden help.txt
    spinel help | is_golden help.txt
}

@test "each command's help fits 80 columns and names its manual page" {
    for command in $(spinel help --words); do
        spinel "$command" --help >help
        [ "$(spinel help "$command")" = "$(cat help)" ]
        not grep -nE '.{81,}' help
        grep -q "man spinel-$command" help
    done
}

@test "each manual page has every option of its command" {
    for command in $(spinel help --words); do
        page=$BATS_TEST_DIRNAME/../../docs/man/spinel-$command.1.scd
        for option in $(spinel help --words "$command"); do
            grep -qF -e "${option%=}" "$page" || { echo "$page lacks $option"; return 1; }
        done
    done
}

@test "manual pages are well formed" {
    command -v scdoc >/dev/null || skip "scdoc is not installed"
    command -v mandoc >/dev/null || skip "mandoc is not installed"
    for page in "$BATS_TEST_DIRNAME"/../../docs/man/*.scd; do
        scdoc <"$page" >page
        # scdoc separates with empty paragraphs; that is its way, not a mistake of the page.
        mandoc -Tlint -Wwarning page >lint || true
        not grep -v 'skipping paragraph macro' lint
    done
}

@test "an unknown command is refused with the nearest one" {
    run spinel plna
    [ "$status" -eq 64 ]
    [[ $output == *"there is no command 'plna', did you mean 'plan'?"* ]]
}

@test "an unknown option is refused with the nearest one" {
    run spinel plan --jsn
    [ "$status" -eq 64 ]
    [[ $output == *"there is no option '--jsn', did you mean '--json'?"* ]]
}

@test "operands are counted" {
    run spinel get
    [ "$status" -eq 64 ]
    run spinel plan one
    [ "$status" -eq 64 ]
    run spinel freeze changes
    [ "$status" -eq 64 ]
    [[ $output == *"--why"* ]]
}

@test "a time that is none is wrong usage everywhere" {
    for command in 'events --since' 'drift --since' 'freeze changes --why=x --until'; do
        run spinel $command=soon
        [ "$status" -eq 64 ] || { echo "$command: $status $output"; false; }
        [[ $output == *"'soon' is neither a time nor a duration"* ]]
    done
    for past in 1970-01-01 2001-01-01T00:00:00Z 0s; do # 0 stands for no end
        run spinel freeze changes --why=x --until=$past
        [ "$status" -eq 64 ] || { echo "$past: $status $output"; false; }
        [[ $output == *'over already'* ]]
    done
    run spinel apply --yes --wait=9300000000000000s
    [ "$status" -eq 64 ]
    [[ $output == *'more than 30d'* ]]
}

@test "no command at all shows the help and is wrong usage" {
    run spinel
    [ "$status" -eq 64 ]
}

@test "without a site the error says where it looked and what to do" {
    [ ! -e /etc/spinel/spinel.yaml ] || skip "this machine has /etc/spinel/spinel.yaml"
    run spinel plan
    [ "$status" -eq 1 ]
    echo "$output" | is_golden no-site.txt
}

@test "a broken site file is told with its place" {
    printf 'apiVersion: spinel/v1\nkind: Site\nmetadata: {name: lab}\nspec: {stateDri: ./state}\n' >spinel.yaml
    run spinel status
    [ "$status" -eq 1 ]
    echo "$output" | is_golden bad-site.txt
}

@test "output that cannot be written is an error, a reader that left is none" {
    run bash -c 'spinel --help >/dev/full'
    [ "$status" -eq 1 ]
    [[ $output == *"No space left"* ]]
    spinel schema --all | head -n 1 >/dev/null
}

@test "colors only where asked or seen" {
    [ -z "$(spinel explain volume | tr -d '[:print:]\n' | tr -d '\200-\377')" ]
    spinel --color=always explain volume | grep -q "$(printf '\033')"
    [ -z "$(NO_COLOR=1 spinel explain volume | grep "$(printf '\033')")" ]
    run spinel --color=sometimes version
    [ "$status" -eq 64 ]
}

@test "completion offers commands, options and kinds" {
    source "$BATS_TEST_DIRNAME/../../contrib/completion/spinel.bash"
    COMP_WORDS=(spinel pl) COMP_CWORD=1
    _spinel
    [ "${COMPREPLY[*]}" = plan ]
    COMP_WORDS=(spinel get inst) COMP_CWORD=2
    _spinel
    [ "${COMPREPLY[*]}" = instance ]
}
