/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of all messages. It knows their shape, not what they mean. */

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "wire.h"

struct wire_entry {
        const char *name;
        uint16_t size;
        uint8_t n_fds_min;
        uint8_t n_fds_max;
        uint32_t flags;
        uint16_t reserved; /* where the reserved 32-bit field is; 0: there is none */
};

#define RESERVED(type) offsetof(struct type, reserved)
#define WIRE_OPEN_FLAGS                                                                                                                               \
        (WIRE_OPEN_SHARED | WIRE_OPEN_HUGE | WIRE_OPEN_READONLY | WIRE_OPEN_NAMED | WIRE_OPEN_DIRECT | WIRE_OPEN_DIRECT_REFUSED)

static const struct wire_entry requests[N_WIRE_IDS] = {
        [WIRE_HELLO] = { "HELLO", sizeof(struct wire_hello), 0, 0, 0, RESERVED(wire_hello) },
        [WIRE_OPEN] = { "OPEN", sizeof(struct wire_open), 2, 3, WIRE_OPEN_FLAGS, 0 },
        [WIRE_ADOPT] = { "ADOPT", sizeof(struct wire_open), 4, 6, WIRE_OPEN_FLAGS, 0 },
        [WIRE_SHOWN] = { "SHOWN", sizeof(struct wire_handle), 0, 0, 0, RESERVED(wire_handle) },
        [WIRE_CLOSE] = { "CLOSE", sizeof(struct wire_handle), 0, 0, 0, RESERVED(wire_handle) },
        [WIRE_MAP] = { "MAP", sizeof(struct wire_map), 0, 0, 0, RESERVED(wire_map) },
        [WIRE_UNMAP] = { "UNMAP", sizeof(struct wire_unmap), 0, 0, 0, RESERVED(wire_unmap) },
        [WIRE_RESIZE] = { "RESIZE", sizeof(struct wire_resize), 0, 0, 0, RESERVED(wire_resize) },
        [WIRE_WRITEOUT] = { "WRITEOUT", sizeof(struct wire_handle), 0, 0, WIRE_WRITEOUT_STORE | WIRE_WRITEOUT_MARKSTORED | WIRE_WRITEOUT_SYNC,
                            RESERVED(wire_handle) },
        [WIRE_DISCARD] = { "DISCARD", sizeof(struct wire_handle), 0, 0, 0, RESERVED(wire_handle) },
        [WIRE_INVALIDATE] = { "INVALIDATE", sizeof(struct wire_range), 0, 0, 0, offsetof(struct wire_range, advice) },
        [WIRE_LOAD] = { "LOAD", sizeof(struct wire_range), 0, 0, 0, offsetof(struct wire_range, advice) },
        [WIRE_ADVISE] = { "ADVISE", sizeof(struct wire_range), 0, 0, 0, 0 },
        [WIRE_STAT] = { "STAT", sizeof(struct wire_handle), 0, 0, 0, RESERVED(wire_handle) },
        [WIRE_POOL_STAT] = { "POOL_STAT", sizeof(struct wire_header), 0, 0, 0, 0 },
        [WIRE_RECLAIM] = { "RECLAIM", sizeof(struct wire_reclaim), 0, 0, 0, 0 },
        [WIRE_SERVE] = { "SERVE", sizeof(struct wire_serve), 0, 1, 0, 0 },
        [WIRE_LOOKUP] = { "LOOKUP", sizeof(struct wire_lookup), 0, 0, 0, 0 },
        [WIRE_REPORT] = { "REPORT", sizeof(struct wire_report), 0, 0, 0, 0 },
        [WIRE_RECLAIM_FILE] = { "RECLAIM_FILE", sizeof(struct wire_reclaim_file), 0, 0, 0, RESERVED(wire_reclaim_file) },
        [WIRE_TRACE] = { "TRACE", sizeof(struct wire_trace), 0, 0, 0, RESERVED(wire_trace) },
};

