# SPDX-License-Identifier: LGPL-2.1-or-later
#
# fish completion for bigfiled(8)

complete -c bigfiled -f
complete -c bigfiled -l socket -r -F -d 'listen there'
complete -c bigfiled -l socket-mode -x -a '0600 0660 0666' -d 'permissions of the socket, octal'
complete -c bigfiled -l socket-group -x -a '(__fish_complete_groups)' -d 'group of the socket'
complete -c bigfiled -l pool -x -a '512M 1G 4G 16G' -d 'RAM for pages'
complete -c bigfiled -l pagers -x -d 'threads that answer the page faults of one user'
complete -c bigfiled -l spill-dir -x -a 'none (__fish_complete_directories)' -d 'folder for changes that do not fit into the pool'
complete -c bigfiled -l spill-size -x -d 'how much they may take there'
complete -c bigfiled -l room-timeout -x -d 'how long a fault waits for room'
complete -c bigfiled -l reclaim-batch -x -d 'clean pages dropped at a time'
complete -c bigfiled -l uid-peers -x -a none -d 'clients that one user may have'
complete -c bigfiled -l uid-handles -x -a none -d 'handles that they may have together'
complete -c bigfiled -l uid-mappings -x -a none -d 'mappings that they may have together'
complete -c bigfiled -l uid-dirty -x -a none -d 'dirty pages that they may have together'
complete -c bigfiled -l lend -x -a 'yes no' -d 'lend /dev/userfaultfd to clients'
complete -c bigfiled -l log-level -x -a 'error warning info debug' -d 'what is worth telling'
complete -c bigfiled -l config -r -F -a none -d 'read this configuration, or none'
complete -c bigfiled -l ready-fd -x -d 'write a newline there when ready to serve'
complete -c bigfiled -l private-fd -x -d 'serve only the client at the other end of this socket'
complete -c bigfiled -l no-lend -d 'the same as --lend no'
complete -c bigfiled -l check-config -d 'print what is in force and from where'
complete -c bigfiled -s q -l quiet -d 'with --check-config: say only what is wrong'
complete -c bigfiled -s v -l verbose -d 'the same as --log-level debug'
complete -c bigfiled -l version -d 'print the version'
complete -c bigfiled -s h -l help -d 'print all options'
