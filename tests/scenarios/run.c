/*
 * run.c - tells stories to a core and compares what it says; see scenario.h for their form.
 *
 *   scenarios [--rewrite] SERVICE FILE...
 *
 * Exit status 0: every story ended as written (or was rewritten). 1: some did not; each
 * difference is printed. 2: a file or an argument is wrong.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"
#include "wire/codec.h"

#define ARENA_BYTES (4u << 20)
#define COLUMNS_MAX 100
#define INDENT      "    "

struct scenario_out {
    const char *file;
    unsigned line;
    struct bytes text;
    bool failed;
    struct arena lists;
    uint8_t *memory;
};

static const struct scenario_core *const cores[] = {
    &ledger_scenario,
    &marketdata_scenario,
    &matcher_scenario,
    &gateway_scenario,
};

/* ---- For drivers ------------------------------------------------------------------------- */

/* Adds a line, cut at blanks so that no part is wider than a page; parts go on indented. */
static void
say_wrapped(struct bytes *to, const char *line)
{
    size_t width = 0;
    for (const char *at = line; *at != 0;) {
        size_t blanks = strspn(at, " ");
        size_t word = blanks + strcspn(at + blanks, " ");
        if (width > 0 && width + word > COLUMNS_MAX) {
            bytes_add(to, "\n" INDENT, 1 + strlen(INDENT));
            width = strlen(INDENT);
            at += blanks;
            word -= blanks;
        }
        bytes_add(to, at, word);
        width += word;
        at += word;
    }
    bytes_add(to, "\n", 1);
}

void
scenario_say(struct scenario_out *out, const char *format, ...)
{
    static char line[SCENARIO_LINE_MAX];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    CHECK(length >= 0 && (size_t)length < sizeof(line));
    say_wrapped(&out->text, line);
}

void
scenario_say_msg(struct scenario_out *out, const char *prefix, const struct msg *m)
{
    static char line[SCENARIO_LINE_MAX - 64];
    msg_print(m, line, sizeof(line));
    scenario_say(out, "%s %s", prefix, line);
}

void
scenario_fail(struct scenario_out *out, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "%s:%u: ", out->file, out->line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    out->failed = true;
}

bool
scenario_read_msg(struct scenario_out *out, const char *line, struct msg *m)
{
    code_t field = {{0}};
    arena_reset(&out->lists);
    enum err e = msg_read_text(line, &out->lists, m, &field);
    if (e != OK)
        scenario_fail(out, "%s %s: %s", err_name(e), field.text, line);
    return e == OK;
}

bool
scenario_is(const char *line, const char *word)
{
    size_t length = strlen(word);
    return strncmp(line, word, length) == 0 && (line[length] == 0 || line[length] == ' ');
}

const char *
scenario_value(const char *line, const char *key)
{
    static char value[256];
    size_t length = strlen(key);
    for (const char *at = strstr(line, key); at != NULL; at = strstr(at + 1, key)) {
        if (at == line || at[-1] != ' ' || at[length] != '=')
            continue;
        size_t end = strcspn(at + length + 1, " ");
        CHECK(end < sizeof(value));
        memcpy(value, at + length + 1, end);
        value[end] = 0;
        return value;
    }
    return NULL;
}

/* ---- Stories -------------------------------------------------------------------------------- */

static char *
file_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return NULL;
    struct bytes all = {NULL, 0, 0};
    char piece[4096];
    for (size_t got = fread(piece, 1, sizeof(piece), f); got > 0;
         got = fread(piece, 1, sizeof(piece), f))
        bytes_add(&all, piece, got);
    fclose(f);
    bytes_add(&all, "", 1);
    return (char *)all.data;
}

/* The next line of a text, without its newline; NULL at the end. Cuts the text up. */
static char *
line_next(char **text)
{
    if (**text == 0)
        return NULL;
    char *line = *text;
    char *end = strchr(line, '\n');
    *text = end == NULL ? line + strlen(line) : end + 1;
    if (end != NULL)
        *end = 0;
    return line;
}

/* A story while it is told: the file as it should be, grown block by block. */
struct scene {
    const struct scenario_core *core;
    void *state;
    struct scenario_out out;
    unsigned line;
    struct bytes whole;    /* the file with the answers the core gave */
    struct bytes expected; /* answers the file has for the block at hand */
    struct bytes input;    /* the input at hand: its line, and the indented ones behind it */
    unsigned input_line;
    bool rewrite;
};

