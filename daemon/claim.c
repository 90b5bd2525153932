/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>

#include "claim.h"

/*
 * Bytes: those who are absent from birth are below those who are present, and those of earlier generations below those of later ones, so that all who are
 * absent lie below the first byte of this generation. A generation has 30 bits: a thousand million restarts.
 */
#define CLAIM_PRESENT (UINT64_C(1) << 62)
#define CLAIM_GENERATIONS (UINT64_C(1) << 30)

static uint64_t claim_byte(uint64_t generation, uint32_t place) {
        return generation % CLAIM_GENERATIONS << 32 | place;
}

/* length 0: to the end of all. */
static struct flock claim_lock(short type, uint64_t begin, uint64_t length) {
        return (struct flock) { .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t) begin, .l_len = (off_t) length };
}

static int claim_set(int fd, short type, uint64_t begin, uint64_t length) {
        struct flock lock = claim_lock(type, begin, length);

        return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static short claim_type(bool is_writer) {
        return is_writer ? F_WRLCK : F_RDLCK;
}

/* First the new byte: at no moment is there none. */
static int claim_move(int fd, bool is_writer, uint64_t byte) {
        int r;

        r = claim_set(fd, claim_type(is_writer), byte, 1);
        if (r < 0)
                return r;
        if (byte > 0)
                (void) claim_set(fd, F_UNLCK, 0, byte);
        (void) claim_set(fd, F_UNLCK, byte + 1, 0);
        return 0;
}

int claim_set_present(int fd, bool is_writer, uint64_t generation, uint32_t place) {
        int r;

        r = claim_move(fd, is_writer, CLAIM_PRESENT | claim_byte(generation, place));
        if (r < 0)
                claim_drop(fd);
        return r;
}

void claim_set_absent(int fd, bool is_writer, uint64_t generation, uint32_t place) {
        (void) claim_move(fd, is_writer, claim_byte(generation, place));
}

void claim_drop(int fd) {
        (void) claim_set(fd, F_UNLCK, 0, 0);
}

/* A question whether a read lock could be had meets write locks alone; whether a write lock could be had, all. */
bool claim_is_anyone_absent(int fd, uint64_t generation, enum claim_kind kind) {
        struct flock lock = claim_lock(claim_type(kind == CLAIM_ANY), 0, CLAIM_PRESENT | claim_byte(generation, 0));

        return fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK; /* an error: nobody knows */
}
