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
    /* A recorded silence longer than this is cut to it; 0 = played in full. */
    int64_t gap_max_us;
    const struct source_net *net; /* NULL when no source hears an exchange */
    void *arg;
    /* MD_EVENT_BEGIN comes before a symbol's first event of each round, MD_EVENT_END after the
     * last event of the source. `source` is the index of its spec. */
    void (*on_event)(void *arg, uint32_t source, const struct md_event *e);
    /* A source was told rules of symbols by its exchange; NULL = not wanted. */
    void (*on_rules)(void *arg, const struct symbol_rules *rules, uint32_t count);
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
/* The file and the reason of the last line that was skipped, or what keeps a live source from its
 * exchange; "" when there is nothing. */
const char *feed_complaint(const struct feed *f, uint32_t source);
/* The core waits for a snapshot of this symbol. Harmless as often as it is said. */
void feed_book_lost(struct feed *f, uint32_t source, code_t symbol);
/* Other rules from now on, borrowed, sorted by name; the old ones are not looked at again. */
void feed_rules_set(struct feed *f, const struct symbol_rules *rules, uint32_t count);

/* ---- At run time ------------------------------------------------------------------------ */

/* A source as it stands. `source` is below spec_count. */
void feed_view(const struct feed *f, uint32_t source, struct source_view *out);
/* Plays, pauses, seeks, changes speed or loop. Refuses with SOURCE_UNKNOWN, SOURCE_FIXED (it is
 * no playback) or what the source says (a time before 1970: NUMBER_RANGE). A seek has been begun
 * when this returns; events of the recording's old place are not handed on any more. */
MUST_USE enum err feed_steer(struct feed *f, const struct md_playback_set *set,
                             char why[SOURCE_WHY_BYTES]);
/* Takes a symbol on or lets it go. Removed: its followers' MD_EVENT_END is not handed on, the
 * caller says what it wants to. Refuses with SOURCE_UNKNOWN or SOURCE_FIXED (a source of this kind
 * gives what it gives). A playback takes any symbol that has rules, and gives it when it comes. */
MUST_USE enum err feed_symbol_add(struct feed *f, uint32_t source, code_t symbol,
                                  char why[SOURCE_WHY_BYTES]);
MUST_USE enum err feed_symbol_remove(struct feed *f, uint32_t source, code_t symbol,
                                     char why[SOURCE_WHY_BYTES]);

#endif
