# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Takes out of scdoc's pages what mandoc -T lint warns of: paragraphs that are empty, titles in lower case, long lines. The text stays as it is.

# A line of text, broken where roff would break it anyway: at single blanks, and never so that a line begins with a control character.
function fold(line, at) {
        while (length(line) > 78) {
                for (at = 78; at > 1; at--)
                        if (substr(line, at, 1) == " " && substr(line, at + 1, 1) !~ /[ .']/ && substr(line, at - 1, 1) != " ")
                                break
                if (at <= 1)
                        break
                print substr(line, 1, at - 1)
                line = substr(line, at + 1)
        }
        print line
}

# A .P waits until it is known what comes after it.
/^\.PP?$/ {
        waits = !begins
        next
}

/^\.(SH|SS|RE|RS|TP|fi)/ || /^\.$/ {
        if (!/^\.(RS|fi)/)
                waits = 0
}

{
        if (waits)
                print ".P"
        waits = 0
        begins = /^\.(SH|SS)/
}

/^\.TH / {
        $2 = toupper($2)
}

/^\.nf/ {
        literal = 1
}

/^\.fi/ {
        literal = 0
}

literal || /^\./ {
        print
        next
}

{
        fold($0)
}
