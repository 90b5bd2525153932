/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * nbdfuse runs in a mount namespace of its own, so that nothing of it is left behind, and starts nbdkit itself. The disk that counts is a shell script
 * (nbdkit-sh-plugin); they talk through files in its folder.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nbddisk.h"
#include "nbdserver.h"
#include "tempfile.h"
#include "watchdog.h"

#define ARGS_MAX 32
#define EXIT_NO_MOUNT 126
#define EXIT_NO_PROGRAM 127

struct nbddisk {
        pid_t pid;    /* of nbdfuse */
        pid_t server; /* of nbdkit: one that is paused does not end with its parent */
        char dir[64];
        char path[128];
        char image[80];
};

/* fail: "OP FIRST LAST ERROR"; n-OP: how many came. One request at a time, so the counts are right. */
static const char script[] = "#!/bin/sh\n"
                             "count() {\n"
                             "        n=$(($(cat n-$1 2>/dev/null || echo 0) + 1))\n"
                             "        echo $n >n-$1\n"
                             "        if [ \"$op\" = $1 ] && [ $n -ge $first ] && [ $n -le $last ]; then\n"
                             "                echo \"$error as asked for\" >&2\n"
                             "                exit 1\n"
                             "        fi\n"
                             "}\n"
                             "case $1 in pread | pwrite | flush)\n"
                             "        read -r op first last error <fail\n"
                             "        count any\n"
                             "        count $1\n"
                             "esac\n"
                             "case $1 in\n"
                             "get_size) stat -c %s image ;;\n"
                             "thread_model) echo serialize_all_requests ;;\n"
                             "can_write | can_flush | flush) ;;\n"
                             "pread) dd if=image iflag=skip_bytes,count_bytes skip=$4 count=$3 bs=64k status=none ;;\n"
                             "pwrite) dd of=image oflag=seek_bytes conv=notrunc seek=$4 bs=64k iflag=fullblock status=none ;;\n"
                             "*) exit 2 ;;\n"
                             "esac\n";

static int write_file(const struct nbddisk *disk, const char *name, mode_t mode, const char *text) {
        char path[128], new_path[132];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", disk->dir, name);
        snprintf(new_path, sizeof(new_path), "%s.new", path);
        file = fopen(new_path, "we");
        if (!file)
                return -errno;
        if (fputs(text, file) < 0 || fclose(file) != 0 || chmod(new_path, mode) < 0 || rename(new_path, path) < 0)
                return -EIO;
        return 0;
}

static void remove_file(const struct nbddisk *disk, const char *name) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", disk->dir, name);
        (void) unlink(path);
}

static bool has_file(const struct nbddisk *disk, const char *name) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", disk->dir, name);
        return access(path, F_OK) == 0;
}

/* What a file says, or 0. */
static unsigned read_number(const struct nbddisk *disk, const char *name) {
        char path[128];
        unsigned n = 0;
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", disk->dir, name);
        file = fopen(path, "re");
        if (file && fscanf(file, "%u", &n) != 1)
                abort();
        if (file)
                fclose(file);
        return n;
}

