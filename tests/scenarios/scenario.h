/*
 * scenario.h - what a core brings to be driven by stories: one table of functions per service.
 *
 * A story is tests/scenarios/<service>/<a-sentence>.scn:
 *
 *     # What the story shows, in a line or more.
 *     input                 messages as msg_print() writes them, and the driver's directives
 *     input
 *     ----
 *     answer                everything the core said to these inputs, one line each
 *     answer
 *                           a blank line, then the next inputs: as many blocks as the story needs
 *
 * Blank lines and `#` lines may stand among the inputs. A long line goes on in the next ones,
 * which are indented; answers are cut so at 100 columns. `scenarios <service> FILE...` compares and
 * prints what differs; `scenarios --rewrite <service> FILE...` writes the answers in, and the diff
 * is reviewed. To add a service: write tests/scenarios/<service>_driver.c with one `struct
 * scenario_core <service>_scenario`, and name it in run.c and CMakeLists.txt.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_SCENARIO_H
#define SCRIP_TESTS_SCENARIO_H

#include "base/arena.h"
#include "base/check.h"
#include "base/msg.h"

#define SCENARIO_LINE_MAX 65536

struct scenario_out; /* collects the answers of one block */

struct scenario_core {
    const char *service; /* "ledger": the folder of its stories */
    /* A fresh state for each story. */
    void *(*open)(void);
    void (*close)(void *state);
    /*
     * One input line, without comment or newline. Says what the core answers, then proves the
     * core's invariants: a broken one is said with scenario_fail(). Unreadable lines too.
     */
    void (*input)(void *state, const char *line, struct scenario_out *out);
};

extern const struct scenario_core ledger_scenario;
extern const struct scenario_core marketdata_scenario;
extern const struct scenario_core matcher_scenario;
extern const struct scenario_core gateway_scenario;

/* One answer line. */
void scenario_say(struct scenario_out *out, const char *format, ...) PRINTF(2, 3);
/* An answer line of a message: "<prefix> <msg_print>". */
void scenario_say_msg(struct scenario_out *out, const char *prefix, const struct msg *m);
/* Fails the story, whatever its answers say: "file:line: text". Also fails a --rewrite. */
void scenario_fail(struct scenario_out *out, const char *format, ...) PRINTF(2, 3);
/* Reads an input line as a message; false after scenario_fail(). Lists are lent until the next. */
bool scenario_read_msg(struct scenario_out *out, const char *line, struct msg *m);

/* Helpers for directives: `word a=1 b=2`. */
/* Whether the line's first word is `word`. */
bool scenario_is(const char *line, const char *word);
/* The text of `key=` in a line, or NULL; lent until the next call. */
const char *scenario_value(const char *line, const char *key);

#endif
