# SPDX-License-Identifier: LGPL-2.1-or-later
#
# fish completion for bfctl(1)

# Names that only the daemon knows are asked of it: the command that lists them, and the field.
function __bfctl_ask
        set --local words (commandline -opc)
        set --local socket
        if set --local i (contains -i -- --socket $words)
                set socket --socket $words[(math $i + 1)]
        end
        timeout 2 bfctl $socket --json $argv[1] 2>/dev/null | string match -rg '^ *"'$argv[2]'": "?([^"]*)"?,$' | sort -u
end

function __bfctl_files
        __bfctl_ask files path
end

function __bfctl_peers
        __bfctl_ask peers pid
end

complete -c bfctl -f
complete -c bfctl -l socket -r -F -d 'where bigfiled listens'
complete -c bfctl -l json -d 'for programs'
complete -c bfctl -l file -x -a '(__bfctl_files)' -d 'of that file alone'
complete -c bfctl -l peer -x -a '(__bfctl_peers)' -d 'of what this process has open'
complete -c bfctl -l kind -x -a 'fault state' -d 'of what happens'
complete -c bfctl -l sort -x -a 'size resident dirty spilled faults loads stores handles uid how file pid files mappings mapped waiting age command' -d 'by that column'
complete -c bfctl -l version -d 'print the version'
complete -c bfctl -s h -l help -d 'print help'
complete -c bfctl -n __fish_use_subcommand -a status -d 'how it is'
complete -c bfctl -n __fish_use_subcommand -a stats -d 'all its counters, rates and latencies'
complete -c bfctl -n __fish_use_subcommand -a files -d 'the files that are open'
complete -c bfctl -n __fish_use_subcommand -a peers -d 'its clients'
complete -c bfctl -n __fish_use_subcommand -a top -d 'all of this as it happens'
complete -c bfctl -n __fish_use_subcommand -a trace -d 'page faults and states, as they happen'
complete -c bfctl -n __fish_use_subcommand -a reclaim -d 'drop clean pages'
complete -c bfctl -n __fish_use_subcommand -a config -d 'what is set, and where'
complete -c bfctl -n __fish_use_subcommand -a metrics -d 'as OpenMetrics text'
complete -c bfctl -n '__fish_seen_subcommand_from reclaim' -a '64M 512M 1G' -d 'so much'
complete -c bfctl -n '__fish_seen_subcommand_from stats top trace' -a '1 10 60' -d 'seconds'
