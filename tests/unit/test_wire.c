/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The shape of every message, against a list of its own: what is right passes, and each way to be wrong is refused for what it is. PROTOCOL.md has to
 * say the same.
 */

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bfclient.h"
#include "wire.h"

/* Where the reserved field is, in every message that has one. */
#define RESERVED_AT 20

struct shape {
        const char *name;
        unsigned id;
        size_t size;
        unsigned n_fds_min, n_fds_max;
        const char *flags; /* as PROTOCOL.md lists them; the first is bit 0 */
        bool has_reserved;
};

static const struct shape shapes[] = {
        { "HELLO", 1, 32, 0, 0, "", true },
        { "OPEN", 2, 32, 2, 3, "SHARED, HUGE, READONLY, NAMED, DIRECT, DIRECT_REFUSED", false },
        { "CLOSE", 3, 24, 0, 0, "", true },
        { "MAP", 4, 48, 0, 0, "", true },
        { "UNMAP", 5, 32, 0, 0, "", true },
        { "RESIZE", 6, 32, 0, 0, "", true },
        { "WRITEOUT", 7, 24, 0, 0, "STORE, MARKSTORED, SYNC", true },
        { "DISCARD", 8, 24, 0, 0, "", true },
        { "INVALIDATE", 9, 40, 0, 0, "", true },
        { "LOAD", 10, 40, 0, 0, "", true },
        { "ADVISE", 11, 40, 0, 0, "", false },
        { "STAT", 12, 24, 0, 0, "", true },
        { "POOL_STAT", 13, 16, 0, 0, "", false },
        { "RECLAIM", 14, 24, 0, 0, "", false },
        { "ADOPT", 15, 32, 4, 6, "SHARED, HUGE, READONLY, NAMED, DIRECT, DIRECT_REFUSED", false },
        { "SHOWN", 16, 24, 0, 0, "", true },
        { "SERVE", 17, 160, 0, 1, "", false },
        { "LOOKUP", 18, 144, 0, 0, "", false },
        { "REPORT", 19, 24, 0, 0, "", false },
        { "RECLAIM_FILE", 20, 32, 0, 0, "", true },
        { "TRACE", 21, 40, 0, 0, "", true },
        { "HELLO reply", 0x8001, 40, 0, 1, "DIRECT", false },
        { "OPEN reply", 0x8002, 32, 0, 3, "", false },
        { "CLOSE reply", 0x8003, 24, 0, 0, "", true },
        { "MAP reply", 0x8004, 24, 0, 0, "", true },
        { "UNMAP reply", 0x8005, 24, 0, 0, "", true },
        { "RESIZE reply", 0x8006, 24, 0, 0, "", true },
        { "WRITEOUT reply", 0x8007, 24, 0, 0, "", true },
        { "DISCARD reply", 0x8008, 24, 0, 0, "", true },
        { "INVALIDATE reply", 0x8009, 24, 0, 0, "", true },
        { "LOAD reply", 0x800a, 24, 0, 0, "HEALED", true },
        { "ADVISE reply", 0x800b, 24, 0, 0, "", true },
        { "STAT reply", 0x800c, 88, 0, 0, "", true },
        { "POOL_STAT reply", 0x800d, 144, 0, 0, "", true },
        { "RECLAIM reply", 0x800e, 32, 0, 0, "", true },
        { "ADOPT reply", 0x800f, 32, 0, 0, "", false },
        { "SHOWN reply", 0x8010, 24, 0, 0, "", true },
        { "SERVE reply", 0x8011, 24, 0, 3, "", true },
        { "LOOKUP reply", 0x8012, 40, 0, 1, "", true },
        { "REPORT reply", 0x8013, 32, 0, 1, "", false },
        { "RECLAIM_FILE reply", 0x8014, 32, 0, 0, "", true },
        { "TRACE reply", 0x8015, 24, 0, 1, "", true },
};

#define N_SHAPES (sizeof(shapes) / sizeof(*shapes))

static uint32_t flags_of(const struct shape *shape) {
        uint32_t flags = shape->flags[0] != '\0';

        for (const char *c = shape->flags; *c; c++)
                if (*c == ',')
                        flags = flags << 1 | 1;
        return flags;
}

