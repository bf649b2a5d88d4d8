/*
 * record.c - see record.h; a book of the core as a line of a recording.
 *
 *     {"stream":"btcusdt@snapshot","data":{"lastUpdateId":7,"bids":[["1.5","2"]],"asks":[]},
 *      "scrip":"book"}
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/instrument.h"
#include "market/recording.h"

#define HOUR_MS         INT64_C(3600000)
#define BOOKS_EVERY_MS  300000
#define LEVEL_BYTES_MAX (2u * DECIMAL_BYTES + 8u)
#define BOOK_BYTES_MAX  (2u * MD_LEVELS_MAX * LEVEL_BYTES_MAX + 256u)

static char *
text_add(char *at, const char *text)
{
    size_t length = strlen(text);
    memcpy(at, text, length);
    return at + length;
}

/* Best first, as exchanges tell them. */
static char *
side_write(char *at, const char *name, const struct book_side *side)
{
    const char *first = at = text_add(at, name);
    for (uint32_t i = side->count; i > 0; i--) {
        const struct level *l = &side->levels[i - 1];
        if (l->quantity.v == 0)
            continue; /* it has gone, and its place stayed */
        at = text_add(at, at == first ? "[\"" : ",[\"");
        at += decimal_write_short(l->price.v, at);
        at = text_add(at, "\",\"");
        at += decimal_write_short(l->quantity.v, at);
        at = text_add(at, "\"]");
    }
    return text_add(at, "]");
}

static size_t
book_write(char *out, const struct md_symbol *y)
{
    char number[DECIMAL_BYTES], *at = text_add(out, "{\"stream\":\"");
    at = text_add(at, instrument_small(instrument_at_exchange(y->rules.symbol)).text);
    at = text_add(at, "@snapshot\",\"data\":{\"lastUpdateId\":");
    snprintf(number, sizeof(number), "%llu", (unsigned long long)y->sync.last_id);
    at = text_add(at, number);
    at = side_write(at, ",\"bids\":[", &y->sync.book.bids);
    at = side_write(at, ",\"asks\":[", &y->sync.book.asks);
    at = text_add(at, "},\"scrip\":\"book\"}");
    return (size_t)(at - out);
}

static bool
is_of(const struct md_symbol *y, enum trading_type market)
{
    return (y->rules.trading_type == TRADING_TYPE_futures) == (market == TRADING_TYPE_futures);
}

/* From the last symbol to the first: one that is removed meanwhile has its place taken by the
 * last, which was written. */
static bool
on_book(void *arg, enum trading_type market, bool is_first)
{
    struct record *r = arg;
    if (is_first || r->next > r->md->count)
        r->next = r->md->count;
    while (r->next > 0) {
        const struct md_symbol *y = r->md->symbols[--r->next];
        if (!is_of(y, market) || y->sync.state != SYNC_TRUE)
            continue;
        recorder_book(r->recorder, market, r->json, book_write(r->json, y));
        return true;
    }
    return false;
}

bool
record_open(struct record *r, struct loop *loop, const struct marketdata_config *config,
            const struct md *md)
{
    *r = (struct record){.md = md};
    if (*config->record_folder == '\0')
        return true;
    r->json = malloc(BOOK_BYTES_MAX);
    CHECK(r->json != NULL);
    r->recorder = recorder_open(
        &(struct recorder_options){.loop = loop,
                                   .folder = config->record_folder,
                                   .segment_ms = config->record_segment_minutes * 60000,
                                   .segment_bytes = config->record_segment_bytes,
                                   .keep_ms = config->record_keep_hours * HOUR_MS,
                                   .keep_bytes = config->record_keep_bytes,
                                   .queue_bytes_max = (size_t)config->record_queue_bytes,
                                   .books_ms = BOOKS_EVERY_MS,
                                   .arg = r,
                                   .on_book = on_book});
    return r->recorder != NULL;
}

void
record_close(struct record *r)
{
    recorder_close(&r->recorder);
    free(r->json);
    r->json = NULL;
}
