/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conffile.h"
#include "config.h"
#include "log.h"
#include "options.h"

#define CONFFILE_BLANK " \t\r\n\v\f"

/* A file while it is read. */
struct conffile {
        FILE *file;
        const char *path;
        unsigned line;
        unsigned n_faults;
        struct options *options;
};

static void __attribute__((format(printf, 2, 3))) conffile_fault(struct conffile *conffile, const char *format, ...) {
        char text[700];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        log_each(LOG_LEVEL_ERROR, "%s:%u: %s", conffile->path, conffile->line, text);
        conffile->n_faults++;
}

/* --- lines -------------------------------------------------------------------------------------------------------------------------------------- */

/* The rest of a line that was not read to its end. */
static void conffile_skip_line(FILE *file) {
        int c;

        do
                c = getc(file);
        while (c != EOF && c != '\n');
}

/* A line of the file for libinih, without blanks at its beginning, which would make it go on the line before. A line that is wrong as such is told here, and
 * is empty for libinih. */
static char *conffile_read_line(char *line, int size, void *owner) {
        struct conffile *conffile = owner;
        size_t n;

        if (!fgets(line, size, conffile->file))
                return NULL;
        conffile->line++;
        n = strlen(line);
        if ((n == 0 || line[n - 1] != '\n') && !feof(conffile->file)) {
                conffile_skip_line(conffile->file);
                conffile_fault(conffile, "the line is too long: at most %d bytes", size - 2);
                n = 0;
        }
        line[n] = '\0';
        memmove(line, line + strspn(line, CONFFILE_BLANK), strlen(line + strspn(line, CONFFILE_BLANK)) + 1);
        if (*line && !strchr("#;", *line) && !strchr(line, '=')) {
                conffile_fault(conffile, *line == '[' ? "there are no sections: lines are \"key = value\", or comments that begin with #"
                                                      : "this is no \"key = value\", nor a comment, which begins with #");
                *line = '\0';
        }
        return line;
}

/* All keys that a file may have, for one who has none of them. */
static const char *conffile_keys(char text[static 600]) {
        size_t n = 0;

        for (const struct option_row *row = options_table; row->key; row++)
                if (row->when != OPTION_COMMAND_LINE)
                        n += (size_t) snprintf(text + n, 600 - n, "%s%s", n > 0 ? ", " : "", row->key);
        return text;
}

static void conffile_unknown_key(struct conffile *conffile, const char *key) {
        const char *near = option_nearest(key);
        char keys[600];

        if (near)
                conffile_fault(conffile, "unknown key \"%s\" (did you mean \"%s\"?)", key, near);
        else
                conffile_fault(conffile, "unknown key \"%s\" (there are: %s)", key, conffile_keys(keys));
}

static void conffile_set(struct conffile *conffile, const struct option_row *row, const char *value) {
        char *where;
        int r = -ENOMEM;

        if (asprintf(&where, "%s:%u", conffile->path, conffile->line) >= 0) {
                r = option_set(conffile->options, row, value, where);
                free(where);
        }
        if (r == -ENOMEM)
                conffile_fault(conffile, "%s: %s", row->key, strerror(-r));
        else if (r < 0)
                conffile_fault(conffile, "%s: \"%s\" is not %s", row->key, value, row->allowed);
}

static int conffile_on_pair(void *owner, const char *section, const char *key, const char *value) {
        struct conffile *conffile = owner;
        const struct option_row *row = option_find(key);

        if (*section)
                conffile_fault(conffile, "there are no sections");
        else if (!row)
                conffile_unknown_key(conffile, key);
        else if (row->when == OPTION_COMMAND_LINE)
                conffile_fault(conffile, "%s: this is for the command line alone", key);
        else
                conffile_set(conffile, row, value);
        return 1;
}

/* --- files -------------------------------------------------------------------------------------------------------------------------------------- */

/* Returns the error, and tells of it unless what is wrong inside the file was told already. */
static int conffile_failed(const char *path, int error) {
        if (error < 0 && error != -EINVAL)
                log_each(LOG_LEVEL_ERROR, "cannot read %s: %s", path, strerror(-error));
        return error;
}

static int conffile_read_file(const char *path, struct options *options) {
        struct conffile conffile = { .file = fopen(path, "re"), .path = path, .options = options };
        bool is_read;
        int r;

        if (!conffile.file)
                return -errno;
        errno = 0;
        r = ini_parse_stream(conffile_read_line, &conffile, conffile_on_pair, &conffile);
        is_read = !ferror(conffile.file);
        if (!is_read)
                r = errno != 0 ? -errno : -EIO;
        else if (r != 0 && conffile.n_faults == 0) { /* what is wrong in the eyes of libinih alone */
                conffile.line = r > 0 ? (unsigned) r : 0;
                conffile_fault(&conffile, "this is no \"key = value\"");
        }
        fclose(conffile.file);
        if (!is_read)
                return r;
        return conffile.n_faults > 0 ? -EINVAL : 0;
}

static int conffile_is_drop_in(const struct dirent *entry) {
        size_t n = strlen(entry->d_name);

        return n > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static int conffile_compare(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int conffile_keep(int before, int r) {
        return before < 0 ? before : r;
}

static int conffile_read_drop_in(const char *folder, const char *name, struct options *options) {
        char *path;
        int r;

        if (asprintf(&path, "%s/%s", folder, name) < 0)
                return conffile_failed(name, -ENOMEM);
        r = conffile_failed(path, conffile_read_file(path, options));
        free(path);
        return r;
}

/* Goes on after a wrong one: all that is wrong is told. */
static int conffile_read_drop_ins(const char *folder, struct options *options) {
        struct dirent **entries;
        int n = scandir(folder, &entries, conffile_is_drop_in, conffile_compare), r = 0;

        if (n < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : conffile_failed(folder, -errno);
        for (int i = 0; i < n; i++) {
                r = conffile_keep(r, conffile_read_drop_in(folder, entries[i]->d_name, options));
                free(entries[i]);
        }
        free(entries);
        return r;
}

int conffile_read(const char *path, struct options *options) {
        const char *file = path ? path : OPTIONS_CONFIG_DEFAULT;
        char *folder;
        int r;

        if (path && strcmp(path, "none") == 0)
                return 0;
        r = conffile_read_file(file, options);
        r = r == -ENOENT && !path ? 0 : conffile_failed(file, r);
        if (asprintf(&folder, "%s.d", file) < 0)
                return conffile_failed(file, -ENOMEM);
        r = conffile_keep(r, conffile_read_drop_ins(folder, options));
        free(folder);
        return r;
}
