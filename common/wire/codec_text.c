/*
 * codec_text.c - reads the lines that codec_print.c writes: scenarios, and logs pasted into them.
 *
 * Grammar:  line = type [" corr=" hex] fields     fields = { name "=" value } between blanks
 *           value = word | quoted | "{" fields "}" (a record) | "[" { "{" fields "}" } "]" (a list)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "wire/codec.h"
#include "wire/scalar.h"

#define WORD_BYTES_MAX 512 /* any text field with every character escaped */

struct reader {
    const char *at;
    struct arena *lists;
    code_t *field;
};

static enum err read_fields(struct reader *r, const struct msg_layout *l, uint8_t *body);

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
skip_blanks(struct reader *r)
{
    while (is_blank(*r->at))
        r->at++;
}

/* Names the culprit; what is too long for a name is cut. */
static enum err
refuse(struct reader *r, enum err e, const char *name, size_t length)
{
    if (length >= CODE_BYTES)
        length = CODE_BYTES - 1;
    enum err copied = code_from(name, length, r->field);
    CHECK(copied == OK);
    return e;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* One character of a quoted text; false at its end or when the escape is not one of ours. */
static bool
read_quoted_char(struct reader *r, char *out)
{
    if (*r->at == 0 || *r->at == '"')
        return false;
    if (*r->at != '\\') {
        *out = *r->at++;
        return true;
    }
    char escape = r->at[1];
    if (escape == '"' || escape == '\\') {
        *out = escape;
        r->at += 2;
        return true;
    }
    if (escape != 'x' || hex_digit(r->at[2]) < 0 || hex_digit(r->at[3]) < 0)
        return false;
    *out = (char)(hex_digit(r->at[2]) * 16 + hex_digit(r->at[3]));
    if (*out == 0)
        return false;
    r->at += 4;
    return true;
}

/* A bare or quoted word, unescaped. */
static enum err
read_word(struct reader *r, char out[WORD_BYTES_MAX], size_t *length)
{
    size_t n = 0;
    bool quoted = *r->at == '"';
    if (quoted) {
        r->at++;
        while (n < WORD_BYTES_MAX - 1 && read_quoted_char(r, &out[n]))
            n++;
        if (*r->at != '"')
            return n == WORD_BYTES_MAX - 1 ? ERR_FIELD_TOO_LONG : ERR_LINE_INVALID;
        r->at++;
    } else {
        while (*r->at != 0 && !is_blank(*r->at) && strchr("{}[]\"", *r->at) == NULL) {
            if (n == WORD_BYTES_MAX - 1)
                return ERR_FIELD_TOO_LONG;
            out[n++] = *r->at++;
        }
        if (n == 0)
            return ERR_LINE_INVALID;
    }
    out[n] = 0;
    *length = n;
    return OK;
}

static enum err
read_record(struct reader *r, const struct msg_layout *l, uint8_t *body)
{
    if (*r->at != '{')
        return ERR_LINE_INVALID;
    r->at++;
    enum err e = read_fields(r, l, body);
    if (e != OK)
        return e;
    if (*r->at != '}')
        return ERR_LINE_INVALID;
    r->at++;
    return OK;
}

/* Counts the records of a list that starts at `at`, so that their room can be taken at once. */
static uint32_t
count_items(const char *at)
{
    uint32_t count = 0;
    int depth = 0;
    bool quoted = false;
    for (; *at != 0; at++) {
        if (quoted) {
            if (*at == '\\' && at[1] != 0)
                at++;
            else if (*at == '"')
                quoted = false;
        } else if (*at == '"') {
            quoted = true;
        } else if (*at == '{') {
            count += depth++ == 0;
        } else if (*at == '}') {
            depth--;
        } else if (*at == ']' && depth <= 0) {
            break;
        }
    }
    return count;
}

static enum err
read_list(struct reader *r, const struct msg_field *f, uint8_t *body)
{
    if (*r->at != '[')
        return ERR_LINE_INVALID;
    r->at++;
    uint32_t count = count_items(r->at);
    if (count > f->max)
        return ERR_WIRE_TOO_LARGE;
    uint8_t *items = arena_take(r->lists, count, f->items->size);
    if (items == NULL)
        return ERR_WIRE_TOO_LARGE;
    for (uint32_t i = 0; i < count; i++) {
        skip_blanks(r);
        enum err e = read_record(r, f->items, items + (size_t)i * f->items->size);
        if (e != OK)
            return e;
    }
    skip_blanks(r);
    if (*r->at != ']')
        return ERR_LINE_INVALID;
    r->at++;
    if (count > 0)
        msg_list_set(f, body, items, count);
    return OK;
}

static enum err
read_value(struct reader *r, const struct msg_field *f, uint8_t *body)
{
    if (f->kind == KIND_RECORD)
        return read_record(r, f->items, body + f->offset);
    if (f->kind == KIND_LIST)
        return read_list(r, f, body);
    char word[WORD_BYTES_MAX];
    size_t length;
    enum err e = read_word(r, word, &length);
    return e != OK ? e : scalar_read(f, word, length, body);
}

/* Up to the end of the line or of the record. */
static enum err
read_fields(struct reader *r, const struct msg_layout *l, uint8_t *body)
{
    uint64_t seen = 0;
    for (skip_blanks(r); *r->at != 0 && *r->at != '}'; skip_blanks(r)) {
        const char *name = r->at;
        size_t length = strcspn(name, "= \t\r\n{}[]\"");
        if (name[length] != '=' || length == 0)
            return refuse(r, ERR_LINE_INVALID, name, length);
        char key[CODE_BYTES * 2];
        if (length >= sizeof(key))
            return refuse(r, ERR_FIELD_UNKNOWN, name, length);
        memcpy(key, name, length);
        key[length] = 0;
        const struct msg_field *f = msg_field_by_name(l, key);
        if (f == NULL)
            return refuse(r, ERR_FIELD_UNKNOWN, name, length);
        uint64_t bit = (uint64_t)1 << (f - l->fields);
        if ((seen & bit) != 0)
            return refuse(r, ERR_FIELD_REPEATED, name, length);
        seen |= bit;
        r->at += length + 1;
        code_t none = {{0}};
        *r->field = none;
        enum err e = read_value(r, f, body);
        if (e != OK) /* the innermost field was named already */
            return code_empty(*r->field) ? refuse(r, e, name, length) : e;
    }
    uint32_t culprit;
    enum err e = scalar_rules(l, seen, body, &culprit);
    if (e != OK)
        return refuse(r, e, l->fields[culprit].name, strlen(l->fields[culprit].name));
    return OK;
}

/* corr=<hex>, where it stands. */
static enum err
read_corr(struct reader *r, uint64_t *corr)
{
    *corr = 0;
    skip_blanks(r);
    if (strncmp(r->at, "corr=", 5) != 0)
        return OK;
    r->at += 5;
    int digits = 0;
    for (; hex_digit(*r->at) >= 0; r->at++, digits++)
        *corr = *corr << 4 | (uint64_t)hex_digit(*r->at);
    if (digits < 1 || digits > 16 || (*r->at != 0 && !is_blank(*r->at)))
        return refuse(r, ERR_LINE_INVALID, "corr", 4);
    return OK;
}

enum err
msg_read_text(const char *line, struct arena *lists, struct msg *out, code_t *field)
{
    struct reader r = {line, lists, field};
    *field = (code_t){{0}};
    skip_blanks(&r);
    char type[64];
    size_t length = strcspn(r.at, " \t\r\n");
    if (length >= sizeof(type))
        return ERR_WIRE_UNKNOWN;
    memcpy(type, r.at, length);
    type[length] = 0;
    const struct msg_layout *l = msg_layout_by_name(type);
    if (l == NULL)
        return ERR_WIRE_UNKNOWN;
    r.at += length;

    out->type = l->type;
    memset(msg_body(out), 0, l->size);
    enum err e = read_corr(&r, &out->corr);
    if (e == OK)
        e = read_fields(&r, l, msg_body(out));
    if (e == OK && *r.at != 0) /* a brace too many */
        return ERR_LINE_INVALID;
    return e;
}
