/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "script.h"
#include "wire.h"

static struct {
        const uint8_t *data;
        size_t left;
} script;

void script_begin(const uint8_t *data, size_t size) {
        script.data = data;
        script.left = size;
}

bool script_goes_on(void) {
        return script.left > 0;
}

unsigned next_byte(void) {
        if (script.left == 0)
                return 0;
        script.left--;
        return *script.data++;
}

unsigned next_of(unsigned n) {
        return next_byte() % n;
}

bool next_is_odd(void) {
        return next_of(16) == 15;
}

uint64_t next_number(void) {
        static const uint64_t numbers[] = {
                0, 1, 4095, 4097, 65536, UINT64_C(1) << 21, INT32_MAX, UINT32_MAX, UINT64_C(1) << 47, WIRE_FILE_MAX, INT64_MAX, UINT64_MAX - 4095, UINT64_MAX,
        };
        unsigned n = next_byte();

        return n < 240 ? n * PAGE : numbers[(n - 240) % (sizeof(numbers) / sizeof(*numbers))];
}

uint64_t next_page(void) {
        return next_of(N_PAGES) * PAGE;
}
