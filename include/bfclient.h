/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BFCLIENT_H
#define BFCLIENT_H

/*
 * libbfclient: map files larger than RAM, served by the daemon bigfiled.
 *
 * A program connects, opens a big file, maps a window of it and simply reads and writes memory. A page is loaded when it is first touched, is known
 * to be dirty when it is first written, and leaves RAM when the pool of the daemon needs room. Nothing is written back until the program says so:
 * bf_writeout() stores the dirty pages, bf_discard() forgets them, bf_invalidate() drops stale ones. That is a transaction over memory.
 *
 *      struct bf_client *client;
 *      struct bf_fileh *fileh;
 *      void *memory;
 *      int r;
 *
 *      r = bf_connect(&client, NULL);
 *      r = bf_open(client, "/data/array", O_RDWR, NULL, &fileh);
 *      r = bf_mmap(fileh, 0, length, PROT_READ | PROT_WRITE, &memory);
 *      ... read and write memory ...
 *      r = bf_writeout(fileh, BF_WRITEOUT_STORE | BF_WRITEOUT_MARKSTORED | BF_WRITEOUT_SYNC);
 *      r = bf_munmap(memory);
 *      r = bf_close(fileh);
 *      bf_disconnect(client);
 *
 * Words
 *   page    one block of the file in RAM. Its size is the block size of the handle: a power of two from 4096 bytes to 2 MiB.
 *   fileh   an open handle: a view of the file with its own pages, page states and dirty pages (or, with BF_SHARED, one joined by all its users).
 *   mapping a range of this process's memory that shows a window of a fileh.
 *
 * Rules for every function
 *   - It returns 0 or a negative errno unless said otherwise, and leaves errno alone. bf_errmsg() tells the last failure of this thread in words.
 *   - On failure nothing has changed, and results (ret, ret_...) are untouched, unless said otherwise.
 *   - It may be called from any thread at any time, but not from a signal handler unless said so.
 *   - Offsets and lengths are in bytes. All structs are those of the caller; the library keeps no pointer to them after it returns.
 *   - The library prints nothing and installs no signal handler. It runs one thread of its own for each client, with all signals blocked, and some for each
 *     file that the program serves (bf_open_ops), which block all but those that a thread raises itself.
 *   - Its descriptors are its own: a program that closes those it does not know, such as by closefrom(3), does that before it connects. Later it takes the
 *     mappings away from the daemon, and what is read there are zeros.
 *   - After fork() the child has none of it: touching a mapping is SIGSEGV there, and every function returns -ENOTCONN.
 *   - -ENOTCONN: the daemon is gone, and no other one has come in time (see below), or another one could not take up this handle.
 *     bf_munmap, bf_close and bf_disconnect work all the same.
 *
 * When the daemon is gone
 *   Nothing is lost, dirty pages included, however the daemon ended: the library looks for another one at the same address (or starts another
 *   private one) and hands it all that this process has. Meanwhile functions wait, and so do threads that touch a page not in RAM; what is in RAM
 *   can be read and, if dirty, written. bf_munmap, bf_close and bf_disconnect do not wait.
 *   After $BIGFILED_RECONNECT_TIMEOUT seconds (decimals allowed; read by bf_connect; default 30; 0: at once) without a daemon, functions that need one return
 *   -ENOTCONN, and mappings raise SIGBUS where a page would have to come from the daemon; bf_fault_error() says ENOTCONN. As soon as one is there again
 *   everything works again, the pages that raised SIGBUS included. bf_errmsg() tells why none was reached.
 *   Of a BF_SHARED fileh, users come back one by one. As long as one who may write is missing, bf_writeout() of the others waits for him, as he could write what
 *   is called clean; it goes on as soon as he is back, has unmapped and closed it, or has ended. After the daemon's --room-timeout (10 s) it returns -EBUSY:
 *   nothing more is stored, all that is not is still dirty, and it can be asked again. A process that is stopped, or hangs where no thread runs, is to be continued
 *   or killed then. All else works meanwhile, and who closes the file as the first one back leaves it to the others as it is.
 *   Who opens the file anew meanwhile joins them: bf_open() waits until one of them is back, if need be, but not longer than three seconds after the daemon's start.
 *   A handle that another daemon cannot take up (it runs as another user, say, or lacks memory) is lost: -ENOTCONN and SIGBUS, while other handles go on.
 *
 * Touching memory
 *   A thread that touches a page not in RAM sleeps until the daemon has loaded it, also inside a system call (write(fd, mapping, n) and the like).
 *   A debugger (ptrace, /proc/PID/mem) cannot read such a page; process_vm_readv(2) loads it.
 *   If the load fails, the thread gets SIGBUS at that address, as with mmap of a failing disk; bf_fault_error() tells a handler which errno it was.
 *   From then on each touch of that page is SIGBUS until bf_invalidate() over it: the next touch after that tries again. With BF_SHARED every user
 *   who got a SIGBUS has to do so, for his own mappings.
 *
 * When somebody else changes the file
 *   A handle stays with the file that it opened, as any descriptor does: also when another file takes its name or the name is removed, and also when another
 *   daemon takes the handle up. Who wants the new file opens it.
 *   Truncated: pages behind the new end that are not in RAM fail to load, with ENXIO; those in RAM stay, and dirty ones can be stored, which makes the file
 *   longer again, with zeros where nothing was stored (as bf_resize() does). bf_invalidate() and a load show what is there then.
 *   Grown: the handle keeps its size until bf_resize(), which cuts nothing off; what others have put behind that size is never written over.
 *   Written: pages in RAM do not change; bf_invalidate() makes the next touch load them.
 *
 * Changes larger than the pool
 *   When dirty pages fill the pool, the daemon moves those touched least recently to a file without a name on its own disk (bigfiled --spill-dir, --spill-size),
 *   and brings them back when they are touched. bf_writeout() stores them, bf_discard() and bf_close() drop them, as all others.
 *   Where nothing can be spilled, or no more, who touches a page not in RAM waits for room, and after a time (bigfiled --room-timeout) gets SIGBUS, with ENOMEM.
 *   If a spilled page cannot be brought back, for an error of that disk or for lack of room, its change is not lost: the thread gets SIGBUS, and the page stays
 *   spilled. bf_load() over it tries again, and where that succeeds the page can be touched as before. bf_writeout() and bf_discard() go on as well.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bf_client;
struct bf_fileh;

/* --- connecting --------------------------------------------------------------------------------------------------------------------------------- */

