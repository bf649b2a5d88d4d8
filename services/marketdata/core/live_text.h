/*
 * live_text.h - what the live source says: stream names, paths of REST, and records of trades and
 * klines that came by REST, in the form in which the exchange's streams say them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_LIVE_TEXT_H
#define SCRIP_MARKETDATA_LIVE_TEXT_H

#include "marketdata/core/live.h"

/* Text being put together; always NUL-terminated. CHECKs that there is room. */
struct pen {
    char *text;
    size_t length, max;
};

struct pen pen_on(char *text, size_t max);
void pen_text(struct pen *p, const char *text);
void pen_u64(struct pen *p, uint64_t value);
void pen_decimal(struct pen *p, int64_t value);

/* "btcusdt@depth@100ms" */
void live_stream_write(struct pen *p, const struct live *l, const struct live_symbol *s,
                       enum live_kind kind);
/* Path and query of a REST request, and its weight. */
void live_ask_write(struct pen *p, const struct live *l, const struct live_ask *a,
                    uint32_t *weight);
/* {"stream":...,"data":...,"scrip":MARK} */
void live_trade_write(struct pen *p, const struct live *l, const struct live_symbol *s,
                      const struct md_event *e, const char *mark);
void live_kline_write(struct pen *p, const struct live_symbol *s, const struct md_event *e);

#endif
