# SPDX-License-Identifier: LGPL-2.1-or-later
#
# bash completion for bfctl(1)

# What a command takes after it: its own line below, and nothing else, has to be changed for a new one.
_bfctl_operands() {
        case $1 in
        reclaim) echo '64M 512M 1G' ;;
        stats | top | trace) echo '1 10 60' ;;
        esac
}

# The columns of the table that these words ask for, or of all.
_bfctl_columns() {
        [[ " $1 " == *' peers '* ]] || echo 'size resident dirty spilled faults loads stores handles uid how file'
        [[ " $1 " == *' files '* ]] || echo 'pid uid files mappings mapped faults waiting age command'
}

# Names that only the daemon knows are asked of it: the program, the socket that is on the command line already, the command that lists them, and the field. A daemon
# that does not answer does not hold up who types.
_bfctl_ask() {
        timeout 2 "$1" ${2:+--socket "$2"} --json "$3" 2>/dev/null | sed -n "s/^ *\"$4\": \"\{0,1\}\([^\"]*\)\"\{0,1\},\$/\1/p" | sort -u
}

# Those of the lines on standard input that begin like that.
_bfctl_begin() {
        local line

        while IFS= read -r line; do
                [[ $line != "$1"* ]] || printf '%s\n' "$line"
        done
}

# The value of an option.
_bfctl_value() {
        local program=$1 option=$2 socket=$3 word=$4

        case $option in
        --socket)
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
                compopt -o filenames 2>/dev/null
                ;;
        --kind) mapfile -t COMPREPLY < <(compgen -W 'fault state' -- "$word") ;;
        --sort) mapfile -t COMPREPLY < <(compgen -W "$(_bfctl_columns "${COMP_WORDS[*]}")" -- "$word") ;;
        --file)
                mapfile -t COMPREPLY < <(_bfctl_ask "$program" "$socket" files path | _bfctl_begin "$word")
                compopt -o filenames 2>/dev/null
                ;;
        --peer) mapfile -t COMPREPLY < <(_bfctl_ask "$program" "$socket" peers pid | _bfctl_begin "$word") ;;
        esac
}

_bfctl() {
        local word=${COMP_WORDS[COMP_CWORD]} before='' socket='' command='' i

        [ "$COMP_CWORD" -eq 0 ] || before=${COMP_WORDS[COMP_CWORD - 1]}
        COMPREPLY=()
        for ((i = 1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                --socket) socket=${COMP_WORDS[++i]} ;;
                --sort | --file | --peer | --kind) i=$((i + 1)) ;;
                -*) ;;
                *) command=${command:-${COMP_WORDS[i]}} ;;
                esac
        done
        case $before in
        --socket | --sort | --file | --peer | --kind) _bfctl_value "$1" "$before" "$socket" "$word" ;;
        *)
                if [[ $word == -* ]]; then
                        mapfile -t COMPREPLY < <(compgen -W '--socket --json --file --peer --kind --sort --version --help' -- "$word")
                elif [ -z "$command" ]; then
                        mapfile -t COMPREPLY < <(compgen -W 'status stats files peers top trace reclaim config metrics' -- "$word")
                elif [ "$before" = "$command" ]; then
                        mapfile -t COMPREPLY < <(compgen -W "$(_bfctl_operands "$command")" -- "$word")
                fi
                ;;
        esac
}

complete -F _bfctl bfctl
