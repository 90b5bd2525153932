/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opsfile.h"

#define PAGE 4096u

struct opsfile *opsfile_new(uint64_t size, uint64_t block_size) {
        struct opsfile *file = calloc(1, sizeof(*file));
        uint64_t n_bytes = (size + block_size - 1) / block_size * block_size;

        assert(file);
        file->size = size;
        file->block_size = block_size;
        file->content = malloc(n_bytes);
        assert(file->content);
        for (uint64_t i = 0; i < n_bytes / 8; i++)
                ((uint64_t *) file->content)[i] = i * 8 / PAGE;
        pthread_mutex_init(&file->lock, NULL);
        pthread_cond_init(&file->changed, NULL);
        return file;
}

void opsfile_free(struct opsfile *file) {
        pthread_cond_destroy(&file->changed);
        pthread_mutex_destroy(&file->lock);
        free(file->content);
        free(file);
}

/* --- its functions ------------------------------------------------------------------------------------------------------------------------------ */

static void opsfile_enter(struct opsfile *file, enum opsfile_op op, uint64_t block) {
        pthread_mutex_lock(&file->lock);
        assert(file->n_log < OPSFILE_LOG_MAX && file->n_releases == 0);
        file->log[file->n_log++] = (struct opsfile_call) { op, block };
        if (op == OPSFILE_STORE && ++file->n_stores_running > file->n_stores_max)
                file->n_stores_max = file->n_stores_running;
        pthread_mutex_unlock(&file->lock);
        if (file->on_call)
                file->on_call(file, op, block);
}

static bool opsfile_is_held(const struct opsfile *file, enum opsfile_op op, uint64_t block) {
        return file->hold[op].is_set && (file->hold[op].block == block || file->hold[op].block == OPSFILE_ANY);
}

/* Waits where it is held; returns what the call is to return, 0 if it is to do what it should. */
static int opsfile_pass(struct opsfile *file, enum opsfile_op op, uint64_t block) {
        int result = 0;

        pthread_mutex_lock(&file->lock);
        if (opsfile_is_held(file, op, block)) {
                file->hold[op].n_held++;
                pthread_cond_broadcast(&file->changed);
                while (opsfile_is_held(file, op, block))
                        pthread_cond_wait(&file->changed, &file->lock);
                file->hold[op].n_held--;
        }
        if (file->fail[op].times > 0 && (file->fail[op].block == block || file->fail[op].block == OPSFILE_ANY)) {
                file->fail[op].times--;
                result = file->fail[op].result;
        }
        if (op == OPSFILE_STORE)
                file->n_stores_running--;
        pthread_mutex_unlock(&file->lock);
        return result;
}

static int opsfile_load(void *data, uint64_t block, void *buf) {
        struct opsfile *file = data;
        int r;

        opsfile_enter(file, OPSFILE_LOAD, block);
        pthread_mutex_lock(&file->lock);
        memcpy(buf, file->content + block * file->block_size, file->block_size);
        pthread_mutex_unlock(&file->lock);
        r = opsfile_pass(file, OPSFILE_LOAD, block);
        if (r != 0)
                memset(buf, 0xee, file->block_size);
        return r;
}

static int opsfile_store(void *data, uint64_t block, const void *buf) {
        struct opsfile *file = data;
        int r;

        opsfile_enter(file, OPSFILE_STORE, block);
        r = opsfile_pass(file, OPSFILE_STORE, block);
        if (r != 0)
                return r;
        pthread_mutex_lock(&file->lock);
        memcpy(file->content + block * file->block_size, buf, file->block_size);
        pthread_mutex_unlock(&file->lock);
        return 0;
}

static void opsfile_on_release(void *data) {
        struct opsfile *file = data;

        pthread_mutex_lock(&file->lock);
        file->n_releases++;
        pthread_mutex_unlock(&file->lock);
}

const struct bf_file_ops opsfile_ops = { .load = opsfile_load, .store = opsfile_store, .release = opsfile_on_release };

/* --- the test's side ---------------------------------------------------------------------------------------------------------------------------- */

void opsfile_hold(struct opsfile *file, enum opsfile_op op, uint64_t block) {
        pthread_mutex_lock(&file->lock);
        file->hold[op].block = block;
        file->hold[op].is_set = true;
        pthread_mutex_unlock(&file->lock);
}

void opsfile_wait(struct opsfile *file, enum opsfile_op op, unsigned n) {
        pthread_mutex_lock(&file->lock);
        while (file->hold[op].n_held < n)
                pthread_cond_wait(&file->changed, &file->lock);
        pthread_mutex_unlock(&file->lock);
}

void opsfile_release(struct opsfile *file, enum opsfile_op op) {
        pthread_mutex_lock(&file->lock);
        file->hold[op].is_set = false;
        pthread_cond_broadcast(&file->changed);
        pthread_mutex_unlock(&file->lock);
}

void opsfile_fail(struct opsfile *file, enum opsfile_op op, uint64_t block, unsigned times, int result) {
        pthread_mutex_lock(&file->lock);
        file->fail[op].block = block;
        file->fail[op].times = times;
        file->fail[op].result = result;
        pthread_mutex_unlock(&file->lock);
}

const char *opsfile_log(struct opsfile *file) {
        static char text[OPSFILE_LOG_MAX * 8];
        size_t n = 0;

        pthread_mutex_lock(&file->lock);
        text[0] = '\0';
        for (unsigned i = 0; i < file->n_log && n < sizeof(text) - 32; i++)
                n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%c%llu", i > 0 ? " " : "", "LS"[file->log[i].op], (unsigned long long) file->log[i].block);
        file->n_log = 0;
        pthread_mutex_unlock(&file->lock);
        return text;
}

unsigned opsfile_n_releases(struct opsfile *file) {
        unsigned n;

        pthread_mutex_lock(&file->lock);
        n = file->n_releases;
        pthread_mutex_unlock(&file->lock);
        return n;
}

uint64_t *opsfile_word(struct opsfile *file, uint64_t offset) {
        return (uint64_t *) (file->content + offset);
}
