/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_CLOSER_H
#define BF_CLOSER_H

/*
 * Closes what clients have sent, or have sent something to, in threads of its own: who drops the last reference to a socket may have to wait for as long as its owner
 * has said (SO_LINGER), also where it lies unread in the queue of another socket. It knows neither peers nor pagers.
 *
 * Its state is the process's, not an object's: a thread may wait for long, and nobody waits for it when what it closes for is freed, or when the process ends.
 */

#include <stdbool.h>

/* Takes fd. Does not wait, but where neither memory nor a thread can be had. */
void closer_close(int fd);

/* The same if fd is a socket; false: it is none, and the caller's still. */
bool closer_close_socket(int fd);

#endif
