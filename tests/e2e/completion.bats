#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What shells complete: all options and commands, in a real bash, and in zsh and fish where they are installed.

load common

completion=$SOURCE_ROOT/docs/completion

long_options() {
        "$1" --help | grep -o '^  \(-., \)\?--[a-z-]*' | grep -o -- '--[a-z-]*' | sort -u
}

# What bash completes the last of these words to, one a line.
completes() {
        bash --norc --noprofile -c '
                source "$1"
                shift
                COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
                function=$(complete -p "$1" | sed "s/.*-F \([a-z_]*\) .*/\1/")
                "$function" "$1" "${@: -1}" "${@: -2:1}"
                printf "%s\n" "${COMPREPLY[@]}"' bash "$completion/$1.bash" "$@" | sort
}

@test "bash: every option, and no other" {
        diff <(long_options "$BIGFILED_PROGRAM") <(completes bigfiled --)
        diff <(long_options "$BFCTL_PROGRAM") <(completes bfctl --)
        [ "$(completes bigfiled --po)" = --pool ]
        [ "$(completes bigfiled --pool 1G --check)" = --check-config ]
        [ "$(completes bigfiled x)" = '' ]
}

@test "bash: every command of bfctl, and what it takes" {
        diff <("$BFCTL_PROGRAM" --help | sed -n '/^Commands/,/^Options/s/^  \([a-z][a-z]*\) .*/\1/p' | sort) <(completes bfctl '')
        [ "$(completes bfctl rec)" = reclaim ]
        [ "$(completes bfctl --json --socket /x sta | tr '\n' ' ')" = 'stats status ' ]
        [ -n "$(completes bfctl reclaim '')" ]
        [ -n "$(completes bfctl stats '')" ]
        [ "$(completes bfctl files --sort res)" = resident ]
        [ -z "$(completes bfctl peers --sort res)" ]
        [ "$(completes bfctl --sort pid pe)" = peers ]
        [ -z "$(completes bfctl status '')" ]
        [ "$(completes bfctl status --js)" = --json ]
}

# Two clients, each with a file: one is $dir/a file.
setup_with_clients() {
        local name

        start_daemon --pool 1M --spill-dir none
        for name in 'a file' other; do
                truncate -s 1M "$dir/$name"
                rm -f "$dir/go"
                mkfifo "$dir/go"
                "$BFSAY_PROGRAM" "unix:$socket" "open $dir/link rw" "say ready" "wait" >"$dir/said" <"$dir/go" 3>&- &
                ln -sf "$name" "$dir/link"
                pids+=($!)
                exec {go}>"$dir/go"
                soon grep -q ready "$dir/said"
        done
}

@test "bash: files and clients, as the daemon has them just now" {
        setup_with_clients
        PATH=${BFCTL_PROGRAM%/*}:$PATH
        [ "$(completes bfctl reclaim --file '')" = "$dir/a file"$'\n'"$dir/other" ]
        [ "$(completes bfctl reclaim --file "$dir/a")" = "$dir/a file" ]
        [[ $(completes bfctl reclaim --peer '' | tr '\n' ' ') == *"${pids[1]} "* ]]
        [[ $(completes bfctl reclaim --peer '' | tr '\n' ' ') == *"${pids[2]} "* ]]
        [ "$(completes bfctl reclaim --peer "${pids[1]}")" = "${pids[1]}" ]
        [ -z "$(completes bfctl --socket /nonexistent reclaim --file '')" ]
        BIGFILED_SOCKET=/nonexistent
        [ -z "$(completes bfctl reclaim --file '')" ]
        [ "$(completes bfctl --socket "$socket" reclaim --file "$dir/o")" = "$dir/other" ]
        kill -STOP "$daemon"
        [ -z "$(BIGFILED_SOCKET=$socket completes bfctl reclaim --file '')" ] # who types is not held up
}

@test "bash: values" {
        local value

        [ "$(completes bigfiled --lend '' | tr '\n' ' ')" = 'no yes ' ]
        for value in $(completes bigfiled --log-level ''); do
                "$BIGFILED_PROGRAM" --config none --check-config -q --log-level "$value"
        done
        for value in $(completes bigfiled --pool ''); do
                "$BIGFILED_PROGRAM" --config none --check-config -q --pool "$value"
        done
        touch "$dir/one.conf"
        mkdir "$dir/two"
        [ "$(completes bigfiled --config "$dir/o")" = "$dir/one.conf" ]
        [ "$(completes bigfiled --config non)" = none ]
        [ "$(completes bigfiled --spill-dir "$dir/")" = "$dir/two" ]
        [ "$(completes bfctl --socket "$dir/o")" = "$dir/one.conf" ]
        [ "$(completes bigfiled --socket-group roo)" = root ]
        [ -z "$(completes bigfiled --reclaim-batch '')" ]
}

@test "bash: with a person at the keyboard" {
        command -v script >/dev/null || skip "script(1) is not installed"
        mkdir "$dir/bin"
        printf '#!/bin/sh\necho "given: $*"\n' >"$dir/bin/bfctl"
        chmod +x "$dir/bin/bfctl"
        cat >"$dir/rc" <<-END
                PATH=$dir/bin:\$PATH
                PS1='> '
                source '$completion/bfctl.bash'
	END
        printf 'bfctl --js\trecl\t5\t\nexit\n' |
                TERM=dumb timeout 20 script -qec "bash --noprofile --rcfile '$dir/rc' -i" /dev/null >"$dir/said" 2>&1 3>&-
        grep -q 'given: --json reclaim 512M' "$dir/said" || {
                cat "$dir/said"
                return 1
        }
}

@test "bash: with a person at the keyboard, a file whose name has a blank" {
        command -v script >/dev/null || skip "script(1) is not installed"
        setup_with_clients
        cat >"$dir/rc" <<-END
                PATH=${BFCTL_PROGRAM%/*}:\$PATH
                PS1='> '
                source '$completion/bfctl.bash'
	END
        printf 'bfctl reclaim --file %s/a\t\nexit\n' "$dir" |
                TERM=dumb timeout 20 script -qec "bash --noprofile --rcfile '$dir/rc' -i" /dev/null >"$dir/said" 2>&1 3>&-
        grep -q '^reclaimed 0 B (0 bytes)' "$dir/said" || {
                cat "$dir/said"
                return 1
        }
}

@test "zsh and fish: every option and command" {
        local program shell

        for program in "$BIGFILED_PROGRAM" "$BFCTL_PROGRAM"; do
                grep -o -- '--[a-z-]*\[\|,--[a-z-]*}' "$completion/_${program##*/}" | grep -o -- '--[a-z-]*' | sort -u >"$dir/zsh"
                diff <(long_options "$program") "$dir/zsh"
                grep -o -- ' -l [a-z-]*' "$completion/${program##*/}.fish" | sed 's/ -l /--/' | sort -u >"$dir/fish"
                diff <(long_options "$program") "$dir/fish"
        done
        diff <(completes bfctl '') <(sed -n "s/^ *'\([a-z]*\):.*'\$/\1/p" "$completion/_bfctl" | sort)
        diff <(completes bfctl '') <(sed -n 's/.*__fish_use_subcommand -a \([a-z]*\) .*/\1/p' "$completion/bfctl.fish" | sort)
}