static enum wire_direction direction_of(const struct shape *shape) {
        return shape->id & WIRE_REPLY ? WIRE_TO_CLIENT : WIRE_TO_DAEMON;
}

/* The message as it should be, every field that may be anything full of ones. */
static union wire_msg make(const struct shape *shape) {
        union wire_msg msg;

        memset(&msg, 0xff, sizeof(msg));
        msg.header = (struct wire_header) {
                .id = (uint16_t) shape->id, .n_fds = (uint16_t) shape->n_fds_max, .size = (uint32_t) shape->size, .serial = 7, .flags = 0
        };
        if (shape->has_reserved)
                memset(msg.bytes + RESERVED_AT, 0, sizeof(uint32_t));
        return msg;
}

static void check(const struct shape *shape, const union wire_msg *msg, size_t size, unsigned n_fds, enum wire_verdict expected) {
        enum wire_verdict verdict = wire_validate(direction_of(shape), msg, size, n_fds);

        if (verdict != expected)
                fail_msg("%s of %zu bytes with %u descriptors, flags %#x: \"%s\" instead of \"%s\"", shape->name, size, n_fds, msg->header.flags,
                         wire_verdict_text(verdict), wire_verdict_text(expected));
}

static void test_right_messages_pass(void **state) {
        (void) state;
        for (const struct shape *shape = shapes; shape < shapes + N_SHAPES; shape++) {
                union wire_msg msg = make(shape);

                for (unsigned n = shape->n_fds_min; n <= shape->n_fds_max; n++) {
                        msg.header.n_fds = (uint16_t) n;
                        check(shape, &msg, shape->size, n, WIRE_OK);
                }
                msg.header.flags = flags_of(shape);
                check(shape, &msg, shape->size, shape->n_fds_max, WIRE_OK);
        }
}

static void test_the_other_direction_is_refused(void **state) {
        (void) state;
        for (const struct shape *shape = shapes; shape < shapes + N_SHAPES; shape++) {
                union wire_msg msg = make(shape);
                enum wire_direction other = direction_of(shape) == WIRE_TO_CLIENT ? WIRE_TO_DAEMON : WIRE_TO_CLIENT;

                assert_int_equal(wire_validate(other, &msg, shape->size, shape->n_fds_max), WIRE_BAD_ID);
        }
}

static void test_unknown_ids_are_refused(void **state) {
        (void) state;
        for (unsigned id = 0; id <= UINT16_MAX; id++) {
                union wire_msg msg = { .header = { .id = (uint16_t) id, .size = sizeof(msg) } };
                enum wire_direction direction = id & WIRE_REPLY ? WIRE_TO_CLIENT : WIRE_TO_DAEMON;
                bool known = false;

                for (unsigned i = 0; i < N_SHAPES; i++)
                        known |= shapes[i].id == id;
                assert_int_equal(wire_validate(direction, &msg, sizeof(msg), 0), known ? WIRE_BAD_SIZE : WIRE_BAD_ID);
        }
}

static void test_every_other_size_is_refused(void **state) {
        (void) state;
        for (const struct shape *shape = shapes; shape < shapes + N_SHAPES; shape++)
                for (size_t size = 0; size <= WIRE_MSG_MAX; size++) {
                        union wire_msg msg = make(shape);

                        if (size == shape->size)
                                continue;
                        check(shape, &msg, size, shape->n_fds_max, size < sizeof(msg.header) ? WIRE_BAD_SHORT : WIRE_BAD_SIZE);
                        msg.header.size = (uint32_t) size;
                        check(shape, &msg, size, shape->n_fds_max, size < sizeof(msg.header) ? WIRE_BAD_SHORT : WIRE_BAD_SIZE);
                        check(shape, &msg, shape->size, shape->n_fds_max, WIRE_BAD_SIZE);
                }
}

static void test_every_other_number_of_descriptors_is_refused(void **state) {
        (void) state;
        for (const struct shape *shape = shapes; shape < shapes + N_SHAPES; shape++)
                for (unsigned said = 0; said <= 300; said++)
                        for (unsigned came = 0; came <= WIRE_FDS_MAX; came++) {
                                union wire_msg msg = make(shape);
                                bool right = said == came && came >= shape->n_fds_min && came <= shape->n_fds_max;

                                msg.header.n_fds = (uint16_t) said;
                                check(shape, &msg, shape->size, came, right ? WIRE_OK : WIRE_BAD_FDS);
                        }
}

