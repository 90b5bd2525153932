/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_JOURNAL_H
#define BF_JOURNAL_H

/*
 * Messages for the systemd journal, with fields to search for: BIGFILED_PEER_PID, BIGFILED_PEER_UID, BIGFILED_FILE, BIGFILED_DEVICE (MAJOR:MINOR),
 * BIGFILED_INODE, ERRNO. Only journal.c knows its interface.
 */

/* From now on the log goes there, if stderr does. */
void journal_begin(void);

#endif
