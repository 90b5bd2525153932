/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_STORE_H
#define BF_STORE_H

/*
 * Where the content of a file comes from and goes to. One kind of store is one file that fills in a struct store_kind; nobody above asks which kind
 * it is. Requests run side by side and end in any order, each with one call of its done(), never from inside the function that began it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "nbd_line.h"
#include "ring.h"

/* A buffer that a store lends, so that nothing need be copied. */
struct store_loan {
        void *buf; /* NULL: there is none */
        void *of;  /* the store's own, like the next */
        uint32_t slot; /* the first one */
        uint32_t n_slots;
};

struct store_request {
        void *buf;
        const struct store_loan *loan; /* that buf lies in; NULL: none */
        uint64_t offset; /* bytes */
        uint32_t length;
        const uint64_t *mask; /* of a write where the store has a grain: a bit for each page from offset on that is to be written; NULL: all are */
        uint32_t page_size;
        bool is_background;                                      /* another thread is to do what work there is, if that can be */
        bool may_be_now;                                         /* but for what can be had at once */
        uint32_t n_done;                                         /* bytes; at the end of a read without error, fewer than length: end of the file */
        void (*done)(struct store_request *request, int error); /* 0 or a negative errno; n_done bytes are good in any case */

        /* the kind's own */
        struct store *store;
        unsigned n_retries;
        union {
                struct ring_op op;
                struct nbd_order order;
        };
        bool is_cached; /* through the page cache, whatever else there is */
        void (*on)(struct store_request *request);
        STAILQ_ENTRY(store_request) entry;
};

/* What a client opened. */
struct store_fds {
        int fd;
        int direct_fd; /* the same file, for direct I/O; -1: all goes through the page cache */
};

/* A thread of a client. */
struct store_thread {
        uint64_t peer;
        pid_t pid;       /* of the process; 0: nobody knows */
        uint32_t number; /* as that process sees it; 0: nobody knows */
};

struct store {
        const struct store_kind *kind;
        uint64_t grain; /* bytes that are read and written at once; 0: any */
};

struct store_kind {
        const char *name;
        bool is_exact; /* each read is seen by a program: nothing is read that nobody asked for, and what follows the good bytes of a failed request is what failed */
        void (*read)(struct store *store, struct store_request *request);
        void (*write)(struct store *store, struct store_request *request);
        void (*sync)(struct store *store, struct store_request *request); /* what was written is on stable storage when it ends */
        void (*free)(struct store *store);                                /* no request is under way */
        int (*add_writer)(struct store *store, const struct store_fds *fds); /* another client opened it for writing; takes fds if it succeeds */
        int (*fd)(const struct store *store);                             /* of the file, the store's; NULL: there is none */
        const char *(*path)(const struct store *store);                   /* for messages; NULL: that of the descriptor */
        const char *(*why)(const struct store *store, int error);         /* the same: what is behind an error, or NULL; itself NULL: nothing is known */
        bool (*is_served_by)(const struct store *store, const struct store_thread *thread); /* is that a thread that the store waits for? NULL: none is */
        bool forgets; /* what was written, and not synced, may be gone while no daemon looks */

        /* A buffer for what is to be read or written there, of one request; false: there is none just now. These two may be NULL. */
        bool (*lend)(struct store *store, uint64_t offset, uint32_t length, struct store_loan *ret_loan);
        void (*take_back)(struct store *store, const struct store_loan *loan);

        /* Reads all of it if that can be done without waiting; NULL: it never can. */
        bool (*read_now)(struct store *store, void *buf, uint64_t offset, uint32_t length);

        /* All of it where it lies in RAM already, until viewed(), which must follow before anything else is asked; or NULL. was_there: it could be had there. These may
         * be NULL, too. */
        const void *(*view)(struct store *store, uint64_t offset, uint32_t length);
        void (*viewed)(struct store *store, bool was_there);

        void (*settle)(struct store *store); /* NULL: nothing that a daemon began goes on without it */
};

static inline void store_read(struct store *store, struct store_request *request) {
        store->kind->read(store, request);
}

/* Whether it may ever be had at once. */
static inline bool store_has_now(const struct store *store) {
        return store->kind->read_now || store->kind->view;
}

static inline bool store_read_now(struct store *store, void *buf, uint64_t offset, uint32_t length) {
        return store->kind->read_now && store->kind->read_now(store, buf, offset, length);
}

static inline const void *store_view(struct store *store, uint64_t offset, uint32_t length) {
        return store->kind->view ? store->kind->view(store, offset, length) : NULL;
}

static inline void store_viewed(struct store *store, bool was_there) {
        store->kind->viewed(store, was_there);
}

static inline void store_write(struct store *store, struct store_request *request) {
        store->kind->write(store, request);
}

static inline void store_sync(struct store *store, struct store_request *request) {
        store->kind->sync(store, request);
}

static inline bool store_is_served_by(const struct store *store, const struct store_thread *thread) {
        return store->kind->is_served_by && store->kind->is_served_by(store, thread);
}

/* For saying which file it is; -1: none. */
static inline int store_fd(const struct store *store) {
        return store->kind->fd ? store->kind->fd(store) : -1;
}

/* An error of that store in words. */
static inline const char *store_error_text(const struct store *store, int error) {
        const char *why = store->kind->why ? store->kind->why(store, error) : NULL;

        return why ? why : strerror(-error);
}

static inline bool store_lend(struct store *store, uint64_t offset, uint32_t length, struct store_loan *ret_loan) {
        return store->kind->lend && store->kind->lend(store, offset, length, ret_loan);
}

static inline void store_take_back(struct store *store, struct store_loan *loan) {
        if (loan->buf)
                store->kind->take_back(store, loan);
        loan->buf = NULL;
}

static inline bool store_is_exact(const struct store *store) {
        return store->kind->is_exact;
}

static inline int store_add_writer(struct store *store, const struct store_fds *fds) {
        return store->kind->add_writer(store, fds);
}

/* Another daemon may have left writes under way: those that come now begin when they have ended. */
static inline void store_settle(struct store *store) {
        if (store->kind->settle)
                store->kind->settle(store);
}

static inline void store_free(struct store *store) {
        if (store)
                store->kind->free(store);
}

#endif