static void
story_line(struct bytes *to, const char *line)
{
    bytes_add(to, line, strlen(line));
    bytes_add(to, "\n", 1);
}

static void
block_differs(const struct scene *s)
{
    fprintf(stderr, "%s:%u: the core says otherwise\n--- the story\n%.*s--- the core\n%.*s",
            s->out.file, s->out.line, (int)s->expected.length, (const char *)s->expected.data,
            (int)s->out.text.length, (const char *)s->out.text.data);
}

/* The answers end: compares them, and begins the next block. */
static bool
block_end(struct scene *s)
{
    bool same = s->expected.length == s->out.text.length &&
                (s->out.text.length == 0 ||
                 memcmp(s->expected.data, s->out.text.data, s->out.text.length) == 0);
    if (!same && !s->rewrite)
        block_differs(s);
    bytes_add(&s->whole, s->out.text.data, s->out.text.length);
    bytes_clear(&s->out.text);
    bytes_clear(&s->expected);
    return same;
}

/* Gives the core the input that was collected. */
static void
input_end(struct scene *s)
{
    if (s->input.length == 0)
        return;
    bytes_add(&s->input, "", 1);
    s->out.line = s->input_line;
    s->core->input(s->state, (const char *)s->input.data, &s->out);
    bytes_clear(&s->input);
}

/* An indented line goes on with the one before it; `#` lines and blank ones are nobody's. */
static void
input_line(struct scene *s, const char *line)
{
    bool goes_on = line[0] == ' ' && s->input.length > 0;
    if (!goes_on)
        input_end(s);
    const char *text = line + strspn(line, " ");
    if (text[0] == 0 || text[0] == '#')
        return;
    if (goes_on)
        bytes_add(&s->input, " ", 1);
    else
        s->input_line = s->line;
    bytes_add(&s->input, text, strlen(text));
}

static bool
story_tell(struct scene *s, char *text)
{
    bool in_answers = false;
    bool same = true;
    for (char *line = line_next(&text); line != NULL; line = line_next(&text)) {
        s->line++;
        if (in_answers && line[0] != 0) {
            story_line(&s->expected, line);
            continue;
        }
        if (in_answers)
            same &= block_end(s);
        in_answers = strcmp(line, "----") == 0;
        story_line(&s->whole, line);
        if (in_answers)
            input_end(s);
        else
            input_line(s, line);
    }
    input_end(s);
    if (!in_answers && s->out.text.length > 0) {
        story_line(&s->whole, "----");
        in_answers = true;
    }
    if (in_answers)
        same &= block_end(s);
    return same;
}

static bool
file_write(const char *path, const struct bytes *text)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL)
        return false;
    bool written = fwrite(text->data, 1, text->length, f) == text->length;
    return fclose(f) == 0 && written;
}

/* Whether the story ended as written. */
static bool
story_run(const struct scenario_core *core, const char *path, bool rewrite)
{
    char *text = file_read(path);
    if (text == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    struct scene s = {
        .core = core, .rewrite = rewrite, .out = {.file = path, .memory = malloc(ARENA_BYTES)}};
    CHECK(s.out.memory != NULL);
    arena_init(&s.out.lists, s.out.memory, ARENA_BYTES);
    s.state = core->open();
    bool same = story_tell(&s, text);
    core->close(s.state);
    if (!same && rewrite && !file_write(path, &s.whole)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    bool good = (same || rewrite) && !s.out.failed;
    bytes_free(&s.whole);
    bytes_free(&s.expected);
    bytes_free(&s.input);
    bytes_free(&s.out.text);
    free(s.out.memory);
    free(text);
    return good;
}

int
main(int argc, char **argv)
{
    int first = 1;
    bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    if (rewrite)
        first++;
    const struct scenario_core *core = NULL;
    for (size_t i = 0; argc > first && i < sizeof(cores) / sizeof(cores[0]); i++)
        if (strcmp(cores[i]->service, argv[first]) == 0)
            core = cores[i];
    if (core == NULL || argc < first + 2) {
        fprintf(stderr, "usage: scenarios [--rewrite] SERVICE FILE...\n");
        return 2;
    }
    int failed = 0;
    for (int i = first + 1; i < argc; i++)
        failed += !story_run(core, argv[i], rewrite);
    printf("%s: %d stories, %d failed\n", core->service, argc - first - 1, failed);
    return failed == 0 ? 0 : 1;
}
