/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "ring.h"
#include "served.h"
#include "store.h"

#define SERVED_TOKEN_NAME "bigfiled-served"
#define SERVED_MAGIC UINT64_C(0x3164657672657362) /* "bserved1" */
#define SERVED_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* A client tries again at least every half second. */
#define SERVED_GRACE_USEC UINT64_C(3000000)

void served_list_init(struct served_list *list) {
        *list = (struct served_list) { .all = LIST_HEAD_INITIALIZER(list->all), .grace_usec = SERVED_GRACE_USEC };
        pthread_mutex_init(&list->mutex, NULL);
}

void served_list_fini(struct served_list *list) {
        struct served *served;

        while ((served = LIST_FIRST(&list->all))) { /* of pagers that hang */
                LIST_REMOVE(served, entry);
                close(served->token);
                free(served);
        }
        pthread_mutex_destroy(&list->mutex);
}

/* --- tokens ------------------------------------------------------------------------------------------------------------------------------------- */

static int served_write_token(int fd, const struct served_about *about) {
        ssize_t n = write(fd, about, sizeof(*about));

        if (n != (ssize_t) sizeof(*about))
                return n < 0 ? -errno : -ENOSPC;
        if (fchmod(fd, 0600) < 0 || fcntl(fd, F_ADD_SEALS, SERVED_SEALS) < 0)
                return -errno;
        return 0;
}