static const struct wire_entry replies[N_WIRE_IDS] = {
        [WIRE_HELLO] = { "HELLO reply", sizeof(struct wire_hello_reply), 0, 1, WIRE_HELLO_DIRECT, 0 },
        [WIRE_OPEN] = { "OPEN reply", sizeof(struct wire_open_reply), 0, 3, 0, 0 },
        [WIRE_ADOPT] = { "ADOPT reply", sizeof(struct wire_open_reply), 0, 0, 0, 0 },
        [WIRE_SHOWN] = { "SHOWN reply", sizeof(struct wire_reply), 0, 0, 0, RESERVED(wire_reply) },
        [WIRE_CLOSE] = { "CLOSE reply", sizeof(struct wire_reply), 0, 0, 0, RESERVED(wire_reply) },
        [WIRE_MAP] = { "MAP reply", sizeof(struct wire_reply), 0, 0, 0, RESERVED(wire_reply) },
        [WIRE_UNMAP] = { "UNMAP reply", sizeof(struct wire_reply), 0, 0, 0, RESERVED(wire_reply) },
        [WIRE_RESIZE] = { "RESIZE reply", sizeof(struct wire_reply), 0, 0, 0, RESERVED(wire_reply) },
        [WIRE_WRITEOUT] = { "WRITEOUT reply", sizeof(struct wire_reply), 0, 0, 0, RESERVED(wire_reply) },
        [WIRE_DISCARD] = { "DISCARD reply", sizeof(struct wire_reply), 0, 0, 0, RESERVED(wire_reply) },
        [WIRE_INVALIDATE] = { "INVALIDATE reply", sizeof(struct wire_reply), 0, 0, 0, RESERVED(wire_reply) },
        [WIRE_LOAD] = { "LOAD reply", sizeof(struct wire_reply), 0, 0, WIRE_LOAD_HEALED, RESERVED(wire_reply) },
        [WIRE_ADVISE] = { "ADVISE reply", sizeof(struct wire_reply), 0, 0, 0, RESERVED(wire_reply) },
        [WIRE_STAT] = { "STAT reply", sizeof(struct wire_stat_reply), 0, 0, 0, RESERVED(wire_stat_reply) },
        [WIRE_POOL_STAT] = { "POOL_STAT reply", sizeof(struct wire_pool_stat_reply), 0, 0, 0, RESERVED(wire_pool_stat_reply) },
        [WIRE_RECLAIM] = { "RECLAIM reply", sizeof(struct wire_reclaim_reply), 0, 0, 0, RESERVED(wire_reclaim_reply) },
        [WIRE_SERVE] = { "SERVE reply", sizeof(struct wire_serve_reply), 0, 3, 0, RESERVED(wire_serve_reply) },
        [WIRE_LOOKUP] = { "LOOKUP reply", sizeof(struct wire_lookup_reply), 0, 1, 0, RESERVED(wire_lookup_reply) },
        [WIRE_REPORT] = { "REPORT reply", sizeof(struct wire_report_reply), 0, 1, 0, 0 },
        [WIRE_RECLAIM_FILE] = { "RECLAIM_FILE reply", sizeof(struct wire_reclaim_reply), 0, 0, 0, RESERVED(wire_reclaim_reply) },
        [WIRE_TRACE] = { "TRACE reply", sizeof(struct wire_reply), 0, 1, 0, RESERVED(wire_reply) },
};

static_assert(sizeof(union wire_msg) == WIRE_MSG_MAX, "every message fits WIRE_MSG_MAX");
static_assert(sizeof(struct wire_header) == 16, "the header is the same in every version");

static const struct wire_entry *wire_entry(unsigned id) {
        const struct wire_entry *table = id & WIRE_REPLY ? replies : requests;
        unsigned n = id & ~WIRE_REPLY;

        return n < N_WIRE_IDS && table[n].name ? &table[n] : NULL;
}

static bool wire_reserved_is_zero(const struct wire_entry *entry, const void *bytes) {
        uint32_t value = 0;

        if (entry->reserved)
                memcpy(&value, (const uint8_t *) bytes + entry->reserved, sizeof(value));
        return value == 0;
}

enum wire_verdict wire_validate(enum wire_direction direction, const void *bytes, size_t size, unsigned n_fds) {
        const struct wire_entry *entry;
        struct wire_header header;

        if (size < sizeof(header))
                return WIRE_BAD_SHORT;
        memcpy(&header, bytes, sizeof(header));
        entry = wire_entry(header.id);
        if (!entry || !!(header.id & WIRE_REPLY) != (direction == WIRE_TO_CLIENT))
                return WIRE_BAD_ID;
        if (header.size != size || size != entry->size)
                return WIRE_BAD_SIZE;
        if (header.n_fds != n_fds || n_fds < entry->n_fds_min || n_fds > entry->n_fds_max)
                return WIRE_BAD_FDS;
        if (header.flags & ~entry->flags)
                return WIRE_BAD_FLAGS;
        if (!wire_reserved_is_zero(entry, bytes))
                return WIRE_BAD_RESERVED;
        return WIRE_OK;
}

const char *wire_verdict_text(enum wire_verdict verdict) {
        static const char *const texts[N_WIRE_VERDICTS] = {
                [WIRE_OK] = "valid",
                [WIRE_BAD_SHORT] = "shorter than a header",
                [WIRE_BAD_ID] = "unknown message",
                [WIRE_BAD_SIZE] = "wrong size",
                [WIRE_BAD_FDS] = "wrong number of descriptors",
                [WIRE_BAD_FLAGS] = "unknown flags",
                [WIRE_BAD_RESERVED] = "reserved field not zero",
        };

        assert(verdict < N_WIRE_VERDICTS);
        return texts[verdict];
}

const char *wire_name(unsigned id) {
        const struct wire_entry *entry = wire_entry(id);

        return entry ? entry->name : "unknown";
}

void wire_init(union wire_msg *msg, unsigned id, uint32_t serial) {
        const struct wire_entry *entry = wire_entry(id);

        assert(entry);
        memset(msg, 0, sizeof(*msg));
        msg->header.id = (uint16_t) id;
        msg->header.size = entry->size;
        msg->header.serial = serial;
}
