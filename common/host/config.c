/*
 * config.c - reads settings from defaults, file, environment and flags, in this order, and
 * refuses whatever the table does not know or allow, with the key, the value, the limits and the
 * source in the message.
 *
 * Not a reloader: settings are read once, before the loop exists.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/money.h"

#define LINE_BYTES   8192
#define PREFIX_BYTES 64
#define ROWS_MAX     256

extern char **environ;

/* Texts live until the process ends; the chain keeps them reachable for leak checkers. */
struct kept {
    struct kept *next;
    char text[];
};
static struct kept *kept_texts;

struct reading {
    const char *service;
    const struct config_row *rows;
    size_t row_count;
    char *base;
    FILE *errors;
    bool in_file[ROWS_MAX]; /* keys the file has set */
};

static const char *
text_keep(const char *text)
{
    size_t length = strlen(text);
    struct kept *k = malloc(sizeof *k + length + 1);
    CHECK(k != NULL);
    memcpy(k->text, text, length + 1);
    k->next = kept_texts;
    kept_texts = k;
    return k->text;
}

static const struct config_row *
row_find(const struct reading *r, const char *key)
{
    for (size_t i = 0; i < r->row_count; i++)
        if (strcmp(r->rows[i].key, key) == 0)
            return &r->rows[i];
    return NULL;
}

/* A whole base-ten integer, or false. */
static bool
int_read(const char *text, int64_t *out)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits))
        return false;
    errno = 0;
    *out = strtoll(text, NULL, 10);
    return errno == 0;
}

static bool
bool_read(const char *text, bool *out)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool
number_read(enum config_kind kind, const char *text, int64_t *out)
{
    if (kind == CONFIG_KIND_INT)
        return int_read(text, out);
    return decimal_read(text, strlen(text), out) == OK;
}

/* Refuses a value: names key, value (unless secret), what is allowed, and where it came from. */
static enum err
value_refuse(const struct reading *r, const struct config_row *row, const char *value,
             const char *source)
{
    fprintf(r->errors, "scrip-%s: %s: %s = %s is refused: ", r->service, source, row->key,
            row->flags & CONFIG_SECRET ? "***" : value);
    const char *gap = row->unit[0] != '\0' ? " " : "";
    switch (row->kind) {
    case CONFIG_KIND_INT:
        fprintf(r->errors, "it takes an integer from %s to %s%s%s\n", row->min, row->max, gap,
                row->unit);
        break;
    case CONFIG_KIND_DECIMAL:
        fprintf(r->errors, "it takes a decimal from %s to %s%s%s\n", row->min, row->max, gap,
                row->unit);
        break;
    case CONFIG_KIND_BOOL:
        fprintf(r->errors, "it takes true or false\n");
        break;
    case CONFIG_KIND_TEXT:
        fprintf(r->errors, "it must not be empty\n");
        break;
    }
    return ERR_CONFIG_BAD_VALUE;
}

static enum err
value_set(const struct reading *r, const struct config_row *row, const char *value,
          const char *source)
{
    void *to = r->base + row->offset;
    int64_t number, min, max;
    bool truth;
    switch (row->kind) {
    case CONFIG_KIND_INT:
    case CONFIG_KIND_DECIMAL:
        CHECK(number_read(row->kind, row->min, &min) && number_read(row->kind, row->max, &max));
        if (!number_read(row->kind, value, &number) || number < min || number > max)
            return value_refuse(r, row, value, source);
        memcpy(to, &number, sizeof number);
        return OK;
    case CONFIG_KIND_BOOL:
        if (!bool_read(value, &truth))
            return value_refuse(r, row, value, source);
        memcpy(to, &truth, sizeof truth);
        return OK;
    case CONFIG_KIND_TEXT: {
        const char *text = text_keep(value);
        memcpy(to, &text, sizeof text);
        return OK;
    }
    }
    return ERR_INTERNAL;
}

static enum err
key_refuse(const struct reading *r, const char *key, const char *source)
{
    fprintf(r->errors, "scrip-%s: %s: there is no setting %s (see --help)\n", r->service, source,
            key);
    return ERR_CONFIG_UNKNOWN_KEY;
}

static char *
trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

/* A # at the start of a line or after a blank begins a comment. */
static void
comment_cut(char *line)
{
    for (char *at = line; *at != '\0'; at++) {
        if (*at == '#' && (at == line || isspace((unsigned char)at[-1]))) {
            *at = '\0';
            return;
        }
    }
}

static enum err
line_refuse(const struct reading *r, const char *source, const char *why)
{
    fprintf(r->errors, "scrip-%s: %s: %s\n", r->service, source, why);
    return ERR_CONFIG_BAD_VALUE;
}

