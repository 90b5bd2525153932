/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "address.h"
#include "errmsg.h"
#include "size.h"

/* Moves *text behind the prefix, if it begins with that. */
static bool address_skip(const char **text, const char *prefix) {
        size_t n = strlen(prefix);

        if (strncmp(*text, prefix, n) != 0)
                return false;
        *text += n;
        return true;
}

static int address_copy_path(char to[static ADDRESS_PATH_MAX], const char *path) {
        size_t n = strlen(path);

        if (n == 0)
                return errmsg_set(-EINVAL, "the path in the address is empty");
        if (n >= ADDRESS_PATH_MAX)
                return errmsg_set(-EINVAL, "the path in the address is too long: %zu bytes", n);
        memcpy(to, path, n + 1);
        return 0;
}

static int address_set_path(struct address *address, const char *path) {
        return address_copy_path(address->path, path);
}

static int setting_spill_dir(struct address *address, const char *value) {
        return address_copy_path(address->spill_dir, value);
}

static int setting_spill_size(struct address *address, const char *value) {
        if (size_parse(value, &address->spill_size) < 0)
                return errmsg_set(-EINVAL, "\"" ERRMSG_NAME "\" is no size for spill-size= (a number of bytes, or with K, M, G or T)", value);
        return 0;
}

static int setting_pool(struct address *address, const char *value) {
        if (size_parse(value, &address->pool) < 0)
                return errmsg_set(-EINVAL, "\"" ERRMSG_NAME "\" is no size for pool= (a number of bytes, or with K, M, G or T)", value);
        return 0;
}

static int setting_room_timeout(struct address *address, const char *value) {
        if (seconds_parse(value, &address->room_timeout_usec) < 0)
                return errmsg_set(-EINVAL, "\"" ERRMSG_NAME "\" is no number of seconds for room-timeout= (such as 10 or 0.5)", value);
        return 0;
}

static const struct {
        const char *prefix;
        int (*set)(struct address *address, const char *value);
} settings[] = {
        { "pool=", setting_pool },
        { "room-timeout=", setting_room_timeout },
        { "spill-dir=", setting_spill_dir },
        { "spill-size=", setting_spill_size },
        { "daemon=", address_set_path },
};

static int address_parse_setting(struct address *address, const char *setting) {
        for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
                if (address_skip(&setting, settings[i].prefix))
                        return settings[i].set(address, setting);
        return errmsg_set(-EINVAL, "unknown setting \"" ERRMSG_NAME "\" behind \"spawn:\" (known are pool=SIZE, spill-dir=PATH, spill-size=SIZE, room-timeout=SECONDS, "
                          "daemon=PATH)", setting);
}

static int address_parse_settings(struct address *address, const char *text) {
        char setting[ADDRESS_PATH_MAX + 16]; /* the longest has a path */

        while (*text) {
                size_t n = strcspn(text, ",");
                int r;

                if (n >= sizeof(setting))
                        return errmsg_set(-EINVAL, "a setting behind \"spawn:\" is too long: %zu bytes", n);
                memcpy(setting, text, n);
                setting[n] = '\0';
                r = address_parse_setting(address, setting);
                if (r < 0)
                        return r;
                text += n;
                if (*text == ',' && !*++text)
                        return errmsg_set(-EINVAL, "nothing behind the last comma of the address");
        }
        return 0;
}

int address_parse(const char *text, const char *socket, struct address *ret_address) {
        struct address address = {
                .kind = ADDRESS_DEFAULT, .pool = ADDRESS_DEFAULT_POOL, .room_timeout_usec = UINT64_MAX, .spill_size = UINT64_MAX
        };
        int r;

        if (!text && socket && address_skip(&socket, "spawn:")) {
                r = errmsg_set(-EINVAL, "$BIGFILED_SOCKET is the path of a socket; for a private bigfiled the program says \"spawn:\" itself");
        } else if (!text && socket && *socket) {
                address.kind = ADDRESS_UNIX;
                (void) address_skip(&socket, "unix:");
                r = address_set_path(&address, socket);
        } else if (!text) {
                r = address_set_path(&address, ADDRESS_DEFAULT_SOCKET);
        } else if (address_skip(&text, "unix:")) {
                address.kind = ADDRESS_UNIX;
                r = address_set_path(&address, text);
        } else if (address_skip(&text, "spawn:")) {
                address.kind = ADDRESS_SPAWN;
                r = address_parse_settings(&address, text);
        } else {
                r = errmsg_set(-EINVAL, "cannot connect to \"" ERRMSG_NAME "\": not an address (\"unix:PATH\", \"spawn:\", \"spawn:pool=SIZE\")",
                               text);
        }
        if (r == 0)
                *ret_address = address;
        return r;
}
