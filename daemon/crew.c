/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crew.h"
#include "log.h"

struct crew {
        struct commons *commons;
        struct pager_options options;
        struct outbox outbox;
        unsigned n_per_user;
        unsigned n;
        struct pager_thread *threads[COMMONS_PAGERS_MAX];
        uid_t uids[COMMONS_PAGERS_MAX];      /* whose it is, while it has handles */
        unsigned n_handles[COMMONS_PAGERS_MAX];
        unsigned n_chosen_to_serve;
        unsigned signs[COMMONS_PAGERS_MAX]; /* of life, that each had given when it was last looked at */
        bool is_asked[COMMONS_PAGERS_MAX];
};

static int crew_start(struct crew *crew) {
        const struct pager_thread_params params = {
                .commons = crew->commons, .outbox = &crew->outbox, .index = crew->n, .options = crew->options, .threads = crew->threads,
        };
        int r;

        if (crew->n == COMMONS_PAGERS_MAX)
                return -EUSERS;
        r = pager_thread_new(&params, &crew->threads[crew->n]);
        if (r == 0)
                crew->n++;
        return r;
}

int crew_new(struct commons *commons, const struct pager_options *options, unsigned n_per_user, struct crew **ret) {
        struct crew *crew = calloc(1, sizeof(*crew));
        int r;

        if (!crew)
                return -ENOMEM;
        *crew = (struct crew) { .commons = commons, .options = *options, .n_per_user = n_per_user };
        r = outbox_init(&crew->outbox);
        if (r < 0) {
                free(crew);
                return r;
        }
        while (r == 0 && crew->n < n_per_user)
                r = crew_start(crew);
        if (r < 0) {
                (void) crew_free(crew);
                return r;
        }
        *ret = crew;
        return 0;
}

bool crew_free(struct crew *crew) {
        bool is_well = true;

        if (!crew)
                return true;
        for (unsigned i = 0; i < crew->n; i++)
                pager_thread_end(crew->threads[i]);
        for (unsigned i = 0; i < crew->n; i++)
                is_well &= pager_thread_join(crew->threads[i]);
        if (!is_well)
                return false;
        for (unsigned i = 0; i < crew->n; i++)
                pager_thread_free(crew->threads[i]);
        outbox_fini(&crew->outbox);
        free(crew);
        return true;
}

/* --- who is served by which --------------------------------------------------------------------------------------------------------------------- */

/* The one with the fewest handles, of those that are the user's, or of all; crew->n: he has none. */
static unsigned crew_least(const struct crew *crew, uid_t uid, bool is_any, unsigned *ret_n) {
        unsigned found = crew->n, n = 0;

        for (unsigned i = 0; i < crew->n; i++) {
                if (!is_any && (crew->n_handles[i] == 0 || crew->uids[i] != uid))
                        continue;
                n++;
                if (found == crew->n || crew->n_handles[i] < crew->n_handles[found])
                        found = i;
        }
        *ret_n = n;
        return found;
}

/* One that nobody has, looked for from there on, perhaps a new one; crew->n: there is none. */
static unsigned crew_spare(struct crew *crew, unsigned first) {
        unsigned n = crew->n;
        int r;

        for (unsigned i = 0; i < n; i++)
                if (crew->n_handles[(first + i) % n] == 0)
                        return (first + i) % n;
        r = crew_start(crew);
        if (r < 0 && r != -EUSERS)
                log_warning("cannot start one more thread for page faults: %s (those that there are serve all)", strerror(-r));
        return r < 0 ? crew->n : n;
}

static unsigned crew_choose_from(struct crew *crew, uid_t uid, unsigned first) {
        unsigned n, found = crew_least(crew, uid, false, &n), spare = n < crew->n_per_user ? crew_spare(crew, first) : crew->n;

        if (spare < crew->n) {
                crew->uids[spare] = uid;
                return spare;
        }
        return n > 0 ? found : crew_least(crew, uid, true, &n);
}

unsigned crew_choose(struct crew *crew, uid_t uid) {
        return crew_choose_from(crew, uid, 0);
}

unsigned crew_choose_to_serve(struct crew *crew, uid_t uid) {
        return crew_choose_from(crew, uid, crew->n_chosen_to_serve++);
}

unsigned crew_choose_beside(struct crew *crew, uid_t uid, unsigned pager) {
        bool is_his = crew->n_handles[pager] > 0 && crew->uids[pager] == uid;
        unsigned n;

        (void) crew_least(crew, uid, false, &n);
        if (!is_his && (crew->n_handles[pager] > 0 || n >= crew->n_per_user))
                return crew_choose(crew, uid);
        crew->uids[pager] = uid;
        return pager;
}

void crew_count(struct crew *crew, unsigned pager, int change) {
        crew->n_handles[pager] += (unsigned) change;
}

struct pager_thread *crew_any(struct crew *crew, uid_t uid) {
        unsigned n, found = crew_least(crew, uid, false, &n);

        if (n == 0)
                found = crew_spare(crew, 0);
        return crew->threads[found < crew->n ? found : 0];
}

struct pager_thread *crew_thread(struct crew *crew, unsigned pager) {
        return pager < crew->n ? crew->threads[pager] : NULL;
}

int crew_tune(struct crew *crew, const struct pager_options *options) {
        int r = 0;

        crew->options = *options;
        for (unsigned i = 0; i < crew->n && r == 0; i++)
                r = pager_thread_tune(crew->threads[i], options);
        return r;
}

void crew_look(struct crew *crew, struct crew_look *ret_look) {
        struct crew_look look = { 0, 0 };

        for (unsigned i = 0; i < crew->n; i++) {
                unsigned signs = pager_thread_poke(crew->threads[i]);

                if (crew->is_asked[i] && signs == crew->signs[i]) {
                        if (pager_thread_is_in_kernel(crew->threads[i]))
                                look.n_held++;
                        else
                                look.n_late++;
                }
                crew->signs[i] = signs;
                crew->is_asked[i] = true;
        }
        *ret_look = look;
}

unsigned crew_count_held(const struct crew *crew) {
        unsigned n = 0;

        for (unsigned i = 0; i < crew->n; i++)
                n += pager_thread_is_in_kernel(crew->threads[i]);
        return n;
}

struct outbox *crew_outbox(struct crew *crew) {
        return &crew->outbox;
}
