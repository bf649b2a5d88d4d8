/*
 * command.c - from a command line to the function that does it.
 *
 * Everything that can be wrong with a command line is found before anything is opened.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scripctl/table.h"
#include "scripctl/value.h"
#include "wire/json.h"

static const struct option_row option_rows[] = {
#define AT(key) offsetof(struct options, key)
#define OPTION_FLAG(key, letter, sentence)                                                         \
    {#key, OPTION_IS_FLAG, letter, NULL, sentence, 0, 0, 0, AT(key)},
#define OPTION_TEXT(key, letter, value, sentence)                                                  \
    {#key, OPTION_IS_TEXT, letter, value, sentence, 0, 0, 0, AT(key)},
#define OPTION_LIST(key, letter, value, sentence)                                                  \
    {#key, OPTION_IS_LIST, letter, value, sentence, 0, 0, 0, AT(key)},
#define OPTION_INT(key, letter, value, fallback, min, max, sentence)                               \
    {#key, OPTION_IS_INT, letter, value, sentence, fallback, min, max, AT(key)},
#define OPTION_TIME(key, letter, sentence)                                                         \
    {#key, OPTION_IS_TIME, letter, "TIME", sentence, INT64_MIN, 0, 0, AT(key)},
#define OPTION_SHARDS(key, letter, sentence)                                                       \
    {#key, OPTION_IS_SHARDS, letter, "SHARDS", sentence, 0, 0, 0, AT(key)},
#include "scripctl/options.def"
#undef AT
};

#define OPTIONS (sizeof(option_rows) / sizeof(option_rows[0]))
_Static_assert(OPTIONS <= 64, "an option is a bit of 64");

enum option_place {
#define OPTION_FLAG(key, letter, sentence)                           PLACE_##key,
#define OPTION_TEXT(key, letter, value, sentence)                    PLACE_##key,
#define OPTION_LIST(key, letter, value, sentence)                    PLACE_##key,
#define OPTION_INT(key, letter, value, fallback, min, max, sentence) PLACE_##key,
#define OPTION_TIME(key, letter, sentence)                           PLACE_##key,
#define OPTION_SHARDS(key, letter, sentence)                         PLACE_##key,
#include "scripctl/options.def"
};

#define BIT(key) OPT_##key = 1ULL << PLACE_##key,

enum option_bit {
#define OPTION_FLAG(key, letter, sentence)                           BIT(key)
#define OPTION_TEXT(key, letter, value, sentence)                    BIT(key)
#define OPTION_LIST(key, letter, value, sentence)                    BIT(key)
#define OPTION_INT(key, letter, value, fallback, min, max, sentence) BIT(key)
#define OPTION_TIME(key, letter, sentence)                           BIT(key)
#define OPTION_SHARDS(key, letter, sentence)                         BIT(key)
#include "scripctl/options.def"
};

#define OPTS_ALWAYS (OPT_help | OPT_json | OPT_quiet | OPT_version)
#define OPTS_SOURCE (OPT_database | OPT_archive)
#define OPTS_RANGE  (OPT_shard | OPT_after | OPT_upto | OPT_since | OPT_until)
#define OPTS_FILTER (OPT_kind | OPT_account | OPT_order | OPT_symbol | OPT_corr | OPT_limit)

static const struct command_row command_rows[] = {
#define COMMAND(words, function, arguments, least, most, options, sentence)                        \
    {words, function, arguments, least, most, OPTS_ALWAYS | (options), sentence},
#include "scripctl/commands.def"
};

#define COMMANDS (sizeof(command_rows) / sizeof(command_rows[0]))

const struct option_row *
option_at(uint32_t index)
{
    return index < OPTIONS ? &option_rows[index] : NULL;
}

const struct command_row *
command_at(uint32_t index)
{
    return index < COMMANDS ? &command_rows[index] : NULL;
}

bool
command_takes(const struct command_row *c, uint32_t option)
{
    return (c->options >> option & 1) != 0;
}

bool
option_is_common(uint32_t option)
{
    return ((uint64_t)OPTS_ALWAYS >> option & 1) != 0;
}

const char *
option_name(const struct option_row *r, char out[OPTION_NAME_BYTES])
{
    snprintf(out, OPTION_NAME_BYTES, "%s", r->key);
    for (char *c = out; *c != 0; c++)
        if (*c == '_')
            *c = '-';
    return out;
}

/* ---- What was meant ---------------------------------------------------------------------------
 */

