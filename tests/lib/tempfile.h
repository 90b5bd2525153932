/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_TEMPFILE_H
#define BF_TEST_TEMPFILE_H

/* Directories and backing files for tests. An identity file: every 8-byte word of block b is b (little-endian). */

#include <stddef.h>
#include <stdint.h>

/* A new directory, removed when the test program ends. 0 or a negative errno. */
int tempfile_dir(char *ret_path, size_t size);

/* Each makes the file, or makes it anew. 0 or a negative errno. */
int tempfile_make_identity(const char *path, uint64_t n_blocks, uint64_t block_size);
int tempfile_make_sparse(const char *path, uint64_t size);

/* What is in the file, past the daemon and its clients: by pread and pwrite. 0 or a negative errno; -ENODATA beyond the end. */
int tempfile_read(const char *path, uint64_t offset, void *ret_bytes, size_t n);
int tempfile_write(const char *path, uint64_t offset, const void *bytes, size_t n);

#endif
