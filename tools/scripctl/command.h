/*
 * command.h - what scripctl can be told: its options and commands as tables, and how one runs.
 *
 * commands.def and options.def give the parser, --help, the shell completion and the man page. A
 * command is one function in the file of its subject; it is called with what was said and answers
 * with an exit status.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_COMMAND_H
#define SCRIPCTL_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "scripctl/out.h"

#define WORDS_MAX 64 /* arguments that are no options */

/* Exit statuses. */
enum status {
    STATUS_OK = 0,
    STATUS_NO = 1,    /* what was asked is not so: something is wrong, differs, or is not there */
    STATUS_USAGE = 2, /* the command line makes no sense */
    STATUS_FAILED = 3 /* it could not be done: no connection, unreadable file, full disk */
};

/* Values of options, as read. Texts are lent from the command line. */
struct options {
#define OPTION_FLAG(key, letter, sentence)        bool key;
#define OPTION_TEXT(key, letter, value, sentence) const char *key;
#define OPTION_LIST(key, letter, value, sentence)                                                  \
    const char *key[WORDS_MAX];                                                                    \
    uint32_t key##_count;
#define OPTION_INT(key, letter, value, fallback, min, max, sentence) int64_t key;
/* RFC 3339 (2026-11-21T12:00:00Z), a date, or -90s -15m -2h -7d before now; INT64_MIN = not given
 */
#define OPTION_TIME(key, letter, sentence) int64_t key;
/* "0-3,17": true for each shard named; all of them when not given. */
#define OPTION_SHARDS(key, letter, sentence) bool key[64];
#include "scripctl/options.def"
};

struct call {
    struct options o;
    const char *words[WORDS_MAX]; /* behind the command's own words */
    uint32_t words_count;
    struct out *out;
};

#define COMMAND(words, function, arguments, least, most, options, sentence)                        \
    enum status function(const struct call *c);
#include "scripctl/commands.def"

/* "scripctl: " and the sentence, on standard error. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, and with --json {"error":{"code":...,"message":...}} as the result. Gives `status`
 * back. */
enum status refuse(const struct call *c, enum status status, const char *code, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));
/* A word as a whole number from 1 to 2^63-1; complains and answers 0 when it is none. */
uint64_t word_id(const char *word, const char *what);

#endif
