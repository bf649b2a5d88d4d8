/*
 * text_fuzz.c - lines of scenarios and logs: refused with a name, or read to what prints the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "fuzz.h"
#include "random_msg.h"
#include "wire/codec.h"

#define LINE_MAX_BYTES 65536

static _Alignas(16) uint8_t first_bytes[4 << 20], second_bytes[4 << 20];
static char line[LINE_MAX_BYTES], printed[4 << 20], printed_again[4 << 20];

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= sizeof(line))
        return 0;
    if (size > 0)
        memcpy(line, data, size);
    line[size] = 0;

    struct arena lists;
    struct msg m, again;
    code_t field;
    arena_init(&lists, first_bytes, sizeof(first_bytes));
    enum err e = msg_read_text(line, &lists, &m, &field);
    CHECK(strnlen(field.text, CODE_BYTES) < CODE_BYTES);
    if (e != OK)
        return 0;

    size_t length = msg_print(&m, printed, sizeof(printed));
    CHECK(length < sizeof(printed) - 1 && strlen(printed) == length);
    arena_init(&lists, second_bytes, sizeof(second_bytes));
    e = msg_read_text(printed, &lists, &again, &field);
    CHECK(e == OK && again.type == m.type && again.corr == m.corr);
    CHECK(msg_print(&again, printed_again, sizeof(printed_again)) == length &&
          memcmp(printed, printed_again, length) == 0);
    /* Secrets are not printed. */
    const struct msg_layout *l = msg_layout(m.type);
    CHECK(msg_is_secret(l) || same_body(l, msg_body(&m), msg_body(&again)));
    return 0;
}