static void test_every_other_flag_is_refused(void **state) {
        (void) state;
        for (const struct shape *shape = shapes; shape < shapes + N_SHAPES; shape++)
                for (unsigned bit = 0; bit < 32; bit++) {
                        union wire_msg msg = make(shape);

                        msg.header.flags = UINT32_C(1) << bit;
                        check(shape, &msg, shape->size, shape->n_fds_max, flags_of(shape) & UINT32_C(1) << bit ? WIRE_OK : WIRE_BAD_FLAGS);
                }
}

/* Each bit of the body by itself: those of the reserved field must be zero, all others may be anything. */
static void test_every_reserved_bit_must_be_zero(void **state) {
        (void) state;
        for (const struct shape *shape = shapes; shape < shapes + N_SHAPES; shape++)
                for (size_t bit = sizeof(struct wire_header) * 8; bit < shape->size * 8; bit++) {
                        bool reserved = shape->has_reserved && bit / 8 >= RESERVED_AT && bit / 8 < RESERVED_AT + sizeof(uint32_t);
                        union wire_msg msg = make(shape);

                        msg.bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
                        check(shape, &msg, shape->size, shape->n_fds_max, reserved ? WIRE_BAD_RESERVED : WIRE_OK);
                }
}

static void test_init_makes_right_messages(void **state) {
        (void) state;
        for (const struct shape *shape = shapes; shape < shapes + N_SHAPES; shape++) {
                union wire_msg msg;

                memset(&msg, 0xff, sizeof(msg));
                wire_init(&msg, shape->id, 99);
                assert_int_equal(msg.header.id, shape->id);
                assert_int_equal(msg.header.serial, 99);
                assert_int_equal(msg.header.size, shape->size);
                for (size_t i = sizeof(msg.header); i < sizeof(msg); i++)
                        assert_int_equal(msg.bytes[i], 0);
                msg.header.n_fds = (uint16_t) shape->n_fds_max;
                check(shape, &msg, shape->size, shape->n_fds_max, WIRE_OK);
                assert_string_equal(wire_name(shape->id), shape->name);
        }
        assert_string_equal(wire_name(0), "unknown");
        assert_string_equal(wire_name(N_WIRE_IDS), "unknown");
        assert_string_equal(wire_name(UINT32_MAX), "unknown");
}

static void test_every_verdict_has_a_text_of_its_own(void **state) {
        (void) state;
        for (enum wire_verdict a = WIRE_OK; a < N_WIRE_VERDICTS; a++)
                for (enum wire_verdict b = WIRE_OK; b < a; b++)
                        assert_string_not_equal(wire_verdict_text(a), wire_verdict_text(b));
}

/* --- PROTOCOL.md ----------------------------------------------------------------------------------------------------------------------------- */

enum column { COLUMN_ID, COLUMN_MESSAGE, COLUMN_FIELDS, COLUMN_FDS, COLUMN_REPLY, COLUMN_REPLY_FDS, N_COLUMNS };

struct row {
        char text[512];
        char *columns[N_COLUMNS];
};

static char *trim(char *text) {
        size_t n;

        while (isspace((unsigned char) *text))
                text++;
        for (n = strlen(text); n > 0 && isspace((unsigned char) text[n - 1]); n--)
                text[n - 1] = '\0';
        return text;
}

/* Splits "| 1 | HELLO | … |"; false for any other line. */
static bool row_parse(struct row *row) {
        char *rest = row->text;

        if (row->text[0] != '|' || !isdigit((unsigned char) row->text[2]))
                return false;
        rest++;
        for (unsigned i = 0; i < N_COLUMNS; i++) {
                row->columns[i] = strsep(&rest, "|");
                assert_non_null(row->columns[i]);
                row->columns[i] = trim(row->columns[i]);
        }
        return true;
}

