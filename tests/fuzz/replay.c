/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs a fuzz target over kept inputs, without a fuzzer: the files named, and those in the directories named. */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REPLAY_BYTES_MAX 65536

static int replay_file(const char *path) {
        FILE *f = fopen(path, "re");
        uint8_t *bytes;
        size_t n;

        if (!f) {
                perror(path);
                return 1;
        }
        bytes = malloc(REPLAY_BYTES_MAX);
        n = bytes ? fread(bytes, 1, REPLAY_BYTES_MAX, f) : 0;
        fclose(f);
        if (n > 0)
                bytes = realloc(bytes, n); /* so that a sanitizer sees a step too far */
        LLVMFuzzerTestOneInput(bytes, n);
        free(bytes);
        return 0;
}

/* Returns how many inputs there were, or -1. */
static int replay_directory(DIR *dir, const char *path) {
        const struct dirent *entry;
        char name[4096];
        int n = 0;

        while ((entry = readdir(dir)))
                if (entry->d_name[0] != '.') {
                        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
                        if (replay_file(name) != 0)
                                return -1;
                        n++;
                }
        return n;
}

int main(int argc, char **argv) {
        int n = 0;

        for (int i = 1; i < argc; i++) {
                DIR *dir = opendir(argv[i]);
                int n_here = dir ? replay_directory(dir, argv[i]) : replay_file(argv[i]) == 0 ? 1 : -1;

                if (dir)
                        closedir(dir);
                if (n_here < 0)
                        return EXIT_FAILURE;
                n += n_here;
        }
        printf("%d inputs\n", n);
        return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
