/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_CONFFILE_H
#define BF_CONFFILE_H

/*
 * The configuration: a file of lines "key = value", then the drop-ins of the folder FILE.d, *.conf in order of their names. What is read later wins. The keys
 * are those of options.h. Only conffile.c knows libinih.
 */

struct options;

/*
 * Sets what the files say. path NULL: the default file, which need not be there; "none": nothing. What is wrong goes to the log, all of it, each with file,
 * line, and what is allowed; options are then to be thrown away. -EINVAL something is wrong in a file; else a file or folder cannot be read.
 */
int conffile_read(const char *path, struct options *options);

#endif
