/*
 * binance_json_fuzz.c - lines of raw recordings from strangers, and the book they make.
 *
 * Each line is read from memory of its own length, so that a read past its end is seen. What was
 * read goes through the whole core, and the core's invariants are walked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "marketdata/core/binance.h"
#include "marketdata/core/md.h"

#define LEVELS_MAX 64u

static const struct md_limits limits = {.symbols_max = 1,
                                        .levels_max = 32,
                                        .kept_levels_max = 64,
                                        .ring_messages = 8,
                                        .ring_bytes = 4096,
                                        .stale_after_us = 10000000,
                                        .heal_after_us = 5000000,
                                        .price_every_us = 100000,
                                        .candle_every_us = 250000,
                                        .beat_every_us = 1000000,
                                        .candle_grace_us = 2000000};

struct rig {
    struct symbol_rules rules;
    struct md md;
    struct out slots[2 * MD_OUT_MAX];
    struct outbox out;
    struct level levels[2 * LEVELS_MAX];
    void *md_memory, *symbol_memory, *lists;
};

static struct rig *
rig(void)
{
    static struct rig r;
    if (r.lists == NULL) {
        r.lists = malloc(MD_LISTS_BYTES);
        r.md_memory = malloc(md_bytes(&limits));
        r.symbol_memory = malloc(md_symbol_bytes(&limits));
        CHECK(r.lists != NULL && r.md_memory != NULL && r.symbol_memory != NULL);
    }
    r.rules = (struct symbol_rules){.symbol = code_of("BTCUSDT")};
    outbox_init(&r.out, r.slots, 2 * MD_OUT_MAX, r.lists, MD_LISTS_BYTES);
    md_init(&r.md, &limits, &r.rules, 1, r.md_memory);
    CHECK(md_symbol_add(&r.md, r.rules.symbol, 1, r.symbol_memory) == OK);
    return &r;
}

static void
line_apply(struct rig *r, const char *text, size_t length, int64_t now_us)
{
    char *line = malloc(length + 1);
    CHECK(line != NULL);
    memcpy(line, text, length);
    struct binance_room room = {r->levels, LEVELS_MAX};
    struct md_event e;
    if (binance_line(line, length, &room, &e) == OK && e.kind != MD_EVENT_NONE) {
        CHECK(e.bid_count <= LEVELS_MAX && e.ask_count <= LEVELS_MAX && e.at_us > 0);
        if (code_empty(e.symbol))
            e.symbol = r->rules.symbol;
        if (e.time_us == 0)
            e.time_us = e.at_us;
        enum err ignored = md_apply(&r->md, &e, now_us, &r->out);
        (void)ignored;
        outbox_clear(&r->out);
        md_tick(&r->md, r->md.symbols[0], now_us, &r->out);
        outbox_clear(&r->out);
    }
    free(line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig *r = rig();
    const char *at = (const char *)data, *end = at + size;
    for (int64_t now_us = 1000000; at < end; now_us += 400000) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline == NULL ? end : newline) - at);
        line_apply(r, at, length, now_us);
        at = newline == NULL ? end : newline + 1;
    }
    md_check(&r->md);
    return 0;
}
