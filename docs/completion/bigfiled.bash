# SPDX-License-Identifier: LGPL-2.1-or-later
#
# bash completion for bigfiled(8)

_bigfiled() {
        local word=${COMP_WORDS[COMP_CWORD]} before=''

        [ "$COMP_CWORD" -eq 0 ] || before=${COMP_WORDS[COMP_CWORD - 1]}
        COMPREPLY=()
        case $before in
        --socket)
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
                compopt -o filenames 2>/dev/null
                ;;
        --config)
                mapfile -t COMPREPLY < <(compgen -f -W none -- "$word")
                compopt -o filenames 2>/dev/null
                ;;
        --spill-dir)
                mapfile -t COMPREPLY < <(compgen -d -W none -- "$word")
                compopt -o filenames 2>/dev/null
                ;;
        --socket-group)
                mapfile -t COMPREPLY < <(compgen -g -- "$word")
                ;;
        --socket-mode)
                mapfile -t COMPREPLY < <(compgen -W '0600 0660 0666' -- "$word")
                ;;
        --pool | --spill-size)
                mapfile -t COMPREPLY < <(compgen -W '512M 1G 4G 16G' -- "$word")
                ;;
        --uid-peers | --uid-handles | --uid-mappings | --uid-dirty | --allow-nbd | --http-address)
                mapfile -t COMPREPLY < <(compgen -W none -- "$word")
                ;;
        --replacement)
                mapfile -t COMPREPLY < <(compgen -W 'proven lru' -- "$word")
                ;;
        --direct-io | --lend | --served-group)
                mapfile -t COMPREPLY < <(compgen -W 'yes no' -- "$word")
                ;;
        --log-level)
                mapfile -t COMPREPLY < <(compgen -W 'error warning info debug' -- "$word")
                ;;
        --pagers | --room-timeout | --nbd-timeout | --reclaim-batch | --ready-fd | --private-fd) ;;
        *)
                mapfile -t COMPREPLY < <(compgen -W '--socket --socket-mode --socket-group --pool --pagers --spill-dir --spill-size --room-timeout
                        --reclaim-batch --replacement --uid-peers --uid-handles --uid-mappings --uid-dirty --direct-io --lend --allow-nbd --nbd-timeout --served-group --http-address --log-level --config --ready-fd --private-fd
                        --no-lend --check-config --quiet --verbose --version --help' -- "$word")
                ;;
        esac
}

complete -F _bigfiled bigfiled