/*
 * Connects to a daemon; *ret is freed by bf_disconnect().
 *
 * address:
 *   NULL                 $BIGFILED_SOCKET (a path) if set, else /run/bigfiled/bigfiled.sock; as "spawn:" if there is no such socket, or nobody serves it.
 *   "unix:PATH"          the socket at PATH.
 *   "spawn:"             a private daemon, started for this client and ended with it (or with this process). If it is killed, another is started.
 *   "spawn:KEY=VALUE,…"  the same with settings: pool=SIZE (64M, 2G, …; default 64M), spill-dir=PATH (or none), spill-size=SIZE, room-timeout=SECONDS
 *                        (see bigfiled --help), daemon=PATH of the program bigfiled.
 *                        Without daemon=, $BIGFILED_PROGRAM if set, else the installed one.
 *
 * Without a privilege for userfaultfd, "spawn:" still works, but then a system call given memory that is not loaded fails with EFAULT.
 *
 * -EINVAL address or $BIGFILED_RECONNECT_TIMEOUT not understood; -ENOENT nothing at PATH, or the program bigfiled is not there; -ECONNREFUSED nobody serves PATH;
 * -EACCES no permission on the socket; -EPERM no userfaultfd to be had; -EUSERS this user has as many clients as the daemon
 * allows one; -EPROTONOSUPPORT the daemon speaks another version; -ENOTCONN it closed the connection at once, or a private one could not start; -ENOSYS the
 * kernel is too old.
 */
int bf_connect(struct bf_client **ret, const char *address);

