/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

size_t model_word(size_t slot) {
        static const size_t words[MODEL_SLOTS] = { 0, 1, 63, 100, 255, 256, 400, 511 };

        return words[slot];
}

static bool image_equal(const struct model_image *a, const struct model_image *b) {
        return memcmp(a, b, sizeof(*a)) == 0;
}

static struct model_image *version(const struct model_file *file, size_t page, uint64_t number) {
        return &file->pages[page].images[number % MODEL_VERSIONS];
}

void model_file_init(struct model_file *file, size_t n_pages) {
        file->n_pages = n_pages;
        file->pages = calloc(n_pages, sizeof(*file->pages));
        if (!file->pages)
                abort();
        for (size_t page = 0; page < n_pages; page++)
                for (size_t slot = 0; slot < MODEL_SLOTS; slot++)
                        version(file, page, 0)->words[slot] = page;
}

void model_file_fini(struct model_file *file) {
        free(file->pages);
}

const struct model_image *model_file_page(const struct model_file *file, size_t page) {
        return version(file, page, file->pages[page].last);
}

void model_view_init(struct model_view *view, struct model_file *file) {
        view->file = file;
        view->n_dirty = 0;
        view->pages = calloc(file->n_pages, sizeof(*view->pages));
        if (!view->pages)
                abort();
}

void model_view_fini(struct model_view *view) {
        free(view->pages);
}

bool model_see(struct model_view *view, size_t page, size_t slot, uint64_t value) {
        struct model_page *p = &view->pages[page];
        bool is_phantom = p->has_phantom && p->image.words[slot] == value;
        uint64_t number = p->oldest;

        if (p->dirty)
                return p->image.words[slot] == value;
        while (number <= view->file->pages[page].last && version(view->file, page, number)->words[slot] != value)
                number++;
        if (is_phantom)
                return true; /* nothing is learnt of versions */
        p->has_phantom = false;
        p->oldest = number;
        return number <= view->file->pages[page].last;
}

/* Is this what a clean page may hold? */
static bool may_hold(const struct model_view *view, size_t page, const struct model_image *image, uint64_t *ret_number) {
        for (uint64_t number = view->pages[page].oldest; number <= view->file->pages[page].last; number++)
                if (image_equal(version(view->file, page, number), image)) {
                        *ret_number = number;
                        return true;
                }
        return false;
}

bool model_see_page(struct model_view *view, size_t page, const struct model_image *image) {
        struct model_page *p = &view->pages[page];

        if (p->dirty || (p->has_phantom && image_equal(&p->image, image)))
                return image_equal(&p->image, image);
        p->has_phantom = false;
        return may_hold(view, page, image, &p->oldest);
}

static void make_dirty(struct model_view *view, size_t page, const struct model_image *image) {
        struct model_page *p = &view->pages[page];

        view->n_dirty += !p->dirty;
        p->dirty = true;
        p->has_phantom = false;
        p->image = *image;
}

static void make_clean(struct model_view *view, size_t page) {
        struct model_page *p = &view->pages[page];

        view->n_dirty -= p->dirty;
        p->dirty = false;
        p->has_phantom = false;
        p->oldest = view->file->pages[page].last;
}

static bool is_written_into(struct model_image image, size_t slot, uint64_t value, const struct model_image *after) {
        image.words[slot] = value;
        return image_equal(&image, after);
}

bool model_write(struct model_view *view, size_t page, size_t slot, uint64_t value, const struct model_image *after) {
        struct model_page *p = &view->pages[page];
        bool found;

        if (!after) {
                assert(p->dirty);
                p->image.words[slot] = value;
                return true;
        }
        found = p->has_phantom && is_written_into(p->image, slot, value, after);
        for (uint64_t number = p->oldest; !found && number <= view->file->pages[page].last; number++)
                found = is_written_into(*version(view->file, page, number), slot, value, after);
        make_dirty(view, page, after);
        return found;
}

void model_store(struct model_view *view) {
        for (size_t page = 0; page < view->file->n_pages; page++)
                if (view->pages[page].dirty)
                        *version(view->file, page, ++view->file->pages[page].last) = view->pages[page].image;
}

void model_mark(struct model_view *view) {
        for (size_t page = 0; page < view->file->n_pages; page++) {
                struct model_page *p = &view->pages[page];

                if (!p->dirty)
                        continue;
                make_clean(view, page);
                p->has_phantom = !image_equal(&p->image, model_file_page(view->file, page));
        }
}

void model_discard(struct model_view *view) {
        for (size_t page = 0; page < view->file->n_pages; page++)
                if (view->pages[page].dirty)
                        make_clean(view, page);
}

void model_invalidate(struct model_view *view, size_t first, size_t n) {
        for (size_t page = first; page < first + n && page < view->file->n_pages; page++)
                make_clean(view, page);
}

bool model_is_behind(const struct model_view *view, size_t page) {
        return view->file->pages[page].last + 1 - view->pages[page].oldest >= MODEL_VERSIONS;
}
