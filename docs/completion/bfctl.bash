# SPDX-License-Identifier: LGPL-2.1-or-later
#
# bash completion for bfctl(1)

# What a command takes after it: its own line below, and nothing else, has to be changed for a new one. Names that only the daemon knows (files, peers) are to be asked
# of it here, with the socket that is on the command line already: $1.
_bfctl_operands() {
        case $2 in
        reclaim) echo '64M 512M 1G' ;;
        stats) echo '1 10 60' ;;
        esac
}

# The columns of the table that these words ask for, or of all.
_bfctl_columns() {
        [[ " $1 " == *' peers '* ]] || echo 'size resident dirty spilled faults loads stores handles uid how file'
        [[ " $1 " == *' files '* ]] || echo 'pid uid files mappings mapped faults waiting age command'
}

_bfctl() {
        local word=${COMP_WORDS[COMP_CWORD]} before='' socket='' command='' i

        [ "$COMP_CWORD" -eq 0 ] || before=${COMP_WORDS[COMP_CWORD - 1]}
        COMPREPLY=()
        if [ "$before" = --socket ]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
                compopt -o filenames 2>/dev/null
                return
        fi
        if [ "$before" = --sort ]; then
                mapfile -t COMPREPLY < <(compgen -W "$(_bfctl_columns "${COMP_WORDS[*]}")" -- "$word")
                return
        fi
        for ((i = 1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                --sort) i=$((i + 1)) ;;
                --socket) socket=${COMP_WORDS[++i]} ;;
                -*) ;;
                *) command=${command:-${COMP_WORDS[i]}} ;;
                esac
        done
        if [[ $word == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '--socket --json --sort --version --help' -- "$word")
        elif [ -z "$command" ]; then
                mapfile -t COMPREPLY < <(compgen -W 'status stats files peers reclaim' -- "$word")
        elif [ "$before" = "$command" ]; then
                mapfile -t COMPREPLY < <(compgen -W "$(_bfctl_operands "$socket" "$command")" -- "$word")
        fi
}

complete -F _bfctl bfctl