/* Unmaps and closes what is left; dirty pages are dropped. NULL is fine. No other thread may be in a call on this client or touch its mappings; nor is it for a
 * function of a file that this client serves (bf_open_ops). */
void bf_disconnect(struct bf_client *client);

/* The last failure of a bf_ function in this thread, in words: what was tried, on what, what went wrong, what to do. "" if there was none.
 * The text is the library's, valid until the next bf_ call of this thread. */
const char *bf_errmsg(void);

/* --- opening ------------------------------------------------------------------------------------------------------------------------------------ */

#define BF_SHARED (1u << 0) /* join the one shared fileh of this file: writes are seen by all its users at once, as with mmap(MAP_SHARED) */
#define BF_HUGE (1u << 1)   /* 2 MiB huge pages from the host's reserve (vm.nr_hugepages); -ENOMEM if none is free now, SIGBUS where later one is touched
                             * for which there is none. block_size: 0 or 2 MiB */
#define BF_DIRECT (1u << 2) /* direct I/O, so that the page cache holds no second copy; where the file system has none, as without it;
                             * -EINVAL for what is not a file or block device of this host */

struct bf_open_opts {
        uint32_t size;       /* sizeof(struct bf_open_opts) */
        uint32_t flags;      /* BF_SHARED, BF_HUGE, BF_DIRECT */
        uint64_t block_size; /* 0: 4096, or 2 MiB with BF_HUGE */
        const char *name;    /* of a file to be served: bf_open_ops() alone; else NULL */
};

/*
 * Opens a regular file or block device as a big file. opts may be NULL (all zeros). *ret is freed by bf_close().
 *
 * oflag: O_RDONLY or O_RDWR; O_CREAT makes an empty file (mode 0666 less the umask), to be given a size by bf_resize(), and is for paths alone; O_CLOEXEC changes nothing,
 * as it is always so. Others: -EINVAL.
 * The file is opened here, by this process, with its rights; the daemon gets the descriptor.
 * "ops:NAME" is no path, but a file that a process serves (bf_open_ops()): -ENOENT if none does whose files this user may open.
 *
 * A path that is the URI of an NBD export ("nbd://host/export", "nbds://…", "nbd+unix:///export?socket=PATH") is opened by the daemon, with its own rights, if its --allow-nbd
 * says so (a private daemon: always). BF_WRITEOUT_SYNC has that server flush; bf_writeout(3) and bf_open(3) say what happens when it is gone. It cannot grow:
 * bf_resize() returns -EOPNOTSUPP.
 *
 * Without BF_SHARED the handle is isolated: it sees what is in the file when a page is loaded, plus its own changes, until they are stored.
 * With BF_SHARED it joins handles of the same device, inode and block size, with or all without BF_HUGE: of the same user, or any user's if opened O_RDONLY.
 *
 * What open(2) says (-ENOENT, -EACCES, …); -EISDIR a directory; -ENODEV a pipe, socket or other thing that is no regular file or block device;
 * of an NBD server -EPERM it is not allowed, -EROFS it is read-only, or why it cannot be connected to;
 * -EINVAL other flags, BF_DIRECT for what is no path, or a block size that is no power of two from 4096 to 2 MiB; -EBUSY a user of the shared fileh holds locks on its memory, which no
 * program has a reason to; -ENOMEM; -EMFILE this process has too many handles;
 * -EUSERS this user has, in all his processes: closed ones count until what was being loaded or stored of them has ended.
 */
int bf_open(struct bf_client *client, const char *path, int oflag, const struct bf_open_opts *opts, struct bf_fileh **ret);

/* The same for a descriptor that is open already: borrowed, duplicated inside. Its access mode decides between read-only and read-write.
 * -EBADF not open for reading; -EINVAL opened with O_APPEND. */
int bf_open_fd(struct bf_client *client, int fd, const struct bf_open_opts *opts, struct bf_fileh **ret);

/* Frees the handle. Its dirty pages are dropped, never stored (a shared fileh keeps them while it has another user). -EBUSY while a mapping exists. */
int bf_close(struct bf_fileh *fileh);

