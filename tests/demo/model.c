/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define MODEL_CHANGE_MAX 64 /* bytes */

int model_init(struct model *model, uint64_t size, uint64_t n_round_max, uint64_t seed) {
        uint64_t n_pages = (size + MODEL_PAGE - 1) / MODEL_PAGE;

        *model = (struct model){
                .size = size,
                .n_pages = n_pages,
                .hashes = calloc(n_pages, sizeof(uint64_t)),
                .next = calloc(n_round_max, sizeof(uint64_t)),
                .pages = calloc(n_round_max, sizeof(uint64_t)),
                .is_chosen = calloc(n_pages, 1),
                .seed = seed,
        };
        if (model->hashes && model->next && model->pages && model->is_chosen)
                return 0;
        model_fini(model);
        return -ENOMEM;
}

void model_fini(struct model *model) {
        free(model->hashes);
        free(model->next);
        free(model->pages);
        free(model->is_chosen);
}

uint64_t model_page_bytes(const struct model *model, uint64_t page) {
        uint64_t rest = model->size - page * MODEL_PAGE;

        return rest < MODEL_PAGE ? rest : MODEL_PAGE;
}

uint64_t model_hash(const void *bytes, uint64_t n) {
        uint64_t hash = n, word;

        for (uint64_t i = 0; i < n; i += sizeof(word)) {
                word = 0;
                memcpy(&word, (const uint8_t *) bytes + i, n - i < sizeof(word) ? n - i : sizeof(word));
                hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
                hash ^= hash >> 32;
        }
        return hash;
}

bool model_fits(const struct model *model, uint64_t page, const void *bytes) {
        return model_hash(bytes, model_page_bytes(model, page)) == model->hashes[page];
}

/* The generator "splitmix64". */
static uint64_t model_random(struct model *model, uint64_t limit) {
        uint64_t z = model->seed += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return (z ^ z >> 31) % limit;
}

void model_begin_round(struct model *model, uint64_t n) {
        if (n > model->n_pages / 2)
                n = model->n_pages / 2;
        if (n == 0)
                n = 1;
        for (model->n_round = 0; model->n_round < n;) {
                uint64_t page = model_random(model, model->n_pages);

                if (model->is_chosen[page])
                        continue;
                model->is_chosen[page] = 1;
                model->pages[model->n_round++] = page;
        }
}

/* Every byte that is touched gets another value, so that the page does change. */
void model_change(struct model *model, uint64_t i, uint8_t *bytes) {
        uint64_t n_page = model_page_bytes(model, model->pages[i]), begin = model_random(model, n_page);
        uint64_t n = 1 + model_random(model, MODEL_CHANGE_MAX);

        assert(i < model->n_round);
        for (uint64_t j = begin; j < begin + n && j < n_page; j++)
                bytes[j] = (uint8_t) (bytes[j] ^ (1 + model_random(model, UINT8_MAX)));
        model->next[i] = model_hash(bytes, n_page);
}

void model_commit(struct model *model) {
        for (uint64_t i = 0; i < model->n_round; i++)
                model->hashes[model->pages[i]] = model->next[i];
}

void model_end_round(struct model *model) {
        for (uint64_t i = 0; i < model->n_round; i++)
                model->is_chosen[model->pages[i]] = 0;
        model->n_round = 0;
}
