/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_AUTOPSY_H
#define BF_TEST_AUTOPSY_H

/* Shows on stderr what the threads of a hung process are doing: what the kernel says in /proc, and gdb if it is there. */

#include <sys/types.h>

void autopsy(pid_t pid);

#endif