static int served_make_token(const struct served_about *about, int *ret_fd) {
        int fd = memfd_create(SERVED_TOKEN_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

        if (fd < 0)
                return -errno;
        r = served_write_token(fd, about);
        if (r < 0) {
                close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

/* What an earlier daemon of this user has sealed is as that one made it. -EINVAL: it is no token. */
static int served_read_token(int fd, struct served_about *ret) {
        int copy, r;

        r = memory_reopen_own(fd, SERVED_TOKEN_NAME, sizeof(*ret), &copy);
        if (r < 0)
                return r;
        if (fcntl(copy, F_GET_SEALS) != SERVED_SEALS || pread(copy, ret, sizeof(*ret), 0) != (ssize_t) sizeof(*ret) || ret->magic != SERVED_MAGIC)
                r = -EINVAL;
        close(copy);
        return r;
}

static int served_identify(int token, struct file_identity *ret) {
        struct stat st;

        if (fstat(token, &st) < 0)
                return -errno;
        *ret = (struct file_identity) { .device = st.st_dev, .inode = st.st_ino };
        return 0;
}

/* --- under the lock ----------------------------------------------------------------------------------------------------------------------------- */

static bool served_is_same(const struct served_about *a, const struct served_about *b) {
        return a->size == b->size && a->block_size == b->block_size && a->uid == b->uid && strcmp(a->name, b->name) == 0;
}

/* Takes token if it succeeds. */
static int served_add(struct served_list *list, const struct served_about *about, int token, unsigned pager, struct served **ret) {
        struct served *served = calloc(1, sizeof(*served));
        int r;

        if (!served)
                return -ENOMEM;
        *served = (struct served) { .about = *about, .token = token, .pager = pager };
        r = served_identify(token, &served->identity);
        if (r < 0) {
                free(served);
                return r;
        }
        LIST_INSERT_HEAD(&list->all, served, entry);
        *ret = served;
        return 0;
}

static int served_add_new(struct served_list *list, const struct served_about *about, unsigned pager, struct served **ret) {
        int token = -1, r;

        r = served_make_token(about, &token);
        if (r < 0)
                return r;
        r = served_add(list, about, token, pager, ret);
        if (r < 0)
                close(token);
        return r;
}

/* One of an earlier daemon: token is borrowed. */
static int served_add_again(struct served_list *list, const struct served_about *about, int token, unsigned pager, struct served **ret) {
        int copy = fcntl(token, F_DUPFD_CLOEXEC, 0), r;

        if (copy < 0)
                return -errno;
        r = served_add(list, about, copy, pager, ret);
        if (r < 0) {
                close(copy);
                return r;
        }
        (*ret)->grace = ring_now() + list->grace_usec;
        return 0;
}

static struct served *served_find_identity(struct served_list *list, int token) {
        struct file_identity identity;
        struct served *served;

        if (served_identify(token, &identity) < 0)
                return NULL;
        LIST_FOREACH(served, &list->all, entry)
                if (file_identity_is(&served->identity, &identity))
                        return served;
        return NULL;
}

/* One that was served as that before, and is open still; or one that is served by another process now. */
static int served_find_named(struct served_list *list, const struct served_about *about, struct served **ret) {
        struct served *served;

        *ret = NULL;
        LIST_FOREACH(served, &list->all, entry) {
                if (about->name[0] == '\0' || served->about.uid != about->uid || strcmp(served->about.name, about->name) != 0)
                        continue;
                if (served->taker)
                        return -EEXIST;
                if (served_is_same(&served->about, about))
                        *ret = served;
        }
        return 0;
}

static bool served_is_too_many(struct served_list *list, uint32_t uid) {
        struct served *served;
        unsigned n = 0;

        LIST_FOREACH(served, &list->all, entry)
                n += served->about.uid == uid;
        return n >= WIRE_SERVED_MAX;
}

static int served_claim_new(struct served_list *list, const struct served_claim *claim, const struct served_about *about, struct served **ret) {
        struct served *found;
        int r;

        r = served_find_named(list, about, &found);
        if (r < 0)
                return r;
        if (found) {
                *ret = found;
                return 0;
        }
        return served_is_too_many(list, about->uid) ? -EUSERS : served_add_new(list, about, claim->pager, ret);
}

static int served_claim_again(struct served_list *list, const struct served_claim *claim, const struct served_about *about, struct served **ret) {
        struct served *found, *named;
        struct served_about said;
        int r;

        r = served_read_token(claim->token, &said); /* what is no token is asked nothing that its system could take long to answer */
        if (r < 0 || !served_is_same(&said, about))
                return -EINVAL;
        found = served_find_identity(list, claim->token);
        if (found && found->taker)
                return -EBUSY;
        r = served_find_named(list, about, &named);
        if (r < 0)
                return r;
        if (found) {
                *ret = found;
                return 0;
        }
        return served_is_too_many(list, about->uid) ? -EUSERS : served_add_again(list, about, claim->token, claim->pager, ret);
}

/* --- from outside ------------------------------------------------------------------------------------------------------------------------------- */

int served_claim(struct served_list *list, const struct served_claim *claim, struct served **ret) {
        struct served_about about = *claim->about;
        struct served *served;
        int r;

        about.magic = SERVED_MAGIC;
        pthread_mutex_lock(&list->mutex);
        r = claim->token >= 0 ? served_claim_again(list, claim, &about, &served) : served_claim_new(list, claim, &about, &served);
        if (r == 0) {
                served->taker = claim->peer;
                atomic_store_explicit(&served->pid, claim->pid, memory_order_relaxed);
                served->n_refs++;
                *ret = served;
        }
        pthread_mutex_unlock(&list->mutex);
        return r;
}

static void served_release_locked(struct served *served, uint64_t peer) {
        if (served->taker == peer)
                served->taker = 0;
}

void served_release(struct served_list *list, struct served *served, uint64_t peer) {
        pthread_mutex_lock(&list->mutex);
        served_release_locked(served, peer);
        pthread_mutex_unlock(&list->mutex);
}

void served_release_all(struct served_list *list, uint64_t peer) {
        struct served *served;

        pthread_mutex_lock(&list->mutex);
        LIST_FOREACH(served, &list->all, entry)
                served_release_locked(served, peer);
        pthread_mutex_unlock(&list->mutex);
}

int served_of_token(struct served_list *list, int token, unsigned pager, struct served **ret) {
        struct served_about about;
        struct served *served;
        int r = 0;

        *ret = NULL;
        if (served_read_token(token, &about) < 0)
                return 0;
        pthread_mutex_lock(&list->mutex);
        served = served_find_identity(list, token);
        if (!served)
                r = served_add_again(list, &about, token, pager, &served);
        if (r == 0) {
                served->n_refs++;
                *ret = served;
        }
        pthread_mutex_unlock(&list->mutex);
        return r;
}

static bool served_is_in_group(const struct served_user *user, gid_t gid) {
        if (user->gid == gid)
                return true;
        for (unsigned i = 0; i < user->n_groups; i++)
                if (user->groups[i] == gid)
                        return true;
        return false;
}

static bool served_may_open(const struct served_list *list, const struct served *served, const struct served_user *user) {
        return user->uid == served->about.uid || user->uid == 0 || (list->is_group && served_is_in_group(user, served->about.gid));
}

/* Names are each user's own; one's own come first. */
static bool served_is_better(const struct served *served, const struct served *found, uid_t uid) {
        if (!found || !served->taker != !found->taker)
                return !found || served->taker != 0;
        return served->about.uid == uid && found->about.uid != uid;
}

int served_find(struct served_list *list, const char *name, const struct served_user *user, struct served **ret) {
        struct served *served, *found = NULL;

        pthread_mutex_lock(&list->mutex);
        LIST_FOREACH(served, &list->all, entry)
                if (name[0] != '\0' && strcmp(served->about.name, name) == 0 && served_may_open(list, served, user) &&
                    served_is_better(served, found, user->uid))
                        found = served;
        if (found)
                found->n_refs++;
        pthread_mutex_unlock(&list->mutex);
        if (!found)
                return -ENOENT;
        *ret = found;
        return 0;
}

void served_hold(struct served_list *list, struct served *served) {
        pthread_mutex_lock(&list->mutex);
        served->n_refs++;
        pthread_mutex_unlock(&list->mutex);
}

void served_put(struct served_list *list, struct served *served) {
        bool is_last;

        if (!served)
                return;
        pthread_mutex_lock(&list->mutex);
        is_last = --served->n_refs == 0;
        if (is_last)
                LIST_REMOVE(served, entry);
        pthread_mutex_unlock(&list->mutex);
        if (!is_last)
                return;
        close(served->token);
        free(served);
}

bool served_is_served(const struct served *served) {
        return atomic_load_explicit(&served->peer, memory_order_relaxed) != 0;
}

void served_add_thread(struct served *served, uint32_t thread) {
        for (unsigned i = 0; i < PROVIDE_THREADS_MAX; i++) {
                unsigned none = 0;

                if (atomic_compare_exchange_strong(&served->threads[i], &none, thread))
                        return;
        }
}

static bool served_is_served_by(const struct served *served, const struct store_thread *thread) {
        uint64_t peer = atomic_load_explicit(&served->peer, memory_order_relaxed);

        return peer == thread->peer || (peer != 0 && thread->pid != 0 && atomic_load_explicit(&served->pid, memory_order_relaxed) == thread->pid);
}

bool served_has_thread(const struct served *served, const struct store_thread *thread) {
        if (thread->number == 0 || !served_is_served_by(served, thread))
                return false;
        for (unsigned i = 0; i < PROVIDE_THREADS_MAX; i++)
                if (atomic_load_explicit(&served->threads[i], memory_order_relaxed) == thread->number)
                        return true;
        return false;
}

bool served_fits(const struct served *served, uint64_t page_size) {
        return page_size % served->about.block_size == 0 || served->about.block_size % page_size == 0;
}
