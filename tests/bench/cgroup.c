/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cgroup.h"

#define CGROUP_MOUNT "/sys/fs/cgroup/memory"

/* At least so many bytes, and so many windows of read-ahead. */
#define CGROUP_BYTES_MIN (UINT64_C(4) << 20)
#define CGROUP_WINDOWS_MIN 16

static int cgroup_write(const char *dir, const char *name, const char *text) {
        char path[UNDO_PATH_MAX];
        int fd, r = 0;

        if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int) sizeof(path))
                return -ENAMETOOLONG;
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (write(fd, text, strlen(text)) < 0)
                r = -errno;
        close(fd);
        return r;
}

/* Of the lines ID:CONTROLLERS:PATH the one of the memory controller. */
static int cgroup_find_home(char home[static UNDO_PATH_MAX]) {
        FILE *file = fopen("/proc/self/cgroup", "re");
        char line[UNDO_PATH_MAX], *at;
        int r = -ENOENT;

        while (file && r < 0 && fgets(line, sizeof(line), file)) {
                line[strcspn(line, "\n")] = '\0';
                at = strstr(line, ":memory:");
                if (at && snprintf(home, UNDO_PATH_MAX, CGROUP_MOUNT "%s", at + strlen(":memory:")) < UNDO_PATH_MAX)
                        r = 0;
        }
        if (file)
                fclose(file);
        return r;
}

static int cgroup_make(struct cgroup *cgroup, uint64_t bytes) {
        static unsigned n_made;
        char text[32];
        int r;

        r = cgroup_find_home(cgroup->home);
        if (r < 0)
                return r;
        if (snprintf(cgroup->path, sizeof(cgroup->path), "%s/bfbench-%d-%u", cgroup->home, (int) getpid(), n_made++) >= (int) sizeof(cgroup->path))
                return -ENAMETOOLONG;
        if (mkdir(cgroup->path, 0755) < 0)
                return -errno;
        cgroup->undo_dir = undo_remove(cgroup->path);
        snprintf(text, sizeof(text), "%" PRIu64, bytes);
        r = cgroup_write(cgroup->path, "memory.limit_in_bytes", text);
        if (r < 0)
                cgroup_fini(cgroup);
        return r;
}

/* Where it says so: of the file system's device, or of the disk that it is a part of. */
static FILE *cgroup_open_read_ahead(int fd) {
        char path[UNDO_PATH_MAX];
        struct stat st;
        FILE *file;

        if (fstat(fd, &st) < 0)
                return NULL;
        snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(st.st_dev), minor(st.st_dev));
        file = fopen(path, "re");
        if (file)
                return file;
        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../queue/read_ahead_kb", major(st.st_dev), minor(st.st_dev));
        return fopen(path, "re");
}

/* What the kernel reads ahead of that file at a time; 0: nothing is known of it. */
static uint64_t cgroup_read_ahead_bytes(int fd) {
        FILE *file = cgroup_open_read_ahead(fd);
        unsigned long long n_kib = 0;

        if (!file)
                return 0;
        if (fscanf(file, "%llu", &n_kib) != 1)
                n_kib = 0;
        fclose(file);
        return n_kib * 1024;
}

int cgroup_init(struct cgroup *cgroup, uint64_t bytes, int fd, struct reason *reason) {
        uint64_t read_ahead = cgroup_read_ahead_bytes(fd);
        int r;

        *cgroup = (struct cgroup){ 0 };
        if (bytes < CGROUP_BYTES_MIN || bytes < CGROUP_WINDOWS_MIN * read_ahead) {
                reason_say(reason, "%ju bytes are too few for a memory cgroup, as the kernel reads %ju ahead at a time (--file-size)", (uintmax_t) bytes,
                           (uintmax_t) read_ahead);
                return -ENOTSUP;
        }
        r = cgroup_make(cgroup, bytes);
        if (r < 0) {
                reason_say(reason, "no memory cgroup below %s: %s (it takes root, and version 1 of the memory controller)",
                           *cgroup->home ? cgroup->home : CGROUP_MOUNT, strerror(-r));
                return -ENOTSUP;
        }
        return 0;
}

void cgroup_fini(struct cgroup *cgroup) {
        if (cgroup->undo_enter)
                (void) cgroup_leave(cgroup);
        undo_run(cgroup->undo_dir);
        *cgroup = (struct cgroup){ 0 };
}

/* "0" is the process that writes. */
int cgroup_enter(struct cgroup *cgroup) {
        char path[UNDO_PATH_MAX];

        if (snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup->home) >= (int) sizeof(path))
                return -ENAMETOOLONG;
        cgroup->undo_enter = undo_write(path, "0");
        return cgroup_write(cgroup->path, "cgroup.procs", "0");
}

int cgroup_leave(struct cgroup *cgroup) {
        int r = cgroup_write(cgroup->home, "cgroup.procs", "0");

        undo_forget(cgroup->undo_enter);
        cgroup->undo_enter = NULL;
        return r;
}
