/*
 * feed.h - pulls the sources, each at its own pace, and hands their events on.
 *
 * Recorded times become times of this run: pacing follows the receive times and the source's
 * speed; with clock=now both clocks of a recording (receive and exchange) are shifted so that the
 * run begins now, and a further round begins no earlier than the last one ended. A turn works for
 * at most about two milliseconds and goes on in the next.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_FEED_H
#define SCRIP_MARKETDATA_FEED_H

#include "marketdata/shell/source.h"

struct feed;

struct feed_options {
    struct loop *loop;
    const struct spec *specs;
    uint32_t spec_count;
    const struct symbol_rules *rules;
    uint32_t rules_count;
    void *arg;
    /* MD_EVENT_BEGIN comes before a symbol's first event of each round, MD_EVENT_END after the
     * last event of the source. `source` is the index of its spec. */
    void (*on_event)(void *arg, uint32_t source, const struct md_event *e);
};

/* Opens all sources, or refuses with a sentence. `specs` is borrowed. */
MUST_USE enum err feed_open(const struct feed_options *o, struct feed **out,
                            char why[SOURCE_WHY_BYTES]);
void feed_close(struct feed **f);
/* At the end of each turn of the loop: hands on what is due. */
void feed_turn(struct feed *f);
/* Brings the metrics up to date. */
void feed_measure(struct feed *f);
/* Whether a source has ended for good, and where it stands. */
bool feed_has_ended(const struct feed *f, uint32_t source);
const char *feed_where(const struct feed *f, uint32_t source);
/* The file and the reason of the last line that was skipped; "" when none was. */
const char *feed_complaint(const struct feed *f, uint32_t source);

#endif
