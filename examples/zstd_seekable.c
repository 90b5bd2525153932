/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A compressed file mapped into memory. It is in zstd's seekable format: frames that can be read each by itself, and at the end a table of how long they are, in
 * a frame that other programs skip. A frame is a block of the big file.
 *
 *     zstd_seekable pack FILE ARCHIVE             compresses
 *     zstd_seekable cat ARCHIVE OFFSET LENGTH     writes these bytes of what was compressed
 */

#include <bfclient.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define FRAME_SIZE UINT64_C(65536) /* of what is compressed, bytes */
#define LEVEL 3

/* The end of a seekable file: little-endian, as this program is. */
#define SKIPPABLE_MAGIC 0x184d2a5eu
#define SEEKABLE_MAGIC 0x8f92eab1u

struct __attribute__((packed)) table_head {
        uint32_t magic;
        uint32_t size; /* of what follows */
};

struct __attribute__((packed)) table_entry {
        uint32_t compressed;
        uint32_t decompressed;
};

struct __attribute__((packed)) table_foot {
        uint32_t n_frames;
        uint8_t descriptor; /* 0: no checksums */
        uint32_t magic;
};

/* --- packing ------------------------------------------------------------------------------------------------------------------------------------- */

static int pack_frames(FILE *in, FILE *out, struct table_entry **ret_entries, uint32_t *ret_n) {
        size_t room = ZSTD_compressBound(FRAME_SIZE), n;
        char *plain = malloc(FRAME_SIZE), *packed = malloc(room);

        while ((n = fread(plain, 1, FRAME_SIZE, in)) > 0) {
                size_t n_packed = ZSTD_compress(packed, room, plain, n, LEVEL);

                *ret_entries = realloc(*ret_entries, (*ret_n + 1) * sizeof(**ret_entries));
                (*ret_entries)[(*ret_n)++] = (struct table_entry) { (uint32_t) n_packed, (uint32_t) n };
                if (ZSTD_isError(n_packed) || fwrite(packed, 1, n_packed, out) != n_packed)
                        break;
        }
        free(plain);
        free(packed);
        return n > 0 || ferror(in) ? -EIO : 0;
}

static int pack(const char *path, const char *archive) {
        FILE *in = fopen(path, "rb"), *out = fopen(archive, "wb");
        struct table_entry *entries = NULL;
        uint32_t n = 0;
        int r = in && out ? pack_frames(in, out, &entries, &n) : -errno;
        const struct table_head head = { SKIPPABLE_MAGIC, (uint32_t) (n * sizeof(*entries) + sizeof(struct table_foot)) };
        const struct table_foot foot = { n, 0, SEEKABLE_MAGIC };

        if (r == 0 && (fwrite(&head, sizeof(head), 1, out) != 1 || fwrite(entries, sizeof(*entries), n, out) != n || fwrite(&foot, sizeof(foot), 1, out) != 1))
                r = -EIO;
        if (out && fclose(out) != 0)
                r = -EIO;
        if (in)
                fclose(in);
        free(entries);
        if (r < 0)
                fprintf(stderr, "cannot pack %s: %s\n", path, strerror(-r));
        return r < 0;
}

/* --- the big file ------------------------------------------------------------------------------------------------------------------------------- */

struct archive {
        int fd;
        uint64_t size; /* of what was compressed */
        uint32_t n_frames;
        struct table_entry *frames;
        uint64_t *offsets; /* of the frames */
        atomic_uint n_loads;
};

static int archive_load(void *file, uint64_t block, void *buf) {
        struct archive *archive = file;
        const struct table_entry *frame = &archive->frames[block];
        char *packed = malloc(frame->compressed);
        size_t n;

        archive->n_loads++;
        if (!packed)
                return -ENOMEM;
        if (pread(archive->fd, packed, frame->compressed, (off_t) archive->offsets[block]) != (ssize_t) frame->compressed) {
                free(packed);
                return -EIO;
        }
        n = ZSTD_decompress(buf, FRAME_SIZE, packed, frame->compressed);
        free(packed);
        return ZSTD_isError(n) || n != frame->decompressed ? -EBADMSG : 0;
}

