#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Checks every #include of a tree against tests/layers.txt, where the rules are written down.
# Usage: check-layers.sh [TREE]
set -euo pipefail

tree=$(realpath "${1:-$(dirname "$0")/..}")
list=$tree/tests/layers.txt

declare -A level   # "daemon/page" -> its line in the list; smaller is lower
declare -A reaches # "daemon" -> the directories whose headers it may include, itself first
declare -A knowers # "<liburing.h>" -> the files that may include it
declare -A used    # "<liburing.h> daemon/ring.c" -> 1
n_faults=0
n_includes=0

fault() {
        printf '%s\n' "$*" >&2
        n_faults=$((n_faults + 1))
}

read_list() {
        local number=0 dir='' line module

        while IFS= read -r line; do
                number=$((number + 1))
                line=${line%%#*}
                case $line in
                *[![:space:]]*) ;;
                *) continue ;;
                esac
                if [[ $line =~ ^\[([a-z]+)\ *:?\ *([a-z\ ]*)\] ]]; then
                        dir=${BASH_REMATCH[1]}
                        reaches[$dir]="$dir ${BASH_REMATCH[2]}"
                elif [[ $line =~ ^([\<\"][^:]*[\>\"])\ *:\ *(.*) ]]; then
                        knowers[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
                else
                        for module in $line; do
                                level[$dir/$module]=$number
                        done
                fi
        done <"$list"
}

# The file of the tree that a quoted include means, without suffix; nothing if there is none in reach.
resolve() {
        local dir=$1 name=$2 candidate

        for candidate in ${reaches[$dir]}; do
                if [ -e "$tree/$candidate/$name" ]; then
                        printf '%s/%s' "$candidate" "${name%.h}"
                        return
                fi
        done
}

check_inner() {
        local file=$1 name=$2 module=${1%.*} dir=${1%%/*} target

        target=$(resolve "$dir" "$name")
        if [ -z "$target" ]; then
                [ -n "${knowers[\"$name\"]:-}" ] || fault "$file: includes \"$name\", which is in no directory that $dir may include from"
        elif [ "${target%%/*}" = "$dir" ] && [ "$target" != "$module" ] && [ "${level[$target]:-0}" -ge "${level[$module]:-0}" ]; then
                fault "$file: includes \"$name\", which is not below it"
        fi
}

# Outside things: only some files may know them.
check_outer() {
        local file=$1 name=$2 pattern

        for pattern in "${!knowers[@]}"; do
                # shellcheck disable=SC2053 # the right side is a pattern
                [[ $name == $pattern ]] || continue
                used["$pattern $file"]=1
                [[ " ${knowers[$pattern]} " == *" $file "* ]] || fault "$file: includes $name, which is for ${knowers[$pattern]} alone"
        done
}

check_file() {
        local file=$1 name

        [ -n "${level[${file%.*}]:-}" ] || fault "$file: is not in tests/layers.txt"
        while IFS= read -r name; do
                n_includes=$((n_includes + 1))
                check_outer "$file" "$name"
                case $name in
                \"*) check_inner "$file" "$(tr -d '"' <<<"$name")" ;;
                esac
        done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*([<"][^>"]*[>"]).*/\1/p' "$tree/$file")
}

check_list_is_true() {
        local module pattern file

        for module in "${!level[@]}"; do
                [ -e "$tree/$module.c" ] || [ -e "$tree/$module.h" ] || fault "tests/layers.txt: $module does not exist"
        done
        for pattern in "${!knowers[@]}"; do
                for file in ${knowers[$pattern]}; do
                        [ -n "${used["$pattern $file"]:-}" ] || fault "tests/layers.txt: $file does not include $pattern"
                done
        done
}

read_list
mapfile -t files < <(cd "$tree" && for dir in "${!reaches[@]}"; do find "$dir" -maxdepth 1 -name '*.[ch]'; done | sort)
for file in "${files[@]}"; do
        check_file "$file"
done
check_list_is_true
[ "$n_faults" -eq 0 ] || exit 1
echo "layers: ${#files[@]} files, $n_includes includes, each pointing down"
