# SPDX-License-Identifier: MPL-2.0
# Bash completion for spinel. The words come from the program's own tables.
_spinel() {
    local current=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} command= word i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            --site | --color | = | -*) ;;
            *) case ${COMP_WORDS[i - 1]} in --site | --color | =) ;; *) command=$word; break ;; esac ;;
        esac
    done
    if [ -z "$command" ] && [[ $current != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" help --words 2>/dev/null)" -- "$current")
    elif [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" help --words "${command:-help}" 2>/dev/null)" -- "$current")
        [[ ${COMPREPLY[0]:-} != *= ]] || compopt -o nospace
    else
        case $command in
            help) mapfile -t COMPREPLY < <(compgen -W "$("$program" help --words)" -- "$current") ;;
            get | describe | explain | schema | history)
                mapfile -t COMPREPLY < <(compgen -W "$("$program" schema 2>/dev/null | awk 'NR > 1 { print tolower($1) }')" -- "$current") ;;
            freeze) mapfile -t COMPREPLY < <(compgen -W "changes healing deletions" -- "$current") ;;
            *) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        esac
    fi
}
complete -F _spinel spinel
