/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A table of a database mapped into memory, with transactions: a block of the big file is a row with a blob, and what was changed in memory comes into the table
 * in one transaction of SQLite, or not at all.
 *
 *     sqlite_blobs write DATABASE OFFSET TEXT        puts the text there, and commits
 *     sqlite_blobs read DATABASE OFFSET LENGTH       prints what is there
 *
 * With write, SQLITE_BLOBS_LIMIT=N in the environment makes the transaction fail if a row behind the N-th is stored: then nothing of it is in the table.
 */

#include <bfclient.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_SIZE 4096
#define SIZE (UINT64_C(1) << 30) /* of the big file, bytes; rows that are not there are zeros */

static const char schema[] = "CREATE TABLE IF NOT EXISTS blocks (number INTEGER PRIMARY KEY, content BLOB NOT NULL)";

/* The functions of the big file are called by several threads: one at a time uses the connection and its statements. */
struct table {
        pthread_mutex_t lock;
        sqlite3 *db;
        sqlite3_stmt *get;
        sqlite3_stmt *put;
        uint64_t limit; /* rows from there on are refused */
};

static int table_load(void *file, uint64_t block, void *buf) {
        struct table *table = file;
        int step, r = -EIO;

        pthread_mutex_lock(&table->lock);
        sqlite3_bind_int64(table->get, 1, (sqlite3_int64) block);
        step = sqlite3_step(table->get);
        if (step == SQLITE_ROW && sqlite3_column_bytes(table->get, 0) == BLOCK_SIZE) {
                memcpy(buf, sqlite3_column_blob(table->get, 0), BLOCK_SIZE);
                r = 0;
        } else if (step == SQLITE_DONE) {
                memset(buf, 0, BLOCK_SIZE);
                r = 0;
        }
        sqlite3_reset(table->get);
        pthread_mutex_unlock(&table->lock);
        return r;
}

static int table_store(void *file, uint64_t block, const void *buf) {
        struct table *table = file;
        int step;

        if (block >= table->limit)
                return -ENOSPC;
        pthread_mutex_lock(&table->lock);
        sqlite3_bind_int64(table->put, 1, (sqlite3_int64) block);
        sqlite3_bind_blob(table->put, 2, buf, BLOCK_SIZE, SQLITE_STATIC);
        step = sqlite3_step(table->put);
        sqlite3_reset(table->put);
        pthread_mutex_unlock(&table->lock);
        return step == SQLITE_DONE ? 0 : -EIO;
}

static void table_release(void *file) {
        struct table *table = file;

        sqlite3_finalize(table->get);
        sqlite3_finalize(table->put);
        sqlite3_close(table->db);
        pthread_mutex_destroy(&table->lock);
}

static const struct bf_file_ops table_ops = { .load = table_load, .store = table_store, .release = table_release };

static int table_open(struct table *table, const char *path) {
        const char *limit = getenv("SQLITE_BLOBS_LIMIT");

        *table = (struct table) { .limit = limit ? strtoull(limit, NULL, 0) : UINT64_MAX };
        pthread_mutex_init(&table->lock, NULL);
        if (sqlite3_open(path, &table->db) == SQLITE_OK && sqlite3_exec(table->db, schema, NULL, NULL, NULL) == SQLITE_OK &&
            sqlite3_prepare_v2(table->db, "SELECT content FROM blocks WHERE number = ?", -1, &table->get, NULL) == SQLITE_OK &&
            sqlite3_prepare_v2(table->db, "INSERT OR REPLACE INTO blocks VALUES (?, ?)", -1, &table->put, NULL) == SQLITE_OK)
                return 0;
        fprintf(stderr, "cannot open %s: %s\n", path, sqlite3_errmsg(table->db));
        table_release(table);
        return -EIO;
}

static int table_execute(struct table *table, const char *sql) {
        int r;

        pthread_mutex_lock(&table->lock);
        r = sqlite3_exec(table->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
        pthread_mutex_unlock(&table->lock);
        return r;
}

/*
 * Two phases: all that is dirty is stored, which leaves it dirty; the database commits; and only when that is so the pages are clean. Whatever fails before, the table is
 * as it was, and the pages are dirty still: this can be called again, or bf_discard().
 */
static int commit(struct table *table, struct bf_fileh *fileh) {
        int r;

        r = table_execute(table, "BEGIN IMMEDIATE");
        if (r < 0)
                return r;
        r = bf_writeout(fileh, BF_WRITEOUT_STORE);
        if (r == 0)
                r = table_execute(table, "COMMIT");
        if (r < 0) {
                (void) table_execute(table, "ROLLBACK");
                return r;
        }
        return bf_writeout(fileh, BF_WRITEOUT_MARKSTORED);
}

static int print_dirty(struct bf_fileh *fileh) {
        struct bf_stat stat;

        if (bf_stat(fileh, &stat) == 0)
                fprintf(stderr, "%" PRIu64 " bytes are dirty\n", stat.dirty_bytes);
        return 1;
}

static int do_write(struct table *table, struct bf_fileh *fileh, char *at, const char *text) {
        int r;

        memcpy(at, text, strlen(text));
        r = commit(table, fileh);
        if (r == 0)
                return 0;
        fprintf(stderr, "nothing was committed: %s\n", strerror(-r));
        return print_dirty(fileh);
}

static int run(struct table *table, struct bf_client *client, char **argv) {
        uint64_t offset = strtoull(argv[3], NULL, 0), length = strcmp(argv[1], "read") == 0 ? strtoull(argv[4], NULL, 0) : strlen(argv[4]);
        struct bf_fileh *fileh;
        void *memory;

        if (bf_open_ops(client, &table_ops, table, SIZE, NULL, &fileh) < 0 || bf_mmap(fileh, 0, SIZE, PROT_READ | PROT_WRITE, &memory) < 0) {
                fprintf(stderr, "%s\n", bf_errmsg());
                return 1;
        }
        if (offset > SIZE || length > SIZE - offset) {
                fprintf(stderr, "the file has %" PRIu64 " bytes\n", SIZE);
                return 1;
        }
        if (strcmp(argv[1], "write") == 0)
                return do_write(table, fileh, (char *) memory + offset, argv[4]);
        fwrite((char *) memory + offset, 1, length, stdout);
        return 0;
}

int main(int argc, char **argv) {
        struct bf_client *client;
        struct table table;
        int r;

        if (argc != 5 || (strcmp(argv[1], "read") != 0 && strcmp(argv[1], "write") != 0)) {
                fprintf(stderr, "usage: %s write DATABASE OFFSET TEXT | read DATABASE OFFSET LENGTH\n", argv[0]);
                return 1;
        }
        if (bf_connect(&client, NULL) < 0) {
                fprintf(stderr, "%s\n", bf_errmsg());
                return 1;
        }
        r = table_open(&table, argv[2]) < 0 ? 1 : run(&table, client, argv);
        bf_disconnect(client);
        return r;
}
