/*
 * binance.h - one line of a raw recording of Binance's streams to one event.
 *
 * A line is `<receive time, ns> <JSON>`: a combined-stream envelope, a bare stream message, or a
 * REST depth snapshot. The reader takes what it needs in one pass and copies nothing but levels;
 * it checks the nesting of the rest without building a tree, which is what a replay at full speed
 * needs. Unknown fields and streams are passed over.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_BINANCE_H
#define SCRIP_MARKETDATA_BINANCE_H

#include "base/scan.h"
#include "marketdata/core/event.h"

/* Where the levels of one message go; lent by the event until the next line. */
struct binance_room {
    struct level *levels; /* 2 * levels_max */
    uint32_t levels_max;  /* a side */
};

/*
 * Takes @trade, @aggTrade, @bookTicker, @depth (diffs), @markPrice, @kline, @forceOrder, partial
 * depth and REST snapshots, spot and futures, times in ms or us. MD_EVENT_NONE for well-formed
 * messages of other kinds, of other markets (`st`), and for lines marked "scrip":"late". Refuses
 * with LINE_INVALID whatever is malformed, lacks a field, or holds more levels than there is room
 * for.
 */
MUST_USE enum err binance_line(const char *line, size_t length, const struct binance_room *room,
                               struct md_event *out);
/* The JSON alone, as it comes from a socket. */
MUST_USE enum err binance_json(const char *json, size_t length, const struct binance_room *room,
                               struct md_event *out);
/* What is said about the connection rather than the market. */
struct binance_control {
    bool is_shutdown;           /* the server is about to close: connect elsewhere now */
    bool is_answer, is_refused; /* the answer to our message `id` */
    uint64_t id;
};

/* For messages that binance_json() found to be none of the market; false when malformed. */
bool binance_control_read(const char *json, size_t length, struct binance_control *out);
/* Microseconds from an exchange's ms, us or ns, told apart by size; 0 for what is neither. */
int64_t binance_time_us(uint64_t value);
/* The same of a number in the text; false for what is neither. */
bool binance_time_read(struct slice s, int64_t *out);

#endif
