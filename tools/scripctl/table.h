/*
 * table.h - commands.def and options.def as data, for the parser, --help, completion and manual.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_TABLE_H
#define SCRIPCTL_TABLE_H

#include <stddef.h>

#include "scripctl/command.h"

enum option_kind {
    OPTION_IS_FLAG,
    OPTION_IS_TEXT,
    OPTION_IS_LIST,
    OPTION_IS_INT,
    OPTION_IS_TIME,
    OPTION_IS_SHARDS
};

struct option_row {
    const char *key; /* as in options.def: with '_' */
    enum option_kind kind;
    char letter;       /* 0: none */
    const char *value; /* as shown; NULL of a flag */
    const char *sentence;
    int64_t fallback, min, max;
    size_t offset; /* in struct options */
};

struct command_row {
    const char *words;
    enum status (*function)(const struct call *c);
    const char *arguments;
    uint32_t least, most;
    uint64_t options; /* bit of each option it takes, by place in the table */
    const char *sentence;
};

#define OPTION_NAME_BYTES 40

const struct option_row *option_at(uint32_t index);   /* NULL past the end */
const struct command_row *command_at(uint32_t index); /* NULL past the end */
bool command_takes(const struct command_row *c, uint32_t option);
/* --help, --json and the like, which every command takes. */
bool option_is_common(uint32_t option);
/* "since" or "dry-run": the key as it is typed. */
const char *option_name(const struct option_row *r, char out[OPTION_NAME_BYTES]);

#define COMMAND_WHY_BYTES 256

/* What a command line says. */
struct command_line {
    struct call call;
    const struct command_row *command; /* NULL: none was named */
};

/* Reads a command line; STATUS_USAGE with `why` when it makes no sense. With --help or --version
 * neither a missing command nor a wrong number of arguments is an error. `now_us` is what relative
 * times count from. */
enum status command_read(struct command_line *out, int argc, const char *const *argv,
                         int64_t now_us, char why[COMMAND_WHY_BYTES]);
/* Reads it, runs it, and answers the exit status. */
enum status command_main(int argc, const char *const *argv);

/* help.c: what --help and --version say. */
void help_print(FILE *to, const struct command_row *command);
void help_version(FILE *to);
/* The first sentence of a command. */
int help_first_sentence(const char *sentences);

/* Whether there is one word, and several commands begin with it, such as 'market'. */
bool help_is_group(const struct call *c);

#endif
