/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdint.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "log.h"
#include "options.h"
#include "settle.h"
#include "size.h"

static uint64_t settle_n_descriptors(void) {
        struct rlimit limit;

        return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : limit.rlim_cur;
}

/* A private daemon's only client shares it with nobody. */
void settle_limits(struct options *options) {
        struct account_limits limits;

        account_limits_default(&limits, settle_n_descriptors());
        for (unsigned i = 0; i < N_ACCOUNT_ITEMS; i++)
                if (options->limits.max[i] == 0)
                        options->limits.max[i] = options->private_fd >= 0 ? ACCOUNT_NO_LIMIT : limits.max[i];
}

/* It may be meant (a guest whose RAM is to grow, say), so it is no error. A private daemon's stderr is its client's, who is not to find our words there. */
void settle_warn(const struct options *options) {
        char pool[SIZE_TEXT_MAX], ram[SIZE_TEXT_MAX];
        uint64_t ram_bytes = options_ram();

        if (options->private_fd < 0 && options->pool_bytes > ram_bytes)
                log_each(LOG_LEVEL_WARNING, "the pool may take %s, but there are %s of RAM: before it is full the host swaps, or kills processes (see --pool)",
                         size_format(options->pool_bytes, pool), size_format(ram_bytes, ram));
}

/* A part of what is free, as others use that disk, too. */
static uint64_t settle_spill_share(int dir_fd) {
        struct statvfs fs;

        return fstatvfs(dir_fd, &fs) < 0 ? 0 : (uint64_t) fs.f_bavail * fs.f_frsize / 2;
}

void settle_spill(struct options *options) {
        struct pager_options *pager = &options->pager;

        pager->spill_bytes = options->spill_bytes != UINT64_MAX ? options->spill_bytes : settle_spill_share(pager->spill_dir_fd);
}