static size_t field_size(const char *name) {
        static const char *const words[] = { "version", "handle", "advice", "error", "kind", "pager", "pagers", "file", "kinds" };
        static const char *const longs[] = { "features", "size", "block_size", "address", "offset", "length", "pool_bytes", "bytes",
                                             "bytes dropped", "device", "inode" };

        for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
                if (strcmp(name, words[i]) == 0)
                        return 4;
        for (unsigned i = 0; i < sizeof(longs) / sizeof(*longs); i++)
                if (strcmp(name, longs[i]) == 0)
                        return 8;
        if (strcmp(name, "name") == 0)
                return WIRE_SERVED_NAME_MAX;
        if (strcmp(name, "the fields of `struct bf_stat`") == 0)
                return sizeof(struct bf_stat);
        if (strcmp(name, "the fields of `struct bf_pool_stat`") == 0)
                return sizeof(struct bf_pool_stat);
        if (strcmp(name, "the fields of `struct bf_spill_stat`") == 0)
                return sizeof(struct bf_spill_stat);
        fail_msg("PROTOCOL.md: field \"%s\" is not known to this test", name);
        return 0;
}

/* The size of a message with these fields, at their natural alignment. */
static size_t fields_size(char *fields) {
        size_t size = sizeof(struct wire_header);
        char *name;

        while ((name = strsep(&fields, ",")) && *name) {
                size_t n = field_size(trim(name)), align = n < 8 ? n : 8;

                size = (size + align - 1) / align * align + n;
        }
        return (size + 7) / 8 * 8;
}

static const struct shape *shape_of(unsigned id) {
        for (unsigned i = 0; i < N_SHAPES; i++)
                if (shapes[i].id == id)
                        return &shapes[i];
        fail_msg("PROTOCOL.md: message %u is not known", id);
        return NULL;
}

/* "", "2: file, userfaultfd", "0 or 1: …", "2: …; on an error 0" */
static void check_fds(const struct shape *shape, const char *text) {
        unsigned min = (unsigned) strtoul(text, NULL, 10), max = min;
        const char *alternative = strstr(text, " or "), *range = strstr(text, " to ");

        if (alternative || range)
                max = (unsigned) strtoul((alternative ? alternative : range) + 4, NULL, 10);
        if (strstr(text, "on an error 0"))
                min = 0;
        assert_int_equal(shape->n_fds_min, min);
        assert_int_equal(shape->n_fds_max, max);
}

static void check_row(struct row *row) {
        unsigned id = (unsigned) strtoul(row->columns[COLUMN_ID], NULL, 10);
        const struct shape *request = shape_of(id), *reply = shape_of(id | WIRE_REPLY);
        char expected[128];

        snprintf(expected, sizeof(expected), request->flags[0] ? "%s (flags: %s)" : "%s", request->name, request->flags);
        assert_string_equal(row->columns[COLUMN_MESSAGE], expected);
        assert_int_equal(fields_size(row->columns[COLUMN_FIELDS]), request->size);
        assert_int_equal(fields_size(row->columns[COLUMN_REPLY]), reply->size);
        check_fds(request, row->columns[COLUMN_FDS]);
        check_fds(reply, row->columns[COLUMN_REPLY_FDS]);
}

static void test_protocol_md_says_the_same(void **state) {
        FILE *f = fopen(PROTOCOL_MD, "re");
        unsigned n = 0;
        struct row row;

        (void) state;
        assert_non_null(f);
        while (fgets(row.text, sizeof(row.text), f))
                if (row_parse(&row)) {
                        check_row(&row);
                        n++;
                }
        fclose(f);
        assert_int_equal(n, N_SHAPES / 2);
        assert_int_equal(n, N_WIRE_IDS - 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_right_messages_pass),
                cmocka_unit_test(test_the_other_direction_is_refused),
                cmocka_unit_test(test_unknown_ids_are_refused),
                cmocka_unit_test(test_every_other_size_is_refused),
                cmocka_unit_test(test_every_other_number_of_descriptors_is_refused),
                cmocka_unit_test(test_every_other_flag_is_refused),
                cmocka_unit_test(test_every_reserved_bit_must_be_zero),
                cmocka_unit_test(test_init_makes_right_messages),
                cmocka_unit_test(test_every_verdict_has_a_text_of_its_own),
                cmocka_unit_test(test_protocol_md_says_the_same),
        };

        return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