static void archive_release(void *file) {
        struct archive *archive = file;

        fprintf(stderr, "%u of %u frames were decompressed\n", archive->n_loads, archive->n_frames);
        free(archive->frames);
        free(archive->offsets);
        close(archive->fd);
}

/* Every frame but the last must be a whole block. */
static int archive_number_frames(struct archive *archive) {
        uint64_t offset = 0;

        for (uint32_t i = 0; i < archive->n_frames; i++) {
                if (archive->frames[i].decompressed != FRAME_SIZE && (i + 1 < archive->n_frames || archive->frames[i].decompressed > FRAME_SIZE))
                        return -EBADMSG;
                archive->offsets[i] = offset;
                offset += archive->frames[i].compressed;
                archive->size += archive->frames[i].decompressed;
        }
        return 0;
}

static int archive_read_table(struct archive *archive) {
        struct table_foot foot;
        struct stat st;
        uint64_t n_bytes;

        if (fstat(archive->fd, &st) < 0 || pread(archive->fd, &foot, sizeof(foot), st.st_size - (off_t) sizeof(foot)) != (ssize_t) sizeof(foot) ||
            foot.magic != SEEKABLE_MAGIC || foot.descriptor != 0)
                return -EBADMSG;
        n_bytes = foot.n_frames * sizeof(struct table_entry);
        archive->n_frames = foot.n_frames;
        archive->frames = malloc(n_bytes);
        archive->offsets = calloc(foot.n_frames, sizeof(uint64_t));
        if (!archive->frames || !archive->offsets)
                return -ENOMEM;
        if (pread(archive->fd, archive->frames, n_bytes, st.st_size - (off_t) (sizeof(foot) + n_bytes)) != (ssize_t) n_bytes)
                return -EBADMSG;
        return archive_number_frames(archive);
}

static const struct bf_file_ops archive_ops = { .load = archive_load, .release = archive_release };

/* Takes the archive if it succeeds. */
static int archive_map(struct archive *archive, struct bf_client *client, const char **ret) {
        const struct bf_open_opts opts = { .size = sizeof(opts), .block_size = FRAME_SIZE };
        struct bf_fileh *fileh;
        void *memory;
        int r;

        r = bf_open_ops(client, &archive_ops, archive, archive->size, &opts, &fileh);
        if (r == 0)
                r = bf_mmap(fileh, 0, archive->size, PROT_READ, &memory);
        if (r == 0)
                *ret = memory;
        return r;
}

static int cat(const char *path, uint64_t offset, uint64_t length) {
        struct archive archive = { .fd = open(path, O_RDONLY | O_CLOEXEC) };
        struct bf_client *client;
        const char *memory = NULL;

        if (archive.fd < 0 || archive_read_table(&archive) < 0 || offset > archive.size || length > archive.size - offset) {
                fprintf(stderr, "%s is no seekable archive that has so many bytes in frames of %" PRIu64 "\n", path, FRAME_SIZE);
                return 1;
        }
        if (bf_connect(&client, NULL) < 0 || archive_map(&archive, client, &memory) < 0) {
                fprintf(stderr, "%s\n", bf_errmsg());
                return 1;
        }
        fwrite(memory + offset, 1, length, stdout);
        bf_disconnect(client);
        return 0;
}

int main(int argc, char **argv) {
        if (argc == 4 && strcmp(argv[1], "pack") == 0)
                return pack(argv[2], argv[3]);
        if (argc == 5 && strcmp(argv[1], "cat") == 0)
                return cat(argv[2], strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
        fprintf(stderr, "usage: %s pack FILE ARCHIVE | cat ARCHIVE OFFSET LENGTH\n", argv[0]);
        return 1;
}