static enum err
line_read(struct reading *r, char *line, const char *source)
{
    comment_cut(line);
    char *key = trim(line);
    if (*key == '\0')
        return OK;
    char *equals = strchr(key, '=');
    if (equals == NULL)
        return line_refuse(r, source, "a line is not `key = value`");
    *equals = '\0';
    key = trim(key);
    const struct config_row *row = row_find(r, key);
    if (row == NULL)
        return key_refuse(r, key, source);
    bool *seen = &r->in_file[row - r->rows];
    if (*seen) {
        fprintf(r->errors, "scrip-%s: %s: %s is set twice\n", r->service, source, key);
        return ERR_CONFIG_BAD_VALUE;
    }
    *seen = true;
    return value_set(r, row, trim(equals + 1), source);
}

static enum err
file_read(struct reading *r, const char *path)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        fprintf(r->errors, "scrip-%s: %s cannot be read: %s\n", r->service, path, strerror(errno));
        return ERR_CONFIG_BAD_VALUE;
    }
    char line[LINE_BYTES], source[512];
    enum err e = OK;
    for (int number = 1; e == OK && fgets(line, sizeof line, f) != NULL; number++) {
        snprintf(source, sizeof source, "%s:%d", path, number);
        if (strlen(line) == sizeof line - 1 && line[sizeof line - 2] != '\n')
            e = line_refuse(r, source, "a line is longer than 8190 bytes");
        else
            e = line_read(r, line, source);
    }
    if (e == OK && ferror(f))
        e = line_refuse(r, path, "it cannot be read to its end");
    fclose(f);
    return e;
}

/* The environment's prefix: SCRIP_LEDGER_. */
static void
prefix_write(const char *service, char out[PREFIX_BYTES])
{
    int length = snprintf(out, PREFIX_BYTES, "SCRIP_%s_", service);
    CHECK(length > 0 && length < PREFIX_BYTES);
    for (char *c = out; *c != '\0'; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

static enum err
environment_read(struct reading *r)
{
    char prefix[PREFIX_BYTES], key[128], source[256];
    prefix_write(r->service, prefix);
    size_t skip = strlen(prefix);
    for (char **at = environ; *at != NULL; at++) {
        const char *equals = strchr(*at, '=');
        if (strncmp(*at, prefix, skip) != 0 || equals == NULL)
            continue;
        snprintf(source, sizeof source, "environment %.*s", (int)(equals - *at), *at);
        snprintf(key, sizeof key, "%.*s", (int)(equals - *at - (ptrdiff_t)skip), *at + skip);
        for (char *c = key; *c != '\0'; c++)
            *c = (char)tolower((unsigned char)*c);
        const struct config_row *row = row_find(r, key);
        enum err e =
            row == NULL ? key_refuse(r, key, source) : value_set(r, row, equals + 1, source);
        if (e != OK)
            return e;
    }
    return OK;
}

static bool
is_config_flag(const char *flag)
{
    return strcmp(flag, "--config") == 0 || strncmp(flag, "--config=", 9) == 0;
}

/* --key=value; dashes inside the key may stand for underscores. */
static enum err
flag_read(struct reading *r, const char *flag)
{
    char key[128];
    const char *equals = strchr(flag, '=');
    if (strncmp(flag, "--", 2) != 0 || equals == NULL || equals - flag - 2 >= (int)sizeof key) {
        /* What stands behind the = may be a secret. */
        fprintf(r->errors, "scrip-%s: %.*s is not --key=value (see --help)\n", r->service,
                (int)strcspn(flag, "="), flag);
        return ERR_CONFIG_UNKNOWN_KEY;
    }
    snprintf(key, sizeof key, "%.*s", (int)(equals - flag - 2), flag + 2);
    for (char *c = key; *c != '\0'; c++)
        if (*c == '-')
            *c = '_';
    const struct config_row *row = row_find(r, key);
    return row == NULL ? key_refuse(r, key, "flags") : value_set(r, row, equals + 1, "flags");
}

static enum err
flags_read(struct reading *r, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (is_config_flag(argv[i])) {
            if (argv[i][8] == '\0')
                i++; /* its file name was taken in file_flag_read() */
            continue;
        }
        enum err e = flag_read(r, argv[i]);
        if (e != OK)
            return e;
    }
    return OK;
}

/* The file comes before environment and flags, wherever its flag stands. */
static enum err
file_flag_read(struct reading *r, int argc, char **argv)
{
    const char *path = NULL;
    for (int i = 1; i < argc; i++) {
        if (!is_config_flag(argv[i]))
            continue;
        if (path != NULL)
            return line_refuse(r, "flags", "--config is given twice");
        if (argv[i][8] == '=')
            path = argv[i] + 9;
        else if (i + 1 < argc)
            path = argv[++i];
        else
            return line_refuse(r, "flags", "--config needs a file name");
    }
    return path == NULL ? OK : file_read(r, path);
}

static const char *
kind_name(enum config_kind kind)
{
    static const char *const names[] = {"integer", "text", "bool", "decimal"};
    return names[kind];
}

static void
help_print(const struct reading *r, FILE *to)
{
    char prefix[PREFIX_BYTES];
    prefix_write(r->service, prefix);
    fprintf(to, "usage: scrip-%s [--config FILE] [--key=value ...]\n\n", r->service);
    fprintf(to, "Later sources win: defaults, the file, the environment (%sKEY), flags.\n", prefix);
    fprintf(to, "The file has one `key = value` a line; # begins a comment.\n\n");
    for (size_t i = 0; i < r->row_count; i++) {
        const struct config_row *row = &r->rows[i];
        fprintf(to, "  --%s=%s\n      %s\n      ", row->key, kind_name(row->kind), row->sentence);
        if (row->flags & CONFIG_NEEDED)
            fprintf(to, "Must be set.");
        else
            fprintf(to, "Default %s.", row->fallback[0] == '\0' ? "empty" : row->fallback);
        if (row->min != NULL)
            fprintf(to, " From %s to %s%s%s.", row->min, row->max, row->unit[0] ? " " : "",
                    row->unit);
        fprintf(to, "%s\n", row->flags & CONFIG_SECRET ? " Secret: never printed." : "");
    }
    fprintf(to, "\n  --help     this text\n  --version  the version\n");
}

static void
questions_answer(const struct reading *r, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            help_print(r, stdout);
            exit(0);
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("scrip-%s %s\n", r->service, SCRIP_VERSION);
            exit(0);
        }
    }
}

