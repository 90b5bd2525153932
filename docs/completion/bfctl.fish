# SPDX-License-Identifier: LGPL-2.1-or-later
#
# fish completion for bfctl(1)

# Names that only the daemon knows (files, peers) are to be asked of it in functions here, for the commands that take them.

complete -c bfctl -f
complete -c bfctl -l socket -r -F -d 'where bigfiled listens'
complete -c bfctl -l json -d 'for programs'
complete -c bfctl -l sort -x -a 'size resident dirty spilled faults loads stores handles uid how file pid files mappings mapped waiting age command' -d 'by that column'
complete -c bfctl -l version -d 'print the version'
complete -c bfctl -s h -l help -d 'print help'
complete -c bfctl -n __fish_use_subcommand -a status -d 'how it is'
complete -c bfctl -n __fish_use_subcommand -a stats -d 'all its counters, rates and latencies'
complete -c bfctl -n __fish_use_subcommand -a files -d 'the files that are open'
complete -c bfctl -n __fish_use_subcommand -a peers -d 'its clients'
complete -c bfctl -n __fish_use_subcommand -a reclaim -d 'drop clean pages'
complete -c bfctl -n '__fish_seen_subcommand_from reclaim' -a '64M 512M 1G' -d 'so much'
complete -c bfctl -n '__fish_seen_subcommand_from stats' -a '1 10 60' -d 'seconds'
