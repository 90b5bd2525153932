/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_REPORT_H
#define BF_REPORT_H

/*
 * What the daemon tells of itself: the reply to WIRE_REPORT bears the descriptor of a memory that holds one of these structs, or an array of them. Both sides have the
 * same version of it, as of all messages. The memory is emptied when the daemon needs it for other reports: who finds less in it than the reply said asks again.
 */

#include <stddef.h>
#include <stdint.h>

#include "histogram.h"

enum report_kind {
        REPORT_STATS,   /* one struct report_stats */
        REPORT_PEERS,   /* struct report_peer */
        REPORT_FILES,   /* struct report_file: those of one pager */
        REPORT_HANDLES, /* struct report_handle: the same */
        REPORT_CONFIG,  /* struct report_setting */
        REPORT_METRICS, /* OpenMetrics text */
        N_REPORT_KINDS,
};

/* What is timed. */
enum report_latency {
        REPORT_FAULT, /* a page fault: from when the daemon heard of it until its thread went on */
        REPORT_LOAD,  /* a read of the file, or of the spill file, until what was read is in place */
        REPORT_STORE, /* a write to the file */
        N_REPORT_LATENCIES,
};

struct report_histogram {
        uint64_t counts[HISTOGRAM_BUCKETS];
        uint64_t sum_nsec;
};

struct report_stats {
        uint64_t time_nsec;   /* monotonic: for rates */
        uint64_t uptime_nsec; /* since the daemon began */
        uint64_t pool_bytes;
        uint64_t resident_bytes;
        uint64_t dirty_bytes;
        uint64_t spilled_bytes;
        uint64_t spill_file_bytes;
        uint64_t spill_limit_bytes;
        uint64_t peers;
        uint64_t filehs;
        uint64_t lingering; /* of those: nobody has them open, and somebody may come back */
        uint64_t mappings;
        uint64_t pagers;
        uint64_t pagers_held; /* of those: wait in the kernel for what a client holds, when this was asked */
        uint64_t faults;
        uint64_t loads;
        uint64_t stores;
        uint64_t evictions;
        uint64_t spills;
        uint64_t unspills;
        uint64_t load_errors;  /* pages that could not be loaded */
        uint64_t store_errors; /* writes that failed */
        struct report_histogram latencies[N_REPORT_LATENCIES];
};

/* A client. One process may be several. */
struct report_peer {
        uint64_t id; /* never another one's */
        int32_t pid; /* 0: not to be seen from where the daemon is */
        uint32_t uid;
        uint64_t since_nsec; /* monotonic: when it connected */
        uint64_t handles;
        uint64_t mappings;
        uint64_t requests; /* without a reply */
        char command[16];  /* as the kernel has it, cut */
};

/* flags of a file */
#define REPORT_FILE_SHARED (1u << 0)
#define REPORT_FILE_HUGE (1u << 1)
#define REPORT_FILE_WRITABLE (1u << 2)
#define REPORT_FILE_TRUNCATED (1u << 3) /* it was seen to end before its size */
#define REPORT_FILE_DIRECT (1u << 4)
#define REPORT_FILE_DIRECT_REFUSED (1u << 5) /* direct I/O was wanted, and its file system has none */

#define REPORT_PATH_MAX 512

/* A fileh. A file that is not shared has one for each handle. */
struct report_file {
        uint64_t number; /* no other one's, while it is there */
        uint64_t device;
        uint64_t inode;
        uint64_t size;
        uint64_t block_size;
        uint64_t resident_bytes;
        uint64_t dirty_bytes; /* in RAM or spilled, those that are being stored included */
        uint64_t spilled_bytes;
        uint64_t faults;
        uint64_t loads;
        uint64_t stores;
        uint64_t evictions;
        uint64_t since_nsec; /* monotonic: when this daemon opened it, since when these are counted */
        uint64_t waiting;   /* page faults that wait for a load, a store or room */
        uint64_t wait_nsec; /* for how long the one that has waited longest has */
        uint32_t handles;
        uint32_t uid; /* whose it is */
        uint32_t pager;
        uint32_t flags;
        char store[16]; /* the kind of it */
        char path[REPORT_PATH_MAX]; /* as the kernel knows it, cut; "inode N" if it does not */
};

struct report_handle {
        uint64_t file; /* its number */
        uint64_t peer;
        uint64_t mappings;
        uint64_t mapped_bytes;
        uint64_t faults;
        uint64_t is_readonly; /* 0 or 1 */
};

#define REPORT_SETTING_RELOADED (1u << 0) /* a new value is taken while the daemon runs */
#define REPORT_SETTING_IN_WORDS (1u << 1) /* nobody has said it, and what is so then depends on the host */

struct report_setting {
        char key[32];
        char value[480];
        char where[480]; /* "FILE:LINE", "the command line", "default" */
        uint32_t flags;
        uint32_t reserved;
};

/* What happens, as WIRE_TRACE tells it: packets of one or more of these. */
enum report_event_kind {
        REPORT_EVENT_FAULT, /* a page fault was answered */
        REPORT_EVENT_STATE, /* a page has another state */
        REPORT_EVENT_LOST,  /* so many (n) were not told, as they came faster than they were read */
        N_REPORT_EVENT_KINDS,
};

struct report_event {
        uint64_t time_nsec; /* monotonic */
        union {
                uint64_t duration_nsec; /* of a fault: since the daemon heard of it */
                uint64_t n;
        };
        uint64_t peer; /* of a fault: whose */
        uint64_t file; /* its number, for those that there are still */
        uint64_t device;
        uint64_t inode;
        uint64_t offset; /* bytes */
        uint8_t kind;
        uint8_t is_write; /* of a fault */
        uint8_t before;   /* enum page_state */
        uint8_t after;    /* of a fault: what it is now */
        uint32_t reserved;
};

/* Of one packet. */
#define REPORT_EVENTS_MAX 64u

#endif