/* Grows the file to size bytes (also the file on disk, which has grown even if the daemon then refuses). Existing mappings stay as they are.
 * -EINVAL smaller than now; -EBADF read-only; -EOPNOTSUPP a file of an NBD server, or one that a process serves; -EFBIG; what ftruncate(2) says. */
int bf_resize(struct bf_fileh *fileh, uint64_t size);

/* --- mapping ------------------------------------------------------------------------------------------------------------------------------------ */

/*
 * Maps length bytes of the file from offset on, at an address of the system's choice. Nothing is loaded yet.
 * Any number of mappings of one handle may exist, overlapping or not; they show the same pages. A core dump leaves them out. Mappings are not for mremap(2):
 * what is moved goes on to be served where it is, but only until another daemon takes over, from when on a page not in RAM is SIGBUS there; bf_munmap() wants
 * it moved back; a block torn apart is SIGBUS, and so is what is added to a mapping, after the time that a load waits for room.
 *
 * prot: PROT_READ, or PROT_READ | PROT_WRITE. offset: a multiple of the block size. The memory reaches to the end of the last block; bytes beyond the
 * end of the file read as zero and are never stored.
 *
 * -EINVAL offset off a block boundary, length 0, other prot; -ENXIO beyond the end of the file; -EACCES PROT_WRITE on a read-only handle; -ENOMEM;
 * -EUSERS this user has as many mappings as the daemon allows one.
 */
int bf_mmap(struct bf_fileh *fileh, uint64_t offset, size_t length, int prot, void **ret);

/* Unmaps the whole mapping that starts at addr. Pages stay as they are: a dirty one remains dirty and can still be stored. -EINVAL no mapping
 * there; -EFAULT it was moved away by mremap(2). */
int bf_munmap(void *addr);

/* --- transactions ------------------------------------------------------------------------------------------------------------------------------- */

#define BF_WRITEOUT_STORE (1u << 0)      /* write each dirty page to the file: begun in order of offset, several at a time */
#define BF_WRITEOUT_MARKSTORED (1u << 1) /* each dirty page becomes clean */
#define BF_WRITEOUT_SYNC (1u << 2)       /* with STORE: on stable storage when it returns */

/*
 * Stores dirty pages, marks them as stored, or both. STORE and MARKSTORED apart make a two-phase commit: after STORE alone pages are still dirty.
 * A page written by another thread meanwhile stays dirty; what is stored of a page is its content at one moment.
 * Pages that become dirty after the call began are not its business. A second writeout of the handle waits for the first.
 * STORE | SYNC flushes the file also when nothing is dirty, and with it what earlier writeouts have stored.
 *
 * -EINVAL neither STORE nor MARKSTORED, SYNC without STORE, or an unknown flag; -EBADF a read-only handle; an error of the file (-EIO, -ENOSPC, …):
 * pages before the failing one are stored (and marked if asked), that one and all after it are still dirty. -EBUSY: another user of a BF_SHARED
 * fileh has not come back from a daemon that is gone (see When the daemon is gone).
 *
 * Stable storage: a system may take a store and fail it later, and tells so at the next flush, once, and not of which bytes. So if the flush of SYNC
 * fails, its error is returned, and dirty again is every page of this handle that was stored since the last flush that succeeded: all of this writeout,
 * and of earlier ones without SYNC those that are still in RAM (MARKSTORED by itself counts as such a one). The next writeout stores them all. A page
 * that was evicted meanwhile is not there to be stored again; the daemon's log says how many were. Who must not lose any uses SYNC with each writeout.
 * Handles that are not shared know each its own pages: each is told of the error, at its own next flush, if it was opened by itself; those of one
 * descriptor (bf_open_fd) are one to the system, which tells only the first of them that asks.
 */
int bf_writeout(struct bf_fileh *fileh, unsigned flags);

/* Drops every dirty page; the next touch loads it again. Clean pages stay. A handle that is read-only has none, also where others write: nothing happens, and 0. */
int bf_discard(struct bf_fileh *fileh);

