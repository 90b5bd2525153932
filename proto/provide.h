/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PROVIDE_H
#define BF_PROVIDE_H

/*
 * What the daemon and a process that serves a file say to each other about its content, on a socket (SOCK_SEQPACKET) and in an area of shared memory that
 * the daemon makes for that file alone (WIRE_SERVE). The daemon asks, with the content in a slot of the area, or a slot for it; whichever thread of the process
 * is free takes it up, and answers. PROTOCOL.md tells the dialogue.
 */

#include <stdint.h>

#define PROVIDE_BLOCK_MIN UINT64_C(512)            /* bytes */
#define PROVIDE_BLOCK_MAX (UINT64_C(64) << 20)     /* bytes */
#define PROVIDE_SLOT_BYTES (UINT64_C(1) << 20)     /* of a slot, or one block where that is larger */
#define PROVIDE_AREA_BYTES (UINT64_C(32) << 20)    /* of all slots */
#define PROVIDE_SLOTS_MIN 4u
#define PROVIDE_SLOTS_MAX 32u
#define PROVIDE_THREADS_MAX 64u /* of a process, that serve one file */

/* A slot holds whole blocks: the bytes that an ask is about lie in it where they lie in their block. */
static inline uint64_t provide_slot_bytes(uint64_t block_size) {
        return block_size >= PROVIDE_SLOT_BYTES ? block_size : PROVIDE_SLOT_BYTES / block_size * block_size;
}

static inline uint32_t provide_n_slots(uint64_t block_size) {
        uint64_t n = PROVIDE_AREA_BYTES / provide_slot_bytes(block_size);

        if (n < PROVIDE_SLOTS_MIN)
                return PROVIDE_SLOTS_MIN;
        return n < PROVIDE_SLOTS_MAX ? (uint32_t) n : PROVIDE_SLOTS_MAX;
}

/* Behind all slots each has room for a bit for each page that may lie in it: of a store of some pages alone. */
#define PROVIDE_PAGE_MIN UINT64_C(4096)

static inline uint64_t provide_mask_bytes(uint64_t block_size) {
        return (provide_slot_bytes(block_size) / PROVIDE_PAGE_MIN + 64) / 64 * sizeof(uint64_t);
}

static inline uint64_t provide_mask_offset(uint64_t block_size, uint32_t slot) {
        return (provide_slot_bytes(block_size) * provide_n_slots(block_size) + 7) / 8 * 8 + slot * provide_mask_bytes(block_size);
}

static inline uint64_t provide_area_bytes(uint64_t block_size) {
        return provide_mask_offset(block_size, provide_n_slots(block_size));
}

enum provide_op {
        PROVIDE_LOAD = 1,
        PROVIDE_STORE,
};

/* To the process. Not more than finds room in the slot. */
struct provide_ask {
        uint32_t op;
        uint32_t slot;
        uint64_t offset; /* in the file, bytes */
        uint32_t length; /* bytes, all inside the file */
        uint32_t number; /* the answer bears the same */
        uint32_t page_size; /* of a store: which pages from offset on are to be stored the mask says; 0: all of them */
        uint32_t reserved;
};

enum provide_answer_kind {
        PROVIDE_DONE = 1,
        PROVIDE_THREAD, /* no answer: number is that of a thread that will take up what is asked */
};

struct provide_answer {
        uint32_t kind;
        uint32_t slot;
        uint32_t number;
        int32_t error;   /* 0 or a negative errno */
        uint32_t n_done; /* bytes that are good, from the first one on; all, if there was no error */
};

#endif