#define WORD_CHARS 40

static uint32_t
least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* How many letters are to be added, dropped, changed or swapped with the next. */
static uint32_t
distance(const char *a, const char *b)
{
    uint32_t rows[3][WORD_CHARS + 1], la = (uint32_t)strlen(a), lb = (uint32_t)strlen(b);
    if (la > WORD_CHARS || lb > WORD_CHARS)
        return WORD_CHARS;
    for (uint32_t j = 0; j <= lb; j++)
        rows[0][j] = j;
    for (uint32_t i = 1; i <= la; i++) {
        uint32_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *two = rows[(i + 1) % 3];
        now[0] = i;
        for (uint32_t j = 1; j <= lb; j++) {
            now[j] =
                least(least(before[j], now[j - 1]) + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], two[j - 2] + 1);
        }
    }
    return rows[la % 3][lb];
}

/* Remembers the nearest of several; what is further than a third of the word is no help. */
struct nearest {
    const char *typed;
    char text[WORD_CHARS + 1];
    uint32_t distance;
};

static void
nearest_try(struct nearest *n, const char *candidate)
{
    uint32_t d = distance(n->typed, candidate);
    size_t length = strlen(n->typed);
    if (strncmp(candidate, n->typed, length) == 0 && length >= 2)
        d = 1;
    if (d >= n->distance || d > 1 + length / 3)
        return;
    n->distance = d;
    snprintf(n->text, sizeof(n->text), "%s", candidate);
}

/* ---- Reading ----------------------------------------------------------------------------------
 */

struct reader {
    struct command_line *line;
    int argc, at; /* `at`: the argument that is read */
    const char *const *argv;
    int64_t now_us;
    bool is_given[OPTIONS];
    char *why;
};

static bool wrong(struct reader *r, const char *format, ...) PRINTF(2, 3);

/* Says why, and answers false. */
static bool
wrong(struct reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, COMMAND_WHY_BYTES, format, args);
    va_end(args);
    return false;
}

static bool
set_int(struct reader *r, const struct option_row *o, const char *name, const char *text)
{
    int64_t *value = (int64_t *)((char *)&r->line->call.o + o->offset);
    if (value_int(text, o->min, o->max, value))
        return true;
    if (o->max == INT64_MAX)
        return wrong(r, "--%s takes a whole number from %lld, not '%s'", name, (long long)o->min,
                     text);
    return wrong(r, "--%s takes a whole number from %lld to %lld, not '%s'", name,
                 (long long)o->min, (long long)o->max, text);
}

static bool
set_list(struct reader *r, const struct option_row *o, const char *name, const char *text)
{
    const char **values = (const char **)((char *)&r->line->call.o + o->offset);
    uint32_t *count = (uint32_t *)(values + WORDS_MAX);
    if (*count == WORDS_MAX)
        return wrong(r, "--%s is given more than %d times", name, WORDS_MAX);
    values[(*count)++] = text;
    return true;
}

