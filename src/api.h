/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_API_H
#define BF_API_H

/*
 * What every public function does first: API_CALL; saves errno and turns off the cancellation of this thread, and both are as before when the
 * function returns. Cancelled in the middle of a call, a thread would leave a lock held and a reply that nobody waits for.
 * Both are async-signal-safe.
 */

#include <errno.h>
#include <pthread.h>

struct api_call {
        int error;
        int cancel_state;
};

static inline struct api_call api_enter(void) {
        struct api_call call = { .error = errno };

        (void) pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &call.cancel_state);
        return call;
}

static inline void api_leave(const struct api_call *call) {
        (void) pthread_setcancelstate(call->cancel_state, NULL);
        errno = call->error;
}

#define API_CALL __attribute__((cleanup(api_leave), unused)) const struct api_call api_call_ = api_enter()

#endif
