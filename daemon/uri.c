/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "uri.h"

#define URI_BLANKS " \t"

/* Only the kernel's own files in memory have seals, so reading one waits for nobody; and what was checked is what will be used. */
#define URI_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static bool uri_is_text(const char *uri, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (!isascii(uri[i]) || !isgraph(uri[i]))
                        return false;
        return true;
}

int uri_read(int fd, char uri[static URI_MAX]) {
        int seals = fcntl(fd, F_GET_SEALS);
        struct stat st;
        size_t n;

        if (seals < 0 || (seals & URI_SEALS) != URI_SEALS || fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > WIRE_NAME_MAX)
                return -EINVAL;
        n = (size_t) st.st_size;
        if (pread(fd, uri, n, 0) != (ssize_t) n || !uri_is_text(uri, n))
                return -EINVAL;
        uri[n] = '\0';
        return 0;
}

/* The scheme, with what follows it, at the beginning; or NULL. */
static const char *uri_scheme(const char *uri) {
        static const char *const schemes[] = { "nbd://", "nbds://", "nbd+unix://", "nbds+unix://" };

        for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
                if (strncmp(uri, schemes[i], strlen(schemes[i])) == 0)
                        return schemes[i];
        return NULL;
}

bool uri_is_known(const char *uri) {
        return uri_scheme(uri);
}

/* What follows an allowed prefix: nothing that is written in a second way (%), begins another parameter (&, ;), makes what came before it a user's name (@), or
 * leads up. */
static bool uri_is_tame(const char *rest) {
        return strspn(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:?=+,[]") == strlen(rest) && !strstr(rest, "..");
}

static enum uri_verdict uri_judge_prefix(const char *uri, const char *prefix, size_t n) {
        const char *rest = uri + n;

        if (n == 0 || strncmp(uri, prefix, n) != 0)
                return URI_REFUSED;
        if (*rest == '\0')
                return URI_ALLOWED_AS_SAID;
        return (strchr("/=", prefix[n - 1]) || *rest == '/') && uri_is_tame(rest) ? URI_ALLOWED : URI_REFUSED;
}

enum uri_verdict uri_judge(const char *uri, const char *allowed) {
        enum uri_verdict best = allowed && strcmp(allowed, URI_ANY) == 0 ? URI_ALLOWED_AS_SAID : URI_REFUSED;

        for (const char *prefix = allowed; prefix && *prefix; prefix += strspn(prefix, URI_BLANKS)) {
                size_t n = strcspn(prefix, URI_BLANKS);
                enum uri_verdict verdict = uri_judge_prefix(uri, prefix, n);

                if (verdict > best)
                        best = verdict;
                prefix += n;
        }
        return best;
}

bool uri_list_is_valid(const char *prefixes) {
        const char *prefix = prefixes + strspn(prefixes, URI_BLANKS);

        if (!*prefix)
                return false;
        for (; *prefix; prefix += strspn(prefix, URI_BLANKS)) {
                size_t n = strcspn(prefix, URI_BLANKS);

                if (!uri_is_known(prefix) || !uri_is_text(prefix, n))
                        return false;
                prefix += n;
        }
        return true;
}

/* The highest bit is set in no device's number. */
struct file_identity uri_identity(const char *uri) {
        XXH128_hash_t hash = XXH3_128bits(uri, strlen(uri));

        return (struct file_identity) { .device = hash.high64 | UINT64_C(1) << 63, .inode = hash.low64 };
}
