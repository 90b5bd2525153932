/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_WIRE_H
#define BF_WIRE_H

/*
 * The messages between libbfclient and bigfiled, and the one function that validates them. PROTOCOL.md tells the dialogue.
 * One message is one SOCK_SEQPACKET packet. All fields are little-endian and at their natural alignment; reserved ones are zero.
 */

#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the wire format is little-endian, and this code does not convert"
#endif

#define WIRE_VERSION 3

/* Limits: every limit of the protocol is here. */
#define WIRE_MSG_MAX 256                           /* bytes of a message */
#define WIRE_FDS_MAX 6                             /* descriptors with a message */
#define WIRE_REQUESTS_MAX 64                       /* requests of one peer without a reply yet */
#define WIRE_HANDLES_MAX 4096                      /* open handles of one peer */
#define WIRE_MAPPINGS_MAX 65536                    /* mappings of one peer */
#define WIRE_BLOCK_MIN UINT64_C(4096)              /* bytes */
#define WIRE_BLOCK_MAX (UINT64_C(2) << 20)         /* bytes */
#define WIRE_FILE_MAX (UINT64_C(1) << 59)          /* bytes: what the ledger can number in blocks of 4096 */
#define WIRE_NAME_MAX 4096u                        /* bytes of the name of a file that the daemon connects to */
#define WIRE_SERVED_NAME_MAX 128                   /* bytes of the name of a served file, its end included */
#define WIRE_SERVED_MAX 256                        /* files that the processes of one user serve */
#define WIRE_ADDRESS_MAX (UINT64_C(1) << 56)       /* user addresses end below */

/* A request has its id; the reply to it the same with WIRE_REPLY. */
#define WIRE_REPLY 0x8000u

enum wire_id {
        WIRE_HELLO = 1,
        WIRE_OPEN,
        WIRE_CLOSE,
        WIRE_MAP,
        WIRE_UNMAP,
        WIRE_RESIZE,
        WIRE_WRITEOUT,
        WIRE_DISCARD,
        WIRE_INVALIDATE,
        WIRE_LOAD,
        WIRE_ADVISE,
        WIRE_STAT,
        WIRE_POOL_STAT,
        WIRE_RECLAIM,
        WIRE_ADOPT,
        WIRE_SHOWN,
        WIRE_SERVE,
        WIRE_LOOKUP,
        WIRE_REPORT,
        WIRE_RECLAIM_FILE,
        WIRE_TRACE,
        N_WIRE_IDS,
};

struct wire_header {
        uint16_t id;
        uint16_t n_fds;  /* descriptors sent with it */
        uint32_t size;   /* bytes, header included */
        uint32_t serial; /* a request's own number; its reply bears the same */
        uint32_t flags;  /* those of the message; unknown ones are refused */
};

/* Feature bits of WIRE_HELLO: both sides' are intersected. None is defined yet. */
#define WIRE_FEATURES UINT64_C(0)

struct wire_hello {
        struct wire_header header;
        uint32_t version;
        uint32_t reserved;
        uint64_t features;
};

#define WIRE_HELLO_DIRECT (1u << 0) /* of the reply: files are to be opened for direct I/O where they can be */

/* descriptors: /dev/userfaultfd, if the daemon can lend it */
struct wire_hello_reply {
        struct wire_header header;
        int32_t error;
        uint32_t version;
        uint64_t features;
        uint64_t pool_bytes;
};

/* flags of WIRE_OPEN */
#define WIRE_OPEN_SHARED (1u << 0)
#define WIRE_OPEN_HUGE (1u << 1)
#define WIRE_OPEN_READONLY (1u << 2)
#define WIRE_OPEN_NAMED (1u << 3)          /* the file is a sealed memory with a URI in it: what the daemon is to connect to */
#define WIRE_OPEN_DIRECT (1u << 4)         /* the last descriptor is the file once more, opened for direct I/O */
#define WIRE_OPEN_DIRECT_REFUSED (1u << 5) /* it was to be, but its file system does not have it */

