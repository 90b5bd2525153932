#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The check of layers, on a small tree: it sees what it is for.

load common

setup() {
        tree=$(mktemp -d /tmp/bf-layers-XXXXXX)
        mkdir "$tree"/{tests,low,high}
        cat >"$tree/tests/layers.txt" <<END
# a comment
[low]
base
tool other # both on one layer

[high: low]
top
<sys/socket.h>: low/tool.c
"made.h": high/top.c
END
        touch "$tree/low/base.h"
        echo '#include "base.h"' >"$tree/low/other.h"
        printf '#include "tool.h"\n#include <sys/socket.h>\n' >"$tree/low/tool.c"
        echo '#include "base.h"' >"$tree/low/tool.h"
        printf '#include "made.h"\n#include "base.h"\n  #  include  "other.h"\n' >"$tree/high/top.c"
}

teardown() {
        rm -rf "$tree"
}

layers() {
        run "$SOURCE_ROOT/tests/check-layers.sh" "$tree"
}

refused() {
        layers
        [ "$status" -eq 1 ]
        says "$1"
}

@test "a tree in order" {
        layers
        [ "$output" = "layers: 5 files, 7 includes, each pointing down" ]
        [ "$status" -eq 0 ]
}

@test "upwards, sideways, from a directory out of reach" {
        echo '#include "tool.h"' >>"$tree/low/base.h"
        refused 'low/base.h: includes "tool.h", which is not below it'
        : >"$tree/low/base.h"
        echo '#include "other.h"' >>"$tree/low/tool.c"
        refused 'low/tool.c: includes "other.h", which is not below it'
        touch "$tree/high/top.h"
        echo '#include "top.h"' >>"$tree/low/other.h"
        refused 'low/other.h: includes "top.h", which is in no directory that low may include from'
}

@test "outside things in the wrong file" {
        echo '#include <sys/socket.h>' >>"$tree/high/top.c"
        refused 'high/top.c: includes <sys/socket.h>, which is for low/tool.c alone'
        echo '#include "made.h"' >>"$tree/low/base.h"
        refused 'low/base.h: includes "made.h", which is for high/top.c alone'
}

@test "a file that is not listed, a listed one that is not there, a permission that nobody uses" {
        touch "$tree/low/new.c"
        refused 'low/new.c: is not in tests/layers.txt'
        rm "$tree"/low/{new.c,other.h}
        refused 'tests/layers.txt: low/other does not exist'
        : >"$tree/low/tool.c"
        refused 'tests/layers.txt: low/tool.c does not include <sys/socket.h>'
}