/* In the new process. */
static _Noreturn void run(const struct nbddisk *disk, const char *const *args) {
        static const char *const counting[] = { "sh", "./script", NULL };
        const char *argv[ARGS_MAX] = { "nbdfuse", "-o", "allow_other", "--pidfile", "ready", "mount", "[", "nbdkit", "--exit-with-parent", "--pidfile", "server" };
        int log, n = 11;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (args = args ? args : counting; *args && n < ARGS_MAX - 2; args++)
                argv[n++] = *args;
        argv[n++] = "]";
        if (chdir(disk->dir) < 0 || unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                _exit(EXIT_NO_MOUNT);
        log = open("log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        execvp(argv[0], (char *const *) argv);
        _exit(EXIT_NO_PROGRAM);
}

static void stop(struct nbddisk *disk) {
        watchdog_drop(disk->server);
        kill(disk->server, SIGKILL);
        watchdog_drop(disk->pid);
        kill(disk->pid, SIGKILL);
        while (waitpid(disk->pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

static void show_log(const struct nbddisk *disk) {
        char path[128], line[512];
        FILE *file;

        snprintf(path, sizeof(path), "%s/log", disk->dir);
        file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file))
                fprintf(stderr, "nbdfuse| %s", line);
        if (file)
                fclose(file);
}

/* It writes its number to a file when the disk is there. */
static int wait_ready(struct nbddisk *disk) {
        int status;

        while (!has_file(disk, "ready")) {
                if (waitpid(disk->pid, &status, WNOHANG) != 0) {
                        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_MOUNT)
                                return -EPERM;
                        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PROGRAM)
                                return -ENODEV;
                        show_log(disk);
                        return -ECHILD;
                }
                usleep(1000);
        }
        disk->server = (pid_t) read_number(disk, "server");
        watchdog_add(disk->pid);
        watchdog_add(disk->server);
        return 0;
}

static int prepare(struct nbddisk *disk, uint64_t n_blocks) {
        int r;

        r = tempfile_dir(disk->dir, sizeof(disk->dir));
        if (r < 0)
                return r;
        snprintf(disk->image, sizeof(disk->image), "%s/image", disk->dir);
        r = tempfile_make_identity(disk->image, n_blocks, 4096);
        if (r < 0)
                return r;
        nbddisk_heal(disk);
        return write_file(disk, "script", 0755, script);
}

static int start(struct nbddisk *disk, const char *const *args) {
        char mount_path[80];

        snprintf(mount_path, sizeof(mount_path), "%s/mount", disk->dir);
        if (mkdir(mount_path, 0755) < 0)
                return -errno;
        disk->pid = fork();
        if (disk->pid == 0)
                run(disk, args);
        if (disk->pid < 0)
                return -EAGAIN;
        snprintf(disk->path, sizeof(disk->path), "/proc/%d/root%s/nbd", disk->pid, mount_path);
        return wait_ready(disk);
}

int nbddisk_start(struct nbddisk **ret, uint64_t n_blocks, const char *const *args) {
        struct nbddisk *disk;
        int r;

        if (access("/dev/fuse", R_OK | W_OK) < 0)
                return -ENODEV;
        disk = calloc(1, sizeof(*disk));
        if (!disk)
                return -ENOMEM;
        r = prepare(disk, n_blocks);
        if (r == 0)
                r = start(disk, args);
        if (r < 0) {
                free(disk);
                return r;
        }
        *ret = disk;
        return 0;
}

void nbddisk_stop(struct nbddisk *disk) {
        if (!disk)
                return;
        stop(disk);
        free(disk);
}

const char *nbddisk_path(const struct nbddisk *disk) {
        return disk->path;
}

const char *nbddisk_image(const struct nbddisk *disk) {
        return disk->image;
}

void nbddisk_fail(struct nbddisk *disk, const char *op, unsigned first, unsigned last, const char *error) {
        static const char *const counts[] = { "n-any", "n-pread", "n-pwrite", "n-flush" };
        char text[64];

        for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
                remove_file(disk, counts[i]);
        snprintf(text, sizeof(text), "%s %u %u %s\n", op, first, last, error);
        if (write_file(disk, "fail", 0644, text) < 0)
                abort();
}

void nbddisk_heal(struct nbddisk *disk) {
        if (write_file(disk, "fail", 0644, "none 0 0 0\n") < 0)
                abort();
}

unsigned nbddisk_count(struct nbddisk *disk, const char *op) {
        char name[32];

        snprintf(name, sizeof(name), "n-%s", op);
        return read_number(disk, name);
}

void nbddisk_pause(struct nbddisk *disk) {
        char path[80];

        snprintf(path, sizeof(path), "%s/pause", disk->dir);
        nbdserver_pause(path);
}

void nbddisk_go_on(struct nbddisk *disk) {
        char path[80];

        snprintf(path, sizeof(path), "%s/pause", disk->dir);
        nbdserver_go_on(path);
}

void nbddisk_trigger(struct nbddisk *disk, int fails) {
        if (!fails)
                remove_file(disk, "trigger");
        else if (write_file(disk, "trigger", 0644, "") < 0)
                abort();
}