static bool
set_option(struct reader *r, uint32_t place, const char *name, const char *text)
{
    const struct option_row *o = &option_rows[place];
    void *at = (char *)&r->line->call.o + o->offset;
    if (r->is_given[place] && o->kind != OPTION_IS_LIST && o->kind != OPTION_IS_FLAG)
        return wrong(r, "--%s is given twice", name);
    r->is_given[place] = true;
    switch (o->kind) {
    case OPTION_IS_FLAG:
        *(bool *)at = true;
        return true;
    case OPTION_IS_TEXT:
        *(const char **)at = *text == 0 ? NULL : text;
        return true;
    case OPTION_IS_LIST:
        return set_list(r, o, name, text);
    case OPTION_IS_INT:
        return set_int(r, o, name, text);
    case OPTION_IS_TIME:
        return value_time(text, r->now_us, at) ||
               wrong(r,
                     "--%s takes a time such as 2026-11-21T12:00:00Z, 2026-11-21 or -15m, not '%s'",
                     name, text);
    case OPTION_IS_SHARDS:
        return value_shards(text, at) ||
               wrong(r, "--%s takes shards from 0 to 63 such as 0-3,17, not '%s'", name, text);
    }
    return false;
}

/* The value behind an option: what is joined to it, or the next argument. */
static bool
read_value(struct reader *r, uint32_t place, const char *joined)
{
    const struct option_row *o = &option_rows[place];
    char name[OPTION_NAME_BYTES];
    option_name(o, name);
    if (o->kind == OPTION_IS_FLAG)
        return joined == NULL ? set_option(r, place, name, NULL)
                              : wrong(r, "--%s takes no value", name);
    if (joined == NULL) {
        const char *next = r->at + 1 < r->argc ? r->argv[r->at + 1] : NULL;
        if (next == NULL || strncmp(next, "--", 2) == 0)
            return wrong(r, "--%s needs a value: %s", name, o->value);
        joined = next;
        r->at++;
    }
    return set_option(r, place, name, joined);
}

static bool
read_long(struct reader *r, const char *text)
{
    char typed[WORD_CHARS + 1], name[OPTION_NAME_BYTES];
    size_t length = strcspn(text, "=");
    snprintf(typed, sizeof(typed), "%.*s", (int)(length > WORD_CHARS ? WORD_CHARS : length), text);
    struct nearest n = {.typed = typed, .distance = WORD_CHARS};
    for (uint32_t i = 0; i < OPTIONS; i++) {
        if (strcmp(option_name(&option_rows[i], name), typed) == 0)
            return read_value(r, i, text[length] == '=' ? text + length + 1 : NULL);
        nearest_try(&n, name);
    }
    if (n.text[0] != 0)
        return wrong(r, "there is no option --%s; did you mean --%s?", typed, n.text);
    return wrong(r, "there is no option --%s", typed);
}

/* "-jn5": flags, and one with a value at the end of them. */
static bool
read_short(struct reader *r, const char *text)
{
    for (; *text != 0; text++) {
        uint32_t place = 0;
        while (place < OPTIONS && option_rows[place].letter != *text)
            place++;
        if (place == OPTIONS)
            return wrong(r, "there is no option -%c", *text);
        if (option_rows[place].kind != OPTION_IS_FLAG)
            return read_value(r, place, text[1] == 0 ? NULL : text + 1);
        if (!read_value(r, place, NULL))
            return false;
    }
    return true;
}

static bool
read_arguments(struct reader *r)
{
    struct call *c = &r->line->call;
    bool are_words = false;
    for (r->at = 1; r->at < r->argc; r->at++) {
        const char *text = r->argv[r->at];
        if (!are_words && strcmp(text, "--") == 0) {
            are_words = true;
        } else if (!are_words && strncmp(text, "--", 2) == 0) {
            if (!read_long(r, text + 2))
                return false;
        } else if (!are_words && text[0] == '-' && text[1] != 0) {
            if (!read_short(r, text + 1))
                return false;
        } else if (c->words_count == WORDS_MAX) {
            return wrong(r, "more than %d words", WORDS_MAX);
        } else {
            c->words[c->words_count++] = text;
        }
    }
    return true;
}

