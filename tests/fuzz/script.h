/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_FUZZ_SCRIPT_H
#define BF_FUZZ_SCRIPT_H

/* The input, as what is to be done next: a byte says which, and those behind it how. At its end all is 0. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define N_PAGES 64 /* of the file that is there */
#define PAGE UINT64_C(4096)

/* The bytes are borrowed. */
void script_begin(const uint8_t *data, size_t size);
bool script_goes_on(void);

unsigned next_byte(void);
unsigned next_of(unsigned n);

/* Once in a while something odd: in 1 of 16 cases. */
bool next_is_odd(void);

/* A number of bytes, mostly of whole pages. */
uint64_t next_number(void);

/* The offset of a page of the file. */
uint64_t next_page(void);

#endif
