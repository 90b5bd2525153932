/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "account.h"
#include "commons.h"
#include "log.h"
#include "http.h"
#include "option_type.h"
#include "order.h"
#include "pool.h"
#include "size.h"
#include "uri.h"
#include "wire.h"

#define USEC_PER_SECOND UINT64_C(1000000)

static int parse_number(const char *text, int base, unsigned long max, unsigned long *ret) {
        unsigned long n;
        char *end;

        errno = 0;
        n = strtoul(text, &end, base);
        if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || n > max)
                return -EINVAL;
        *ret = n;
        return 0;
}

static void format_text(const char *value, char *text) {
        snprintf(text, OPTION_TEXT_MAX, "%s", value);
}

/* --- paths -------------------------------------------------------------------------------------------------------------------------------------- */

static int parse_path(const char *text, void *ret) {
        if (!*text)
                return -EINVAL;
        *(const char **) ret = text;
        return 0;
}

static void format_path(const void *value, char text[static OPTION_TEXT_MAX]) {
        const char *path = *(const char *const *) value;

        format_text(path ? path : "", text);
}

static int parse_path_or_none(const char *text, void *ret) {
        if (strcmp(text, "none") != 0)
                return parse_path(text, ret);
        *(const char **) ret = NULL;
        return 0;
}

static void format_path_or_none(const void *value, char text[static OPTION_TEXT_MAX]) {
        const char *path = *(const char *const *) value;

        format_text(path ? path : "none", text);
}

static int parse_nbd(const char *text, void *ret) {
        if (strcmp(text, "none") != 0 && !uri_list_is_valid(text))
                return -EINVAL;
        return parse_path_or_none(text, ret);
}

static int parse_http(const char *text, void *ret) {
        if (strcmp(text, "none") != 0 && !http_address_is_valid(text))
                return -EINVAL;
        return parse_path_or_none(text, ret);
}

const struct option_type option_type_http = { sizeof(const char *), parse_http, format_path_or_none };
const struct option_type option_type_nbd = { sizeof(const char *), parse_nbd, format_path_or_none };
const struct option_type option_type_path = { sizeof(const char *), parse_path, format_path };
const struct option_type option_type_path_or_none = { sizeof(const char *), parse_path_or_none, format_path_or_none };

/* --- who may connect ---------------------------------------------------------------------------------------------------------------------------- */

static int parse_mode(const char *text, void *ret) {
        unsigned long n;

        if (parse_number(text, 8, 0777, &n) < 0)
                return -EINVAL;
        *(mode_t *) ret = (mode_t) n;
        return 0;
}

static void format_mode(const void *value, char text[static OPTION_TEXT_MAX]) {
        snprintf(text, OPTION_TEXT_MAX, "%04o", (unsigned) *(const mode_t *) value);
}

static int parse_group(const char *text, void *ret) {
        const struct group *group = getgrnam(text);
        unsigned long n;

        if (group)
                n = group->gr_gid;
        else if (parse_number(text, 10, UINT32_MAX - 1, &n) < 0)
                return -EINVAL;
        *(gid_t *) ret = (gid_t) n;
        return 0;
}

static void format_group(const void *value, char text[static OPTION_TEXT_MAX]) {
        gid_t gid = *(const gid_t *) value;

        *text = '\0';
        if (gid != (gid_t) -1)
                snprintf(text, OPTION_TEXT_MAX, "%u", (unsigned) gid);
}

const struct option_type option_type_mode = { sizeof(mode_t), parse_mode, format_mode };
const struct option_type option_type_group = { sizeof(gid_t), parse_group, format_group };

/* --- sizes and times ---------------------------------------------------------------------------------------------------------------------------- */

static void write_size(uint64_t bytes, char *text) {
        static const char units[] = "KMGT";
        unsigned n = 0;

        while (n < sizeof(units) - 1 && bytes > 0 && bytes % 1024 == 0) {
                bytes /= 1024;
                n++;
        }
        snprintf(text, OPTION_TEXT_MAX, "%" PRIu64 "%.*s", bytes, n > 0, n > 0 ? &units[n - 1] : "");
}

static int parse_size(const char *text, void *ret) {
        uint64_t bytes;
        int r;

        r = size_parse(text, &bytes);
        if (r < 0)
                return r;
        if (bytes > UINT64_MAX / 2) /* sums of it must not overflow */
                return -ERANGE;
        *(uint64_t *) ret = bytes;
        return 0;
}

static void format_size(const void *value, char text[static OPTION_TEXT_MAX]) {
        uint64_t bytes = *(const uint64_t *) value;

        *text = '\0';
        if (bytes != UINT64_MAX)
                write_size(bytes, text);
}

static int parse_pool(const char *text, void *ret) {
        uint64_t bytes;

        if (parse_size(text, &bytes) < 0 || bytes < POOL_BYTES_MIN)
                return -EINVAL;
        *(uint64_t *) ret = bytes;
        return 0;
}

static int parse_seconds(const char *text, void *ret) {
        return seconds_parse(text, ret);
}