@test "zsh: it can be read" {
        command -v zsh >/dev/null || skip "zsh is not installed"
        zsh -n "$completion/_bigfiled"
        zsh -n "$completion/_bfctl"
        zsh -fc "fpath=('$completion' \$fpath); autoload -U compinit; compinit -D; [[ \$_comps[bfctl] = _bfctl && \$_comps[bigfiled] = _bigfiled ]]"
}

@test "zsh: files and clients, as the daemon has them just now" {
        command -v zsh >/dev/null || skip "zsh is not installed"
        setup_with_clients
        cat >"$dir/driver" <<-'END'
                zmodload zsh/zpty
                zpty shell zsh -f -i
                zpty -w shell "PS1='> '; fpath=('$1' \$fpath); autoload -Uz compinit; compinit -D; bindkey '^I' complete-word; zstyle ':completion:*' list-prompt ''; unsetopt zle_bracketed_paste"
                zpty -w shell "PATH=$2:\$PATH; BIGFILED_SOCKET=$3; export BIGFILED_SOCKET; echo ready"
                while zpty -r shell line && [[ $line != ready* ]]; do :; done
                zpty -n -w shell $4$'\t\n'
                while zpty -r shell line && [[ $line != reclaimed* && $line != bfctl:* ]]; do :; done
                print -r -- "$line"
	END
        run timeout 30 zsh -f "$dir/driver" "$completion" "${BFCTL_PROGRAM%/*}" "$socket" "bfctl reclaim --file $dir/oth"
        [[ $output == "reclaimed 0 B (0 bytes)"* ]]
        run timeout 30 zsh -f "$dir/driver" "$completion" "${BFCTL_PROGRAM%/*}" /nonexistent "bfctl --socket $socket reclaim --file $dir/a"
        [[ $output == "reclaimed 0 B (0 bytes)"* ]]
        run timeout 30 zsh -f "$dir/driver" "$completion" "${BFCTL_PROGRAM%/*}" "$socket" "bfctl reclaim --file $dir/nosuch"
        [[ $output == "bfctl: no file "* ]]
}

@test "fish: it completes" {
        command -v fish >/dev/null || skip "fish is not installed"
        export HOME=$dir XDG_CONFIG_HOME=$dir XDG_DATA_HOME=$dir
        [ "$(fish --no-config -c "source $completion/bigfiled.fish; complete -C 'bigfiled --po'" | cut -f 1)" = --pool ]
        [ "$(fish --no-config -c "source $completion/bigfiled.fish; complete -C 'bigfiled --lend '" | cut -f 1 | sort | tr '\n' ' ')" = 'no yes ' ]
        [ "$(fish --no-config -c "source $completion/bfctl.fish; complete -C 'bfctl --json rec'" | cut -f 1)" = reclaim ]
        fish --no-config -c "source $completion/bfctl.fish; complete -C 'bfctl reclaim '" | grep -q 512M
        setup_with_clients
        PATH=${BFCTL_PROGRAM%/*}:$PATH
        fish --no-config -c "source $completion/bfctl.fish; complete -C 'bfctl reclaim --file '" | grep -q "^$dir/other"
        fish --no-config -c "source $completion/bfctl.fish; complete -C 'bfctl --socket $socket reclaim --peer '" | cut -f 1 | grep -qx "${pids[1]}"
        [ -z "$(fish --no-config -c "source $completion/bfctl.fish; complete -C 'bfctl --socket /nonexistent reclaim --peer '")" ]
}