/* descriptors of WIRE_OPEN: the file, the userfaultfd; of WIRE_ADOPT: the same, and the memory, the ledger and the spill file,
 * if there is one, that another daemon made; of both: with WIRE_OPEN_DIRECT one more */
struct wire_open {
        struct wire_header header;
        uint64_t size; /* of the file, bytes, as the client sees it */
        uint64_t block_size;
};

/* descriptors: the memory (opened read-only for a read-only handle), the ledger (read-only), the spill file (read-only) if there is one; none for
 * WIRE_ADOPT */
struct wire_open_reply {
        struct wire_header header;
        int32_t error;
        uint32_t handle;
        uint64_t size;
};

/* WIRE_CLOSE, WIRE_DISCARD, WIRE_STAT, WIRE_SHOWN, WIRE_WRITEOUT (flags: BF_WRITEOUT_*) */
struct wire_handle {
        struct wire_header header;
        uint32_t handle;
        uint32_t reserved;
};

#define WIRE_WRITEOUT_STORE (1u << 0)
#define WIRE_WRITEOUT_MARKSTORED (1u << 1)
#define WIRE_WRITEOUT_SYNC (1u << 2)

/* of the reply to WIRE_LOAD: pages of the range may be poisoned in the client's mappings, and need not be any more */
#define WIRE_LOAD_HEALED (1u << 0)

struct wire_map {
        struct wire_header header;
        uint32_t handle;
        uint32_t reserved;
        uint64_t address; /* a multiple of the page size of the memory: 4096, or 2 MiB with WIRE_OPEN_HUGE */
        uint64_t offset;  /* a multiple of the block size */
        uint64_t length;  /* a multiple of the block size */
};

struct wire_unmap {
        struct wire_header header;
        uint32_t handle;
        uint32_t reserved;
        uint64_t address;
};

struct wire_resize {
        struct wire_header header;
        uint32_t handle;
        uint32_t reserved;
        uint64_t size;
};

/* WIRE_INVALIDATE, WIRE_LOAD, WIRE_ADVISE */
struct wire_range {
        struct wire_header header;
        uint32_t handle;
        uint32_t advice; /* WIRE_ADVISE only: enum wire_advice */
        uint64_t offset;
        uint64_t length;
};

/* The numbers of enum bf_advice. */
enum wire_advice {
        WIRE_ADVICE_NORMAL,
        WIRE_ADVICE_SEQUENTIAL,
        WIRE_ADVICE_RANDOM,
        WIRE_ADVICE_WILLNEED,
        WIRE_ADVICE_DONTNEED,
        N_WIRE_ADVICES,
};

/* what the daemon tells of itself (report.h) */
struct wire_report {
        struct wire_header header;
        uint32_t kind;  /* enum report_kind */
        uint32_t pager; /* for those that each pager makes of what it has: which, from 0; else 0 */
};

struct wire_reclaim {
        struct wire_header header;
        uint64_t bytes; /* 0: all that is clean */
};

/* what happens (report.h); descriptor of the reply, a struct wire_reply: a socket that it comes from */
struct wire_trace {
        struct wire_header header;
        uint32_t kinds; /* a bit for each enum report_event_kind */
        uint32_t reserved;
        uint64_t device; /* of that file alone; inode 0: of all */
        uint64_t inode;
};

/* clean pages of one file (struct report_file) */
struct wire_reclaim_file {
        struct wire_header header;
        uint32_t file; /* its number */
        uint32_t reserved;
        uint64_t bytes; /* 0: all that is clean */
};

/* the reply to everything that has none of its own */
struct wire_reply {
        struct wire_header header;
        int32_t error; /* 0 or a negative errno */
        uint32_t reserved;
};

struct wire_stat_reply {
        struct wire_header header;
        int32_t error;
        uint32_t reserved;
        uint64_t size;
        uint64_t block_size;
        uint64_t resident_bytes;
        uint64_t dirty_bytes;
        uint64_t loads;
        uint64_t stores;
        uint64_t evictions;
        uint64_t faults;
};