static void format_seconds(const void *value, char text[static OPTION_TEXT_MAX]) {
        uint64_t usec = *(const uint64_t *) value;
        int n = snprintf(text, OPTION_TEXT_MAX, "%" PRIu64 ".%06" PRIu64, usec / USEC_PER_SECOND, usec % USEC_PER_SECOND);

        while (text[n - 1] == '0')
                text[--n] = '\0';
        if (text[n - 1] == '.')
                text[--n] = '\0';
}

const struct option_type option_type_size = { sizeof(uint64_t), parse_size, format_size };
const struct option_type option_type_pool = { sizeof(uint64_t), parse_pool, format_size };
const struct option_type option_type_seconds = { sizeof(uint64_t), parse_seconds, format_seconds };

/* --- counts ------------------------------------------------------------------------------------------------------------------------------------- */

static int parse_count(const char *text, unsigned max, void *ret) {
        unsigned long n;

        if (parse_number(text, 10, max, &n) < 0 || n == 0)
                return -EINVAL;
        *(unsigned *) ret = (unsigned) n;
        return 0;
}

static int parse_batch(const char *text, void *ret) {
        return parse_count(text, 65536, ret);
}

static int parse_pagers(const char *text, void *ret) {
        return parse_count(text, COMMONS_PAGERS_MAX, ret);
}

static void format_count(const void *value, char text[static OPTION_TEXT_MAX]) {
        snprintf(text, OPTION_TEXT_MAX, "%u", *(const unsigned *) value);
}

static int parse_limit(const char *text, void *ret) {
        unsigned long n = 0;

        if (strcmp(text, "none") != 0 && (parse_number(text, 10, UINT32_MAX, &n) < 0 || n == 0))
                return -EINVAL;
        *(uint64_t *) ret = n == 0 ? ACCOUNT_NO_LIMIT : n;
        return 0;
}

static void format_limit(const void *value, char text[static OPTION_TEXT_MAX]) {
        uint64_t n = *(const uint64_t *) value;

        *text = '\0';
        if (n == ACCOUNT_NO_LIMIT)
                format_text("none", text);
        else if (n > 0)
                snprintf(text, OPTION_TEXT_MAX, "%" PRIu64, n);
}

/* At least the largest page: else it could never be written. */
static int parse_limit_bytes(const char *text, void *ret) {
        uint64_t bytes = ACCOUNT_NO_LIMIT;

        if (strcmp(text, "none") != 0 && (size_parse(text, &bytes) < 0 || bytes < WIRE_BLOCK_MAX))
                return -EINVAL;
        *(uint64_t *) ret = bytes;
        return 0;
}

static void format_limit_bytes(const void *value, char text[static OPTION_TEXT_MAX]) {
        uint64_t n = *(const uint64_t *) value;

        if (n == ACCOUNT_NO_LIMIT || n == 0)
                format_limit(value, text);
        else
                write_size(n, text);
}

const struct option_type option_type_batch = { sizeof(unsigned), parse_batch, format_count };
const struct option_type option_type_pagers = { sizeof(unsigned), parse_pagers, format_count };
const struct option_type option_type_limit = { sizeof(uint64_t), parse_limit, format_limit };
const struct option_type option_type_limit_bytes = { sizeof(uint64_t), parse_limit_bytes, format_limit_bytes };

/* --- words and descriptors ---------------------------------------------------------------------------------------------------------------------- */

static int parse_yes_no(const char *text, void *ret) {
        bool yes = strcmp(text, "yes") == 0;

        if (!yes && strcmp(text, "no") != 0)
                return -EINVAL;
        *(bool *) ret = yes;
        return 0;
}

static void format_yes_no(const void *value, char text[static OPTION_TEXT_MAX]) {
        format_text(*(const bool *) value ? "yes" : "no", text);
}

static int parse_level(const char *text, void *ret) {
        return log_level_parse(text, ret);
}

static void format_level(const void *value, char text[static OPTION_TEXT_MAX]) {
        format_text(log_level_name(*(const enum log_level *) value), text);
}

static int parse_replacement(const char *text, void *ret) {
        for (enum order_policy policy = 0; policy < N_ORDER_POLICIES; policy++)
                if (strcmp(text, order_policy_name(policy)) == 0) {
                        *(enum order_policy *) ret = policy;
                        return 0;
                }
        return -EINVAL;
}

static void format_replacement(const void *value, char text[static OPTION_TEXT_MAX]) {
        format_text(order_policy_name(*(const enum order_policy *) value), text);
}

static int parse_fd(const char *text, void *ret) {
        unsigned long n;

        if (parse_number(text, 10, 1 << 20, &n) < 0)
                return -EINVAL;
        *(int *) ret = (int) n;
        return 0;
}

static void format_fd(const void *value, char text[static OPTION_TEXT_MAX]) {
        int fd = *(const int *) value;

        *text = '\0';
        if (fd >= 0)
                snprintf(text, OPTION_TEXT_MAX, "%d", fd);
}

const struct option_type option_type_yes_no = { sizeof(bool), parse_yes_no, format_yes_no };
const struct option_type option_type_level = { sizeof(enum log_level), parse_level, format_level };
const struct option_type option_type_replacement = { sizeof(enum order_policy), parse_replacement, format_replacement };
const struct option_type option_type_fd = { sizeof(int), parse_fd, format_fd };
