/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_INJECT_POINTS_H
#define BF_INJECT_POINTS_H

/*
 * The points at which inject.h can strike, in the order of the alphabet.
 * KILL(id, name): the daemon can be killed there: in the middle of something that must survive it.
 * FAIL(id, name, errnos): a call fails that does not fail for the asking; with which errors it is tried.
 */

#define INJECT_POINTS(KILL, FAIL)                                                                                            \
        KILL(ADOPT_ANSWERED, "adopt.answered")             /* the pages are taken up, the client has not heard of it */      \
        KILL(ADOPT_BEGUN, "adopt.begun")                   /* two tables, the new one empty */                               \
        KILL(ADOPT_COMPLETE, "adopt.complete")             /* the new table is complete, the old one in force */             \
        KILL(ADOPT_FORGOTTEN, "adopt.forgotten")           /* a page without content is out of the new table */              \
        KILL(ADOPT_PUNCHED, "adopt.punched")               /* content without a word is gone */                              \
        KILL(ADOPT_TAKEN_OVER, "adopt.taken_over")         /* the new table is in force, the old one still there */          \
        KILL(ADOPT_WORD, "adopt.word")                     /* some words are in the new table */                             \
        KILL(CLOSING_CALLED, "closing.called")             /* the ledger says closed, every page is there */                 \
        KILL(DROP_CALLED, "drop.called")                   /* the ledger says gone, the content is there */                  \
        KILL(DROP_PUNCHED, "drop.punched")                 /* the content is gone, the room not given back */                \
        KILL(FAULT_DIRTY, "fault.dirty")                   /* the ledger says dirty, the page cannot be written yet */       \
        KILL(FAULT_WRITABLE, "fault.writable")             /* it can */                                                      \
        KILL(FILEH_GROWN, "fileh.grown")                   /* the memory has grown, the ledger has the old size */           \
        KILL(FLUSH_BEGUN, "flush.begun")                   /* the ledger says that a flush is under way, it has not begun */ \
        KILL(FLUSH_SETTLING, "flush.settling")             /* of the pages in doubt one is not any more */                   \
        KILL(GUESS_DIRTY, "guess.dirty")                   /* pages are dirty that nobody has written, nor can */            \
        KILL(GUESS_NOTED, "guess.noted")                   /* what is in them is in the ledger, they are clean */            \
        KILL(GUESS_PROTECTED, "guess.protected")           /* one that was not written cannot be any more, and is dirty */   \
        KILL(GUESS_TAKEN_BACK, "guess.taken_back")         /* it is clean */                                                 \
        KILL(GUESS_WRITABLE, "guess.writable")             /* pages can be written that nobody has asked to write */         \
        KILL(LOAD_BEGUN, "load.begun")                     /* the ledger says loading */                                     \
        KILL(LOAD_READ, "load.read")                       /* the content is read, and nowhere else yet */                   \
        KILL(OPENING_ANSWERED, "opening.answered")         /* a reply with descriptors is on its way */                      \
        KILL(OPENING_BUILT, "opening.built")               /* a fileh that nobody has heard of */                            \
        KILL(PAGEMAP_CLOSED, "pagemap.closed")             /* a gap is closed, the table called in motion */                 \
        KILL(PAGEMAP_COUNTING, "pagemap.counting")         /* a word is in the table, and not counted */                     \
        KILL(PAGEMAP_FILLED, "pagemap.filled")             /* a table of another size is complete, the old one in force */   \
        KILL(PAGEMAP_FILLING, "pagemap.filling")           /* it is not complete */                                          \
        KILL(PAGEMAP_MOVED, "pagemap.moved")               /* a word stands twice */                                         \
        KILL(PAGEMAP_TAKEN_OVER, "pagemap.taken_over")     /* the table of another size is in force, the old one there */    \
        KILL(PAGEMAP_TAKING_OVER, "pagemap.taking_over")   /* the same, and called in motion */                              \
        KILL(PAGER_REPLIED, "pager.replied")               /* what was asked is done, the reply between two threads */       \
        KILL(PEER_ANSWERED, "peer.answered")               /* a reply is in the socket */                                    \
        KILL(PEER_RECEIVED, "peer.received")               /* a request is read, and nothing done */                         \
        KILL(PLACE_CALLED, "place.called")                 /* the ledger says loaded or dirty, the content is not there */   \
        KILL(PLACE_CALLED_DIRTY, "place.called_dirty")     /* of these, a page that is to be written */                      \
        KILL(PLACE_DIRTY, "place.dirty")                   /* a large block: filled, and dirty in the ledger, protected */   \
        KILL(PLACE_FAILED, "place.failed")                 /* the ledger says failed, nothing is poisoned */                 \
        KILL(PLACE_FILLED, "place.filled")                 /* the content is there */                                        \
        KILL(PLACE_SHOWN, "place.shown")                   /* and those who waited see it */                                 \
        KILL(PLACE_WRITABLE, "place.writable")             /* the content is there, and can be written */                    \
        KILL(PROVIDER_ANSWERED, "provider.answered")       /* a process has answered, who waits has not heard of it */        \
        KILL(PROVIDER_ASKED, "provider.asked")             /* it is asked */                                                 \
        KILL(PROVIDER_CONNECTED, "provider.connected")     /* a file is served, its process has not heard of it */           \
        KILL(RANGE_DISCARDED, "range.discarded")           /* some dirty pages are discarded */                              \
        KILL(RANGE_DROPPED, "range.dropped")               /* some pages are invalidated */                                  \
        KILL(REQUEST_MAPPED, "request.mapped")             /* a mapping is there, its client has not heard of it */          \
        KILL(REQUEST_UNMAPPED, "request.unmapped")         /* the same of one that is gone */                                \
        KILL(SERVER_ACCEPTED, "server.accepted")           /* a client is there that has said nothing */                     \
        KILL(SPILL_CALLED, "spill.called")                 /* the ledger says spilling, nothing is copied */                 \
        KILL(SPILL_COPIED, "spill.copied")                 /* what is to be spilled is copied */                             \
        KILL(SPILL_PROTECTED, "spill.protected")           /* pages are protected, the ledger says dirty */                  \
        KILL(SPILL_SPILLED, "spill.spilled")               /* the ledger says spilled, the page is in RAM, too */            \
        KILL(SPILL_WRITTEN, "spill.written")               /* the spill file has it, the ledger says spilling */             \
        KILL(WRITEOUT_CALLED, "writeout.called")           /* the ledger says storing, nothing is copied */                  \
        KILL(WRITEOUT_COPIED, "writeout.copied")           /* what is to be stored is copied */                              \
        KILL(WRITEOUT_DONE, "writeout.done")               /* all is marked, the client has not heard of it */               \
        KILL(WRITEOUT_MARKING, "writeout.marking")         /* one page is marked, others are not */                          \
        KILL(WRITEOUT_PROTECTED, "writeout.protected")     /* pages are protected, the ledger says dirty */                  \
        KILL(WRITEOUT_STORED, "writeout.stored")           /* a run is in the file, the ledger says storing */               \
        KILL(WRITEOUT_SYNCED, "writeout.synced")           /* the file is flushed, or not: the ledger does not say */        \
        FAIL(ACCEPT, "accept", "EMFILE ECONNABORTED")                                                                        \
        FAIL(DUP, "dup", "EMFILE")                                                                                           \
        FAIL(FTRUNCATE, "ftruncate", "ENOMEM")                                                                               \
        FAIL(MALLOC, "malloc", "ENOMEM")                                                                                     \
        FAIL(MEMFD_CREATE, "memfd_create", "EMFILE ENOMEM")                                                                  \
        FAIL(MMAP, "mmap", "ENOMEM")                                                                                         \
        FAIL(OPEN, "open", "EMFILE ENOMEM")                                                                                  \
        FAIL(PREAD, "pread", "ENOMEM EINTR")                                                                                 \
        FAIL(PUNCH, "punch", "EINTR")                                                                                        \
        FAIL(PWRITE, "pwrite", "ENOMEM EINTR")                                                                               \
        FAIL(RECVMSG, "recvmsg", "ENOMEM")                                                                                   \
        FAIL(RING_FULL, "ring.full", "EBUSY")                                                                                \
        FAIL(RING_WAIT, "ring.wait", "EAGAIN EBUSY EINTR")                                                                   \
        FAIL(SENDMSG, "sendmsg", "EAGAIN ENOBUFS")                                                                           \
        FAIL(STORE_READ, "store.read", "EIO")                                                                                \
        FAIL(STORE_SYNC, "store.sync", "EIO")                                                                                \
        FAIL(STORE_WRITE, "store.write", "EIO ENOSPC")                                                                       \
        FAIL(UFFD_CONTINUE, "uffd.continue", "EAGAIN ENOMEM")                                                                \
        FAIL(UFFD_COPY, "uffd.copy", "EAGAIN ENOMEM")                                                                        \
        FAIL(UFFD_POISON, "uffd.poison", "EAGAIN ENOMEM")                                                                    \
        FAIL(UFFD_PROTECT, "uffd.protect", "EAGAIN ENOMEM")                                                                  \
        FAIL(UFFD_WAKE, "uffd.wake", "EAGAIN")

#endif
