/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_URI_H
#define BF_URI_H

/* The names of files that the daemon itself connects to: how a client passes one, which are allowed, and which are the same file. It connects nowhere. */

#include <stdbool.h>
#include <stddef.h>

#include "directory.h"
#include "wire.h"

/* Room for any. */
#define URI_MAX (WIRE_NAME_MAX + 1)

/* The text in the memory that a client passes in place of a file. -EINVAL: it is no sealed memory, or no text that a URI can be. */
int uri_read(int fd, char uri[static URI_MAX]);

/* Is it of a kind that the daemon knows? */
bool uri_is_known(const char *uri);

/*
 * allowed: prefixes with blanks between them; NULL: none. A URI is allowed that is one of them, or goes on from one in a way that cannot lead elsewhere: to a host whose
 * name only begins like the one meant, or out of a folder.
 */
enum uri_verdict {
        URI_REFUSED,
        URI_ALLOWED,
        URI_ALLOWED_AS_SAID, /* every letter of it: files that it names, such as keys, may be read, too */
};

#define URI_ANY "*" /* allows all; it is none of the lists that can be said */

enum uri_verdict uri_judge(const char *uri, const char *allowed);

/* Is it a list of such prefixes? */
bool uri_list_is_valid(const char *prefixes);

/* Two that are written alike are the same file, others never. No other file has such an identity. */
struct file_identity uri_identity(const char *uri);

#endif