struct wire_pool_stat_reply {
        struct wire_header header;
        int32_t error;
        uint32_t reserved;
        uint64_t pool_bytes;
        uint64_t resident_bytes;
        uint64_t dirty_bytes;
        uint64_t peers;
        uint64_t filehs;
        uint64_t mappings;
        uint64_t faults;
        uint64_t loads;
        uint64_t stores;
        uint64_t evictions;
        uint64_t spill_limit_bytes;
        uint64_t spill_file_bytes;
        uint64_t spilled_bytes;
        uint64_t spills;
        uint64_t unspills;
};

/* WIRE_RECLAIM, WIRE_RECLAIM_FILE */
struct wire_reclaim_reply {
        struct wire_header header;
        int32_t error;
        uint32_t reserved;
        uint64_t bytes; /* dropped */
};

/* descriptors: the token of the file, if it was served under another daemon */
struct wire_serve {
        struct wire_header header;
        uint64_t size; /* of the file, bytes */
        uint64_t block_size; /* what is loaded and stored at once, bytes */
        char name[WIRE_SERVED_NAME_MAX]; /* "": it is not to be found by a name */
};

/* descriptors: the token of the file, the socket and the area (provide.h); on an error none */
struct wire_serve_reply {
        struct wire_header header;
        int32_t error;
        uint32_t reserved;
};

struct wire_lookup {
        struct wire_header header;
        char name[WIRE_SERVED_NAME_MAX];
};

/* descriptors: the token of the file; on an error none */
struct wire_lookup_reply {
        struct wire_header header;
        int32_t error;
        uint32_t reserved;
        uint64_t size;
        uint64_t block_size;
};

/* descriptors: a memory with the report */
struct wire_report_reply {
        struct wire_header header;
        int32_t error;
        uint32_t pagers; /* there are so many */
        uint64_t length; /* of the report, bytes */
};

/* Room for any message. */
union wire_msg {
        struct wire_header header;
        struct wire_hello hello;
        struct wire_hello_reply hello_reply;
        struct wire_open open;
        struct wire_open_reply open_reply;
        struct wire_handle handle;
        struct wire_map map;
        struct wire_unmap unmap;
        struct wire_resize resize;
        struct wire_range range;
        struct wire_reclaim reclaim;
        struct wire_serve serve;
        struct wire_lookup lookup;
        struct wire_report report;
        struct wire_reclaim_file reclaim_file;
        struct wire_trace trace;
        struct wire_reply reply;
        struct wire_stat_reply stat_reply;
        struct wire_pool_stat_reply pool_stat_reply;
        struct wire_reclaim_reply reclaim_reply;
        struct wire_serve_reply serve_reply;
        struct wire_lookup_reply lookup_reply;
        struct wire_report_reply report_reply;
        uint8_t bytes[WIRE_MSG_MAX];
};

enum wire_direction {
        WIRE_TO_DAEMON,
        WIRE_TO_CLIENT,
};

/* Why a message was refused; wire_verdict_text() says it in words. */
enum wire_verdict {
        WIRE_OK,
        WIRE_BAD_SHORT,     /* shorter than a header */
        WIRE_BAD_ID,        /* unknown, or for the other side */
        WIRE_BAD_SIZE,      /* not the size of that message, or the header says otherwise */
        WIRE_BAD_FDS,       /* not the descriptors of that message, or the header says otherwise */
        WIRE_BAD_FLAGS,     /* a flag that message does not have */
        WIRE_BAD_RESERVED,  /* a reserved field is not zero */
        N_WIRE_VERDICTS,
};

/* Everything that can be said of a message without knowing the state of the dialogue: size, descriptors, direction, flags, padding. */
enum wire_verdict wire_validate(enum wire_direction direction, const void *bytes, size_t size, unsigned n_fds);

const char *wire_verdict_text(enum wire_verdict verdict);
const char *wire_name(unsigned id);

/* Fills the header of a message of this id (with WIRE_REPLY for a reply), sized as the table says. The rest of *msg is zeroed. */
void wire_init(union wire_msg *msg, unsigned id, uint32_t serial);

#endif
