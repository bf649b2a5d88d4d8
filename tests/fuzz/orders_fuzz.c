/*
 * orders_fuzz.c - order files from strangers: every line becomes an action or a complaint.
 *
 * What was read is sound: it names an account there is, its body can be packed and read again, and
 * the actions stand in the order of their times.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "scripctl/backtest_actions.h"

#define LISTS_BYTES 65536

static void
action_is_sound(const struct actions *a, const struct action *x, struct arena *lists)
{
    struct bytes packed = {0};
    struct msg m;
    CHECK(x->account < a->accounts_count && x->body != NULL && x->line > 0);
    msg_pack_payload(&packed, x->type, x->body);
    arena_reset(lists);
    CHECK(msg_unpack_payload(packed.data, packed.length, x->type, lists, &m) == OK);
    bytes_free(&packed);
}

static void
actions_are_sound(struct actions *a)
{
    static uint8_t bytes[LISTS_BYTES] __attribute__((aligned(16)));
    struct arena lists;
    arena_init(&lists, bytes, sizeof bytes);
    actions_settle(a, INT64_C(1700000000000000));
    CHECK((a->wrong == 0) == (a->complaints.length == 0));
    for (uint32_t i = 0; i < a->count; i++) {
        action_is_sound(a, &a->actions[i], &lists);
        CHECK(i == 0 || a->actions[i - 1].at_us <= a->actions[i].at_us);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct actions a;
    uint32_t line = 0;
    actions_begin(&a, "fuzz");
    for (size_t at = 0; at < size;) {
        const uint8_t *newline = memchr(data + at, '\n', size - at);
        size_t length = newline == NULL ? size - at : (size_t)(newline - (data + at));
        /* A copy of its own, so that a read past the line is seen. */
        char *text = malloc(length + 1);
        CHECK(text != NULL);
        memcpy(text, data + at, length);
        text = realloc(text, length > 0 ? length : 1);
        CHECK(text != NULL);
        actions_line(&a, ++line, text, length);
        free(text);
        at += length + 1;
    }
    actions_are_sound(&a);
    actions_fini(&a);
    return 0;
}