static enum err
needed_check(const struct reading *r)
{
    for (size_t i = 0; i < r->row_count; i++) {
        const struct config_row *row = &r->rows[i];
        const char *text;
        if (row->kind != CONFIG_KIND_TEXT || !(row->flags & CONFIG_NEEDED))
            continue;
        memcpy(&text, r->base + row->offset, sizeof text);
        if (text[0] == '\0')
            return value_refuse(r, row, "(empty)", "settings");
    }
    return OK;
}

enum err
config_read(const char *service, const struct config_row *rows, size_t row_count, void *config,
            int argc, char **argv, FILE *errors)
{
    CHECK(row_count <= ROWS_MAX);
    struct reading r = {service, rows, row_count, config, errors, {false}};
    questions_answer(&r, argc, argv);
    for (size_t i = 0; i < row_count; i++) {
        CHECK(row_find(&r, rows[i].key) == &rows[i]); /* no key stands twice */
        CHECK(value_set(&r, &rows[i], rows[i].fallback, "defaults") == OK);
    }
    enum err e = file_flag_read(&r, argc, argv);
    if (e == OK)
        e = environment_read(&r);
    if (e == OK)
        e = flags_read(&r, argc, argv);
    return e == OK ? needed_check(&r) : e;
}

static void
value_print(const struct config_row *row, const char *from, FILE *to)
{
    int64_t number;
    const char *text;
    bool truth;
    char decimal[DECIMAL_BYTES];
    switch (row->kind) {
    case CONFIG_KIND_INT:
        memcpy(&number, from, sizeof number);
        fprintf(to, "%" PRId64, number);
        break;
    case CONFIG_KIND_DECIMAL:
        memcpy(&number, from, sizeof number);
        decimal_write_short(number, decimal);
        fputs(decimal, to);
        break;
    case CONFIG_KIND_BOOL:
        memcpy(&truth, from, sizeof truth);
        fputs(truth ? "true" : "false", to);
        break;
    case CONFIG_KIND_TEXT:
        memcpy(&text, from, sizeof text);
        fputs(text, to);
        break;
    }
}

void
config_print(const struct config_row *rows, size_t row_count, const void *config, FILE *to)
{
    for (size_t i = 0; i < row_count; i++) {
        fprintf(to, "%s = ", rows[i].key);
        if (rows[i].flags & CONFIG_SECRET)
            fputs("***", to);
        else
            value_print(&rows[i], (const char *)config + rows[i].offset, to);
        fputc('\n', to);
    }
}

void
config_markdown(const struct config_row *rows, size_t row_count, FILE *to)
{
    fprintf(to, "| key | type | default | range | meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < row_count; i++) {
        const struct config_row *row = &rows[i];
        fprintf(to, "| `%s` | %s | ", row->key, kind_name(row->kind));
        if (row->flags & CONFIG_NEEDED)
            fprintf(to, "must be set");
        else if (row->fallback[0] == '\0')
            fprintf(to, "empty");
        else
            fprintf(to, "`%s`", row->fallback);
        fprintf(to, " | ");
        if (row->min != NULL)
            fprintf(to, "%s to %s%s%s", row->min, row->max, row->unit[0] ? " " : "", row->unit);
        fprintf(to, " | %s%s |\n", row->sentence,
                row->flags & CONFIG_SECRET ? " Secret: never printed." : "");
    }
}