/* Drops every page, clean or dirty, that has a byte in the range; the next touch loads it again. Forgets failed loads (see Touching memory).
 * length may reach beyond the end of the file. Through a handle that is read-only dirty pages stay: they are somebody else's changes. */
int bf_invalidate(struct bf_fileh *fileh, uint64_t offset, uint64_t length);

/* --- loading and advice ------------------------------------------------------------------------------------------------------------------------- */

/* Brings the pages of the range into RAM now; if a load fails, returns its errno instead of raising SIGBUS.
 * -ENXIO beyond the end of the file, also where it was truncated. A range larger than the pool is read through it; its end remains in RAM. */
int bf_load(struct bf_fileh *fileh, uint64_t offset, uint64_t length);

enum bf_advice {
        BF_ADVICE_NORMAL,     /* remembered for the handle, as are the next two: what is touched in order is read ahead */
        BF_ADVICE_SEQUENTIAL, /* more so; and small pages become dirty ahead of who writes them in order: one in which he changed no byte is not stored */
        BF_ADVICE_RANDOM,     /* nothing is read ahead */
        BF_ADVICE_WILLNEED,   /* load the range in the background, at most half the pool; errors are not reported */
        BF_ADVICE_DONTNEED,   /* clean pages may go; dirty ones stay */
};

/* Says how the range will be used. NORMAL, SEQUENTIAL and RANDOM are of the whole handle, whatever the range. -EINVAL unknown advice. */
int bf_advise(struct bf_fileh *fileh, uint64_t offset, uint64_t length, enum bf_advice advice);

/* --- looking ------------------------------------------------------------------------------------------------------------------------------------ */

enum bf_page_state {
        BF_PAGE_EMPTY,   /* not in RAM */
        BF_PAGE_LOADING, /* a load is under way */
        BF_PAGE_LOADED,  /* in RAM, as in the file when it was loaded or stored */
        BF_PAGE_DIRTY,   /* in RAM, written since */
        BF_PAGE_STORING, /* dirty, a store is under way */
        BF_PAGE_SPILLED, /* dirty, kept by the daemon on its disk, not in RAM */
};

/* The state of the page at offset (any byte of it): an enum bf_page_state, or a negative errno. No round trip: it reads the shared ledger.
 * -ENXIO beyond the end of the file. */
int bf_page_state(struct bf_fileh *fileh, uint64_t offset);

struct bf_stat {
        uint64_t size;           /* of the file, bytes */
        uint64_t block_size;     /* bytes */
        uint64_t resident_bytes; /* pages in RAM */
        uint64_t dirty_bytes;    /* changes not stored, in RAM or spilled */
        uint64_t loads;          /* pages loaded; this and what follows: since this daemon has it, from the opening or a restart on */
        uint64_t stores;         /* pages stored */
        uint64_t evictions;      /* clean pages dropped to make room */
        uint64_t faults;         /* page faults answered */
};

int bf_stat(struct bf_fileh *fileh, struct bf_stat *ret);

/* Which errno made the touch of addr fail; to be called from a SIGBUS handler with si_addr. Async-signal-safe.
 * *ret_error gets a positive errno. -ENOENT: not a mapping of this library, or no failure is known there. */
int bf_fault_error(const void *addr, int *ret_error);

/* --- a file served by this process -------------------------------------------------------------------------------------------------------------- */

/*
 * The program's functions. Each is called with file, by threads of the library, several at a time, also with the same block: load and store return 0 or a
 * negative errno; whatever else they return is -EIO. They may be slow, may touch other big files, and may call bf_invalidate() on their own.
 *
 * load: fills buf with a whole block. Its errno is what bf_load() returns, and bf_fault_error() tells after SIGBUS. Must not be NULL.
 * store: takes a whole block out of buf; what lies behind the end of the file is zero there. What BF_WRITEOUT_SYNC is to mean, it has to see to. May be NULL:
 * then bf_writeout() fails with -EROFS.
 * release: the last call, once, when no other is under way, by the thread that closes the handle. May be NULL.
 */
