/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "page.h"

#define PAGES_CHUNK_SHIFT 10
#define PAGES_CHUNK (UINT32_C(1) << PAGES_CHUNK_SHIFT)

static_assert(sizeof(struct page) == 32, "a page costs 32 bytes");

void pages_init(struct pages *pages) {
        *pages = (struct pages) { 0 };
}

void pages_fini(struct pages *pages) {
        for (uint32_t i = 0; i < pages->n_chunks; i++)
                free(pages->chunks[i]);
        free(pages->chunks);
        *pages = (struct pages) { 0 };
}

static int pages_grow(struct pages *pages) {
        struct page **chunks, *chunk;
        uint32_t first = pages->n_chunks << PAGES_CHUNK_SHIFT;

        if (pages->n_chunks >= UINT32_MAX >> PAGES_CHUNK_SHIFT)
                return -1;
        if ((pages->n_chunks & (pages->n_chunks - 1)) == 0) { /* the table of chunks doubles at 0, 1, 2, 4, … */
                chunks = reallocarray(pages->chunks, pages->n_chunks ? pages->n_chunks * 2 : 1, sizeof(*chunks));
                if (!chunks)
                        return -1;
                pages->chunks = chunks;
        }
        chunk = calloc(PAGES_CHUNK, sizeof(*chunk));
        if (!chunk)
                return -1;
        pages->chunks[pages->n_chunks++] = chunk;
        for (uint32_t i = PAGES_CHUNK; i-- > 0;)
                if (first + i != 0)
                        pages_free(pages, first + i);
        return 0;
}

uint32_t pages_new(struct pages *pages) {
        struct page *page;
        uint32_t id;

        if (!pages->free && pages_grow(pages) < 0)
                return 0;
        id = pages->free;
        page = pages_get(pages, id);
        pages->free = page->order.next;
        memset(page, 0, sizeof(*page));
        return id;
}

void pages_free(struct pages *pages, uint32_t id) {
        pages_get(pages, id)->order.next = pages->free;
        pages->free = id;
}

struct page *pages_get(const struct pages *pages, uint32_t id) {
        assert(id != 0 && id >> PAGES_CHUNK_SHIFT < pages->n_chunks);
        return &pages->chunks[id >> PAGES_CHUNK_SHIFT][id & (PAGES_CHUNK - 1)];
}

static struct page_links *pagelist_links(const struct pagelist *list, struct pages *pages, uint32_t id) {
        struct page *page = pages_get(pages, id);

        return list->link == PAGELIST_ORDER ? &page->order : &page->dirty;
}

void pagelist_init(struct pagelist *list, enum pagelist_link link) {
        *list = (struct pagelist) { .link = link };
}

void pagelist_push_first(struct pagelist *list, struct pages *pages, uint32_t id) {
        *pagelist_links(list, pages, id) = (struct page_links) { .next = list->first };
        if (list->first)
                pagelist_links(list, pages, list->first)->prev = id;
        else
                list->last = id;
        list->first = id;
        list->n++;
}

void pagelist_push_last(struct pagelist *list, struct pages *pages, uint32_t id) {
        *pagelist_links(list, pages, id) = (struct page_links) { .prev = list->last };
        if (list->last)
                pagelist_links(list, pages, list->last)->next = id;
        else
                list->first = id;
        list->last = id;
        list->n++;
}

void pagelist_remove(struct pagelist *list, struct pages *pages, uint32_t id) {
        struct page_links *links = pagelist_links(list, pages, id);

        assert(list->n > 0);
        if (links->prev)
                pagelist_links(list, pages, links->prev)->next = links->next;
        else
                list->first = links->next;
        if (links->next)
                pagelist_links(list, pages, links->next)->prev = links->prev;
        else
                list->last = links->prev;
        *links = (struct page_links) { 0 };
        list->n--;
}

void pagelist_append(struct pagelist *list, struct pages *pages, struct pagelist *from) {
        assert(list->link == from->link);
        if (!from->first)
                return;
        if (list->last) {
                pagelist_links(list, pages, list->last)->next = from->first;
                pagelist_links(list, pages, from->first)->prev = list->last;
        } else
                list->first = from->first;
        list->last = from->last;
        list->n += from->n;
        pagelist_init(from, from->link);
}
