/*
 * market_series.c - see market_series.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/market_series.h"

#include <inttypes.h>

#include "scripctl/value.h"

void
market_series_init(struct market_series *s, struct market_table *t, code_t symbol, enum interval i,
                   struct market_span range, int64_t now_us)
{
    *s = (struct market_series){
        .table = t, .symbol = symbol, .interval = i, .range = range, .now_us = now_us};
    market_series_enter(s);
}

void
market_series_enter(struct market_series *s)
{
    s->written_before = market_table_written(s->table);
}

static void
gap_add(struct market_series *s, int64_t from_us, int64_t until_us)
{
    if (s->gaps < MARKET_GAPS_TOLD)
        s->told[s->gaps] = (struct market_span){from_us, until_us};
    s->gaps++;
    for (int64_t at = from_us; at < until_us; at = interval_end(s->interval, at))
        s->missing++;
}

void
market_series_ends_at(struct market_series *s, int64_t until_us)
{
    if (s->next_us != 0 && s->next_us < until_us)
        gap_add(s, s->next_us, until_us);
}

/* Whether the candle is one to be written; counts why not. */
static bool
is_wanted(struct market_series *s, const struct candle *c, int64_t end_us)
{
    int64_t open_us = c->open_time_us, end = interval_end(s->interval, open_us);
    if (open_us < s->range.from_us || open_us >= s->range.until_us)
        return false;
    if (interval_open(s->interval, open_us) != open_us || (end_us != 0 && end_us != end)) {
        s->unaligned++;
        return false;
    }
    if (open_us == s->last_us) {
        s->doubled++;
        return false;
    }
    s->open += end > s->now_us;
    return end <= s->now_us;
}

bool
market_series_take(struct market_series *s, const struct candle *c, int64_t end_us, bool is_final,
                   char why[WHY_BYTES])
{
    s->read++;
    if (!is_wanted(s, c, end_us))
        return true;
    int64_t open_us = c->open_time_us;
    if (s->next_us != 0 && open_us > s->next_us)
        gap_add(s, s->next_us, open_us);
    s->next_us = interval_end(s->interval, open_us);
    s->last_us = open_us;
    if (s->first_us == 0 || open_us < s->first_us)
        s->first_us = open_us;
    return market_table_put(s->table, s->symbol, s->interval, c, is_final, why);
}

bool
market_series_leave(struct market_series *s, char why[WHY_BYTES])
{
    if (!market_table_flush(s->table, why))
        return false;
    s->written += market_table_written(s->table) - s->written_before;
    s->written_before = market_table_written(s->table);
    return true;
}

/* ---- Telling ------------------------------------------------------------------------------ */

uint64_t
market_series_skipped(const struct market_series *s)
{
    return s->unreadable + s->unaligned + s->doubled + s->open;
}

void
market_series_columns(struct out *out)
{
    out_table(out, "symbol interval first last read> written> unreadable> unaligned> doubled> "
                   "open> gaps> missing>");
}

void
market_series_tell(const struct market_series *s, struct out *out)
{
    out_text(out, s->symbol.text);
    out_text(out, interval_name(s->interval));
    out_time(out, s->first_us);
    out_time(out, s->last_us);
    out_uint(out, s->read);
    out_uint(out, s->written);
    out_uint(out, s->unreadable);
    out_uint(out, s->unaligned);
    out_uint(out, s->doubled);
    out_uint(out, s->open);
    out_uint(out, s->gaps);
    out_uint(out, s->missing);
    out_row_end(out);
}

void
market_series_tell_gaps(const struct market_series *s, struct out *out)
{
    char from[VALUE_TIME_BYTES], until[VALUE_TIME_BYTES];
    for (uint64_t i = 0; i < s->gaps && i < MARKET_GAPS_TOLD; i++)
        out_say(out, "%s %s: no candles from %s to %s", s->symbol.text, interval_name(s->interval),
                value_time_text(s->told[i].from_us, from),
                value_time_text(s->told[i].until_us, until));
    if (s->gaps > MARKET_GAPS_TOLD)
        out_say(out, "%s %s: and %" PRIu64 " further gaps", s->symbol.text,
                interval_name(s->interval), s->gaps - MARKET_GAPS_TOLD);
}