/* How many of the words are the command's own; 0 when it is another command. */
static uint32_t
words_of(const struct command_row *row, const struct call *c)
{
    const char *at = row->words;
    uint32_t count = 0;
    while (*at != 0) {
        size_t length = strcspn(at, " ");
        if (count == c->words_count || strlen(c->words[count]) != length ||
            memcmp(c->words[count], at, length) != 0)
            return 0;
        count++;
        at += length + (at[length] == ' ');
    }
    return count;
}

/* "journal needs one more word: list, show or tail", when the first word begins commands. */
static bool
needs_second(struct reader *r, const char *first, const char *second)
{
    char choices[COMMAND_WHY_BYTES / 2] = "";
    size_t length = strlen(first), used = 0;
    struct nearest n = {.typed = second, .distance = WORD_CHARS};
    for (uint32_t i = 0; i < COMMANDS; i++) {
        const char *words = command_rows[i].words;
        if (strncmp(words, first, length) != 0 || words[length] != ' ')
            continue;
        int added = snprintf(choices + used, sizeof(choices) - used, "%s%s", used == 0 ? "" : ", ",
                             words + length + 1);
        used = used + (size_t)added < sizeof(choices) ? used + (size_t)added : used;
        if (second != NULL)
            nearest_try(&n, words + length + 1);
    }
    if (used == 0)
        return false;
    if (second == NULL)
        wrong(r, "'%s' is followed by one of: %s", first, choices);
    else if (n.text[0] != 0)
        wrong(r, "there is no command '%s %.40s'; did you mean '%s %s'?", first, second, first,
              n.text);
    else
        wrong(r, "there is no command '%s %.40s'; '%s' is followed by one of: %s", first, second,
              first, choices);
    return true;
}

static bool
no_command(struct reader *r)
{
    const struct call *c = &r->line->call;
    if (c->words_count == 0)
        return wrong(r, "no command is named; scripctl --help shows them");
    if (needs_second(r, c->words[0], c->words_count > 1 ? c->words[1] : NULL))
        return false;
    struct nearest n = {.typed = c->words[0], .distance = WORD_CHARS};
    for (uint32_t i = 0; i < COMMANDS; i++) {
        const char *words = command_rows[i].words;
        char first[WORD_CHARS + 1];
        snprintf(first, sizeof(first), "%.*s", (int)strcspn(words, " "), words);
        nearest_try(&n, first);
    }
    if (n.text[0] != 0)
        return wrong(r, "there is no command '%.40s'; did you mean '%s'?", c->words[0], n.text);
    return wrong(r, "there is no command '%.40s'; scripctl --help shows them", c->words[0]);
}

/* The longest command that the words begin with; what is left of them are its arguments. */
static bool
find_command(struct reader *r)
{
    struct call *c = &r->line->call;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < COMMANDS; i++) {
        uint32_t count = words_of(&command_rows[i], c);
        if (count <= taken)
            continue;
        taken = count;
        r->line->command = &command_rows[i];
    }
    if (taken == 0 && c->o.help && help_is_group(c))
        return true;
    if (taken == 0)
        return (c->words_count == 0 && (c->o.help || c->o.version)) || no_command(r);
    c->words_count -= taken;
    memmove(c->words, c->words + taken, c->words_count * sizeof(c->words[0]));
    return true;
}

static bool
check_command(struct reader *r)
{
    const struct command_row *row = r->line->command;
    struct call *c = &r->line->call;
    char name[OPTION_NAME_BYTES];
    if (row == NULL || c->o.help || c->o.version)
        return true;
    for (uint32_t i = 0; i < OPTIONS; i++)
        if (r->is_given[i] && !command_takes(row, i))
            return wrong(r, "'%s' does not take --%s", row->words,
                         option_name(&option_rows[i], name));
    if (c->words_count < row->least)
        return wrong(r, "'%s' needs %s", row->words, row->arguments);
    if (c->words_count > row->most && row->most == 0)
        return wrong(r, "'%s' takes no argument, such as '%.40s'", row->words, c->words[0]);
    if (c->words_count > row->most)
        return wrong(r, "'%s' takes %s and not '%.40s' too", row->words, row->arguments,
                     c->words[row->most]);
    return true;
}

