/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_MODEL_H
#define BF_TEST_MODEL_H

/*
 * What files and views of them (filehs) must look like, in plain memory, for test_model.c. Of each page a few words, the slots, are followed;
 * all others never change. It knows nothing of daemon and library.
 *
 * What a dirty page holds is known exactly. A clean page may leave RAM and be loaded again at any time, so that it may show the file as it was at any
 * moment since the view last learnt of it; but never older again once something newer was seen. After MARKSTORED without STORE a clean page may
 * besides still show what was written: that is its phantom, gone with the first load.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_SLOTS 8
#define MODEL_VERSIONS 16

struct model_image {
        uint64_t words[MODEL_SLOTS];
};

/* Of one page of a file: what it held, version by version; older ones than MODEL_VERSIONS are forgotten. */
struct model_versions {
        uint64_t last;
        struct model_image images[MODEL_VERSIONS];
};

struct model_file {
        size_t n_pages;
        struct model_versions *pages;
};

struct model_page {
        bool dirty;
        bool has_phantom;
        uint64_t oldest;          /* the oldest version that it may show */
        struct model_image image; /* of a dirty page, or the phantom */
};

struct model_view {
        struct model_file *file;
        struct model_page *pages;
        size_t n_dirty;
};

/* Which word of a page a slot is. */
size_t model_word(size_t slot);

/* Every word of page p is p at first. */
void model_file_init(struct model_file *file, size_t n_pages);
void model_file_fini(struct model_file *file);
const struct model_image *model_file_page(const struct model_file *file, size_t page);

void model_view_init(struct model_view *view, struct model_file *file);
void model_view_fini(struct model_view *view);

/* This was seen: one slot, or all of them at once. False: that cannot be. */
bool model_see(struct model_view *view, size_t page, size_t slot, uint64_t value);
bool model_see_page(struct model_view *view, size_t page, const struct model_image *image);

/* This was written, and then the page was as said; for a page that was dirty already, that is known (NULL). False: it cannot be. */
bool model_write(struct model_view *view, size_t page, size_t slot, uint64_t value, const struct model_image *after);

void model_store(struct model_view *view);
void model_mark(struct model_view *view);
void model_discard(struct model_view *view);
void model_invalidate(struct model_view *view, size_t first, size_t n);

/* One more version of this page of its file, and this view could show one that is forgotten. */
bool model_is_behind(const struct model_view *view, size_t page);

#endif
