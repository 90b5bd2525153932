/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_SERVED_H
#define BF_SERVED_H

/*
 * Which files are served by client processes: their names, who may open them, and which pager talks to the process. Any thread may use the list. The file is
 * there as long as somebody serves it or has it open.
 *
 * A file is known by its token: a file in memory that says what it is, sealed, made by a daemon of this user, and open in every client that serves the file or
 * has it open. So another daemon knows it again, and so an OPEN with the token as its file is one of the served file.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "directory.h"
#include "provide.h"
#include "wire.h"

struct provider;
struct store_thread;

/* What the token says. */
struct served_about {
        uint64_t magic;
        uint64_t size; /* of the file, bytes */
        uint64_t block_size;
        uint32_t uid; /* of who serves it */
        uint32_t gid;
        char name[WIRE_SERVED_NAME_MAX]; /* "": none */
};

struct served {
        LIST_ENTRY(served) entry; /* list->all -> served->entry */
        struct served_about about;
        struct file_identity identity; /* of the token */
        int token;
        unsigned pager;  /* whose thread has the provider */
        unsigned n_refs; /* this and the next one are the list's */
        uint64_t taker;  /* the peer that serves it, or is about to; 0: none */
        atomic_int pid;  /* of who did so last; 0: nobody knows */
        uint64_t grace;  /* the pager's: till then whoever served it under the daemon before may come back; monotonic, microseconds; 0: nobody will */

        struct provider *provider; /* that pager's; NULL: none was there yet */

        /* Who serves it, as other threads see it: only to find out whether a thread waits for itself. */
        atomic_uint_fast64_t peer; /* 0: nobody */
        atomic_uint threads[PROVIDE_THREADS_MAX];
};

struct served_list {
        pthread_mutex_t mutex;
        LIST_HEAD(, served) all;
        uint64_t grace_usec; /* whoever served a file under the daemon before has so long to come back */
        bool is_group; /* who shares a group with the one who serves a file may open it as well */
};

/* A user as the kernel tells it of a connection. */
struct served_user {
        uid_t uid;
        gid_t gid;
        const gid_t *groups; /* others that he is in */
        unsigned n_groups;
};

void served_list_init(struct served_list *list);
void served_list_fini(struct served_list *list);

/*
 * Somebody is about to serve a file. token: of that file under an earlier daemon, borrowed; or -1. The pager is to talk to him, unless the file is there already.
 * Held by the caller, who gives it back with served_release() first if nothing comes of it.
 * -EEXIST: somebody serves one of that name; -EBUSY the same, of the token; -EINVAL: the token is none, or of another file; -EUSERS: he serves too many.
 */
struct served_claim {
        uint64_t peer;
        pid_t pid; /* of it; 0: nobody knows */
        const struct served_about *about;
        int token;
        unsigned pager;
};
int served_claim(struct served_list *list, const struct served_claim *claim, struct served **ret);

/* That peer serves it no more, if it did; or none of all files. */
void served_release(struct served_list *list, struct served *served, uint64_t peer);
void served_release_all(struct served_list *list, uint64_t peer);

/* The one that a token is of, held; or NULL, and 0: it is no token. One that is not known, of an earlier daemon, is taken into the list. */
int served_of_token(struct served_list *list, int token, unsigned pager, struct served **ret);

/* The one that such a user can open by that name, held. -ENOENT: none. */
int served_find(struct served_list *list, const char *name, const struct served_user *user, struct served **ret);

void served_hold(struct served_list *list, struct served *served);
void served_put(struct served_list *list, struct served *served); /* NULL is fine */

/* Does somebody serve it just now? */
bool served_is_served(const struct served *served);

/* A thread of who serves it will take up what is asked; it is one of those. */
void served_add_thread(struct served *served, uint32_t thread);
bool served_has_thread(const struct served *served, const struct store_thread *thread); /* over whichever connection */

/* Can it be had in pages of that size? */
bool served_fits(const struct served *served, uint64_t page_size);

#endif