struct bf_file_ops {
        int (*load)(void *file, uint64_t block, void *buf);
        int (*store)(void *file, uint64_t block, const void *buf);
        void (*release)(void *file);
};

/*
 * Makes a big file of size bytes whose content these functions load and store, and a handle on it, for as long as that handle is open: ops is copied, file is
 * handed to them. Nothing is loaded that is not touched or asked for; with BF_ADVICE_SEQUENTIAL it is, ahead of who reads in order. A writeout stores one block after
 * the other, in order of offset, up to one that fails.
 *
 * opts.name: others of the same user (or group, if the daemon is set so: bigfiled --served-group) open the file with bf_open(client, "ops:NAME", …) as long as it is
 * served, each with a view of his own, or all who say BF_SHARED with one. 1 to 127 bytes.
 * opts.block_size: what load and store are given. A multiple of 4096 up to 64 MiB; or 512, 1024 or 2048. The page size of this handle is the same, if it is a power of
 * two from 4096 to 2 MiB, or the next smaller one that divides it; 4096 for smaller blocks; 2 MiB with BF_HUGE. Of block size and page size one must be a multiple
 * of the other. Of a large block all pages are loaded at once. A block is stored when any of its pages is dirty: where others are not, it is loaded for that.
 *
 * The library has up to 4 threads for each file ($BIGFILED_OPS_THREADS: 1 to 64).
 *
 * When the process ends, or closes the handle, loads and stores of other handles on the file fail with -EIO; dirty pages stay dirty, and can be stored when a process of
 * the user serves a file of that name, size and block size again.
 *
 * A thread in one of these functions that would have to wait for the same file gets an error instead where that can be seen: SIGBUS with EDEADLK for a page that
 * is not in RAM, -EDEADLK from bf_load(), bf_writeout() and bf_close().
 *
 * -EINVAL no load, a name, block size or $BIGFILED_OPS_THREADS that cannot be, or BF_DIRECT; -EEXIST this user serves a file of that name; -EFBIG; -EUSERS he serves too many (256); others as of bf_open().
 * On failure nothing is released.
 */
int bf_open_ops(struct bf_client *client, const struct bf_file_ops *ops, void *file, uint64_t size, const struct bf_open_opts *opts,
                struct bf_fileh **ret);

/* --- the whole pool ----------------------------------------------------------------------------------------------------------------------------- */

struct bf_pool_stat {
        uint64_t pool_bytes;     /* the size of the pool */
        uint64_t resident_bytes; /* in use */
        uint64_t dirty_bytes;    /* changes not stored, in RAM or spilled */
        uint64_t peers;          /* connected clients, this one included */
        uint64_t filehs;
        uint64_t mappings;
        uint64_t faults; /* since the daemon started, like those below */
        uint64_t loads;
        uint64_t stores;
        uint64_t evictions;
};

int bf_pool_stat(struct bf_client *client, struct bf_pool_stat *ret);

struct bf_spill_stat {
        uint64_t limit_bytes;   /* what the spill files may take of their disk; 0: nothing is spilled */
        uint64_t file_bytes;    /* what they take now; more than is spilled, as room is given back in the background */
        uint64_t spilled_bytes; /* changes that are there, and not in RAM */
        uint64_t spills;        /* pages spilled since the daemon started */
        uint64_t unspills;      /* and brought back */
};

/* How much of all changes is spilled: see "Changes larger than the pool". */
int bf_spill_stat(struct bf_client *client, struct bf_spill_stat *ret);

/* Drops clean pages, in the order in which they would leave by themselves, until bytes (rounded up to pages) are free of them; 0: all that are clean. Dirty pages stay.
 * *ret_reclaimed (may be NULL) gets the bytes dropped. -EPERM unless root or the user the daemon runs as. */
int bf_pool_reclaim(struct bf_client *client, uint64_t bytes, uint64_t *ret_reclaimed);

#ifdef __cplusplus
}
#endif

#endif