static void
set_fallbacks(struct options *o)
{
    for (uint32_t i = 0; i < OPTIONS; i++) {
        void *at = (char *)o + option_rows[i].offset;
        if (option_rows[i].kind == OPTION_IS_INT || option_rows[i].kind == OPTION_IS_TIME)
            memcpy(at, &option_rows[i].fallback, sizeof(int64_t));
        else if (option_rows[i].kind == OPTION_IS_SHARDS)
            memset(at, true, sizeof(o->shard));
    }
}

/* What the environment stands in for. */
static void
set_environment(struct reader *r)
{
    struct options *o = &r->line->call.o;
    const struct {
        const char *name;
        uint32_t place;
        const char **value;
    } stands_for[] = {{"SCRIPCTL_DATABASE", PLACE_database, &o->database},
                      {"SCRIPCTL_ARCHIVE", PLACE_archive, &o->archive},
                      {"SCRIPCTL_ENDPOINT", PLACE_endpoint, &o->endpoint},
                      {"SCRIPCTL_LEDGER", PLACE_ledger, &o->ledger},
                      {"SCRIPCTL_BRIDGE", PLACE_bridge, &o->bridge},
                      {"SCRIPCTL_REDIS", PLACE_redis, &o->redis}};
    for (size_t i = 0; i < sizeof(stands_for) / sizeof(stands_for[0]); i++) {
        const char *said = getenv(stands_for[i].name);
        if (!r->is_given[stands_for[i].place] && said != NULL && *said != 0)
            *stands_for[i].value = said;
    }
}

enum status
command_read(struct command_line *out, int argc, const char *const *argv, int64_t now_us,
             char why[COMMAND_WHY_BYTES])
{
    memset(out, 0, sizeof(*out));
    struct reader r = {.line = out, .argc = argc, .argv = argv, .now_us = now_us, .why = why};
    set_fallbacks(&out->call.o);
    if (!read_arguments(&r) || !find_command(&r) || !check_command(&r))
        return STATUS_USAGE;
    set_environment(&r);
    return STATUS_OK;
}

/* ---- Running ----------------------------------------------------------------------------------
 */

enum status
command_main(int argc, const char *const *argv)
{
    struct command_line line;
    char why[COMMAND_WHY_BYTES] = "";
    enum status status = command_read(&line, argc, argv, value_now_us(), why);
    line.call.out = out_open(stdout, line.call.o.json);
    if (status != STATUS_OK)
        refuse(&line.call, status, "USAGE", "%s", why);
    else if (line.call.o.version)
        help_version(stdout);
    else if (line.call.o.help && line.command == NULL && help_is_group(&line.call))
        status = help(&line.call);
    else if (line.call.o.help)
        help_print(stdout, line.command);
    else
        status = line.command->function(&line.call);
    out_close(&line.call.out);
    return status;
}

void
complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("scripctl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

enum status
refuse(const struct call *c, enum status status, const char *code, const char *format, ...)
{
    char sentence[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    complain("%s", sentence);
    if (!out_is_json(c->out))
        return status;
    struct bytes json = {NULL, 0, 0};
    bytes_add(&json, "{\"code\":", 8);
    json_write_text(&json, code);
    bytes_add(&json, ",\"message\":", 11);
    json_write_text(&json, sentence);
    bytes_add(&json, "}", 2);
    out_table(c->out, "error");
    out_json(c->out, (const char *)json.data);
    out_row_end(c->out);
    bytes_free(&json);
    return status;
}

uint64_t
word_id(const char *word, const char *what)
{
    int64_t id;
    if (value_int(word, 1, INT64_MAX, &id))
        return (uint64_t)id;
    complain("'%.40s' is no %s: a whole number from 1", word, what);
    return 0;
}
