/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_SIZE_H
#define BF_SIZE_H

/* Sizes and times as people write and read them, on command lines and in addresses. */

#include <stddef.h>
#include <stdint.h>

/* Room for any text of size_format(). */
#define SIZE_TEXT_MAX 16

/* Bytes in decimal, or a number of K, M, G or T (1024s), of either case. -EINVAL not understood; -ERANGE 2^64 or more. */
int size_parse(const char *text, uint64_t *ret_bytes);

/* Seconds in decimal, with at most six digits behind a point: "10", "0.3". -EINVAL not understood; -ERANGE too many. */
int seconds_parse(const char *text, uint64_t *ret_usec);

/* The size for people: "512 B", "64.0 KiB", "1.2 GiB". Rounds down. Returns text. */
const char *size_format(uint64_t bytes, char text[static SIZE_TEXT_MAX]);

#endif
