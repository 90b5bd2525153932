/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program that uses a big file as long as nobody ends it: writes and commits changes, and looks whether every number is what it was told to be. What it has
 * done so far stands in FILE.progress. On SIGTERM it commits, compares with the file itself, and says how it went. Usage: client FILE
 * Or it writes and commits one number, and reads it again: client --once FILE, which may be the URI of an NBD server.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bfclient.h>

#define N_PAGES 4000u
#define WORDS (4096 / sizeof(uint64_t))
#define COMMIT (BF_WRITEOUT_STORE | BF_WRITEOUT_MARKSTORED)

static volatile sig_atomic_t is_over;

static void on_end(int signal) {
        (void) signal;
        is_over = true;
}

static _Noreturn void die(const char *what) {
        printf("client: %s: %s\n", what, bf_errmsg());
        exit(1);
}

static void tell(int fd, uint64_t n) {
        char text[32];
        int length = snprintf(text, sizeof(text), "%020llu\n", (unsigned long long) n);

        if (pwrite(fd, text, (size_t) length, 0) != length)
                die("progress");
}

static int open_progress(const char *path) {
        char name[300];
        int fd;

        snprintf(name, sizeof(name), "%s.progress", path);
        fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0)
                die(name);
        return fd;
}

static void use(struct bf_fileh *fileh, uint64_t *map, uint64_t *values, int progress) {
        for (uint64_t i = 1; !is_over; i++) {
                uint64_t page = i * 7 % N_PAGES, other = i * 31 % N_PAGES;

                map[page * WORDS] = values[page] = i;
                if (map[other * WORDS] != values[other])
                        die("a number is not what was written");
                if (i % 300 == 0 && bf_writeout(fileh, COMMIT) < 0)
                        die("writeout");
                if (i % 100 == 0)
                        tell(progress, i);
        }
}

static int use_once(const char *name) {
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map, n;

        if (bf_connect(&client, "unix:/run/bigfiled/bigfiled.sock") < 0 || bf_open(client, name, O_RDWR, NULL, &fileh) < 0 ||
            bf_mmap(fileh, 0, 4096, PROT_READ | PROT_WRITE, (void **) &map) < 0)
                die(name);
        n = ++*map;
        if (bf_writeout(fileh, COMMIT | BF_WRITEOUT_SYNC) < 0 || bf_invalidate(fileh, 0, 4096) < 0)
                die(name);
        return *map == n ? 0 : 1;
}

int main(int argc, char **argv) {
        static uint64_t values[N_PAGES];
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map, n;
        int fd, progress;

        if (argc == 3)
                return use_once(argv[2]);
        if (argc != 2)
                return 2;
        signal(SIGTERM, on_end);
        fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || ftruncate(fd, N_PAGES * 4096) < 0 || bf_connect(&client, "unix:/run/bigfiled/bigfiled.sock") < 0 ||
            bf_open(client, argv[1], O_RDWR, NULL, &fileh) < 0 || bf_mmap(fileh, 0, N_PAGES * 4096, PROT_READ | PROT_WRITE, (void **) &map) < 0)
                die("start");
        progress = open_progress(argv[1]);
        for (unsigned page = 0; page < N_PAGES; page++)
                values[page] = map[page * WORDS];
        use(fileh, map, values, progress);
        if (bf_writeout(fileh, COMMIT | BF_WRITEOUT_SYNC) < 0)
                die("the last writeout");
        for (unsigned page = 0; page < N_PAGES; page++)
                if (pread(fd, &n, sizeof(n), page * 4096) != sizeof(n) || n != values[page])
                        die("a number is not in the file");
        puts("client: every number is right");
        bf_disconnect(client);
        return 0;
}
