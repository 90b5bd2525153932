/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <signal.h>

#include "keeper.h"
#include "lost.h"

#define KEEPER_STACK_SIZE (256u << 10) /* with room for the thread-local variables of a large program, which are on it too */

static void *keeper_main(void *data) {
        struct keeper *keeper = data;

        session_receive(keeper->session);
        lost_serve(keeper->handles, keeper->session);
        return NULL;
}

/* Signals are for the program's own threads. */
static int keeper_set_attributes(pthread_attr_t *attributes) {
        sigset_t all;
        int e;

        sigfillset(&all);
        e = pthread_attr_setsigmask_np(attributes, &all);
        if (e == 0)
                e = pthread_attr_setstacksize(attributes, KEEPER_STACK_SIZE);
        return -e;
}

int keeper_start(struct keeper *keeper, struct session *session, struct handles *handles) {
        pthread_attr_t attributes;
        int r;

        *keeper = (struct keeper) { .session = session, .handles = handles };
        r = -pthread_attr_init(&attributes);
        if (r < 0)
                return r;
        r = keeper_set_attributes(&attributes);
        if (r == 0)
                r = -pthread_create(&keeper->thread, &attributes, keeper_main, keeper);
        pthread_attr_destroy(&attributes);
        if (r == 0)
                (void) pthread_setname_np(keeper->thread, "bf-keeper");
        return r;
}

void keeper_stop(struct keeper *keeper) {
        session_end(keeper->session);
        handles_notify(keeper->handles);
        (void) pthread_join(keeper->thread, NULL);
}
