/*
 * exchange_keys.c - a user's exchange key on its way to the bridge.
 *
 * The body is read where it lies, without a parser's copies, into one message that is wiped once it
 * is packed. Whatever is wrong with it, no answer and no log repeats any of it: secrets are put
 * into wrong places, too.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <openssl/crypto.h>
#include <string.h>

#include "base/scan.h"
#include "gateway/shell/shell.h"
#include "host/log.h"
#include "wire/json.h"

#define SECRET_CHARS_MAX 4096u
#define PART_CHARS       (TEXT_BYTES - 1)
#define PARTS_MAX        (SECRET_CHARS_MAX / PART_CHARS + 1)
#define NAME_CHARS_MAX   20u

struct key_body {
    struct bridge_keys_put put;
    struct key_part parts[PARTS_MAX];
    char secret[SECRET_CHARS_MAX + 1];
};

/* The value of four hexadecimal digits of a text that has them; -1 of others. */
static int
hex4_read(const char *at)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* One character behind a backslash, which moves `at` behind it; -1 when no key has it. */
static int
escape_read(const char **at, const char *end)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (*at == end)
        return -1;
    char name = *(*at)++;
    if (name == 'u') {
        int value = end - *at < 4 ? -1 : hex4_read(*at);
        *at += 4;
        return value > 0 && value < 0x80 ? value : -1;
    }
    const char *found = name == '\0' ? NULL : strchr(names, name);
    return found == NULL ? -1 : values[found - names];
}

/* A string of the body with its escapes read. */
static enum err
text_read(struct slice s, char *out, size_t size)
{
    size_t length = 0;
    const char *at = s.at, *end = s.at + s.length;
    if (s.kind != 's')
        return ERR_FIELD_TYPE;
    while (at < end) {
        int c = (unsigned char)*at++;
        if (c < 0x20)
            return ERR_BODY_NOT_JSON;
        if (c == '\\' && (c = escape_read(&at, end)) < 0)
            return ERR_FIELD_TYPE;
        if (length + 1 == size)
            return ERR_FIELD_TOO_LONG;
        out[length++] = (char)c;
    }
    out[length] = '\0';
    return length == 0 ? ERR_FIELD_MISSING : OK;
}

static enum err
environment_read(struct slice s, enum environment *out)
{
    if (s.kind != 's')
        return ERR_FIELD_TYPE;
    if (slice_is(s, "testnet"))
        *out = ENVIRONMENT_testnet;
    else if (slice_is(s, "live"))
        *out = ENVIRONMENT_live;
    else
        return ERR_CHOICE_UNKNOWN;
    return OK;
}

/* The name of a field that is none, unless it may be a secret in its place. */
static code_t
name_told(struct slice name)
{
    code_t told = {0};
    for (size_t i = 0; i < name.length; i++)
        if (name.at[i] != '_' && (name.at[i] < 'a' || name.at[i] > 'z'))
            return told;
    if (name.length <= NAME_CHARS_MAX && code_from(name.at, name.length, &told) != OK)
        told = (code_t){0};
    return told;
}

static enum err
member_read(struct key_body *b, struct slice name, struct slice value, code_t *field)
{
    struct bridge_keys_put *put = &b->put;
    bool is_key = slice_is(name, "api_key"), is_secret = slice_is(name, "api_secret");
    *field = name_told(name);
    if ((is_key && put->api_key.text[0] != '\0') || (is_secret && b->secret[0] != '\0'))
        return ERR_FIELD_REPEATED;
    if (is_key)
        return text_read(value, put->api_key.text, sizeof put->api_key.text);
    if (is_secret)
        return text_read(value, b->secret, sizeof b->secret);
    if (slice_is(name, "environment"))
        return put->environment != ENVIRONMENT_NONE ? ERR_FIELD_REPEATED
                                                    : environment_read(value, &put->environment);
    return ERR_FIELD_UNKNOWN;
}

static enum err
body_read(const struct http_request *h, struct key_body *b, code_t *field)
{
    struct scan s = {h->body, h->body + h->body_length};
    struct slice name, value;
    enum err e = OK;
    if (!scan_take(&s, '{'))
        return ERR_BODY_NOT_JSON;
    if (!scan_take(&s, '}')) {
        do {
            if (!scan_name(&s, &name) || !scan_value(&s, &value))
                return ERR_BODY_NOT_JSON;
            enum err found = member_read(b, name, value, field);
            if (found != OK)
                e = e == OK ? found : e;
        } while (e == OK && scan_take(&s, ','));
        if (e == OK && !scan_take(&s, '}'))
            return ERR_BODY_NOT_JSON;
    }
    if (e == OK && !scan_done(&s))
        return ERR_BODY_NOT_JSON;
    if (e == OK && (b->put.api_key.text[0] == '\0' || b->secret[0] == '\0')) {
        *field = code_of(b->put.api_key.text[0] == '\0' ? "api_key" : "api_secret");
        e = ERR_FIELD_MISSING;
    }
    return e;
}

/* What stands behind the last slash. */
static enum err
type_read(const struct http_request *h, struct bridge_keys_put *put, code_t *field)
{
    struct http1_text path = h->head->path;
    char text[16];
    if (path.length > 1 && path.at[path.length - 1] == '/')
        path.length--;
    const char *slash = memrchr(path.at, '/', path.length);
    struct http1_text type = {slash + 1, (size_t)(path.at + path.length - slash - 1)};
    *field = code_of("trading_type");
    put->trading_type = http1_decode(type, false, text, sizeof text)
                            ? msg_enum_by_name(MSG_ENUM_trading_type, text)
                            : TRADING_TYPE_NONE;
    return put->trading_type == TRADING_TYPE_NONE ? ERR_TRADING_TYPE_INVALID : OK;
}

static void
secret_split(struct key_body *b)
{
    size_t length = strlen(b->secret);
    for (size_t from = 0; from < length; from += PART_CHARS) {
        size_t left = length - from;
        struct key_part *part = &b->parts[b->put.secret_count++];
        memcpy(part->text.text, b->secret + from, left < PART_CHARS ? left : PART_CHARS);
    }
    b->put.secret = b->parts;
}

static void
on_stored(struct shell *s, struct request *r, const struct msg *m, enum err e)
{
    if (m == NULL) {
        answer_error(s, r, e);
    } else if (m->type == MSG_refused) {
        answer_refused(s, r, &m->refused);
    } else if (m->type != MSG_bridge_keys) {
        log_corr(LOG_ERROR, r->corr, "answer_unexpected", "type=%d", (int)m->type);
        answer_error(s, r, ERR_INTERNAL);
    } else {
        answer_body(s, r, 200, msg_layout(m->type), &m->bridge_keys);
    }
}

void
own_exchange_keys(struct shell *s, struct request *r, const struct http_request *h)
{
    struct key_body b = {.put = {.user_id = r->who.user_id}};
    code_t field = {0};
    enum err e = type_read(h, &b.put, &field);
    if (e == OK && h->head->query.length > 0) {
        field = (code_t){0};
        e = ERR_FIELD_UNKNOWN;
    }
    if (e == OK) {
        field = (code_t){0};
        e = body_read(h, &b, &field);
    }
    bool is_read = e == OK;
    if (is_read) {
        secret_split(&b);
        r->on_answer = on_stored;
        e = call_send_secret(s, call_bridge_of(s, r->who.account_id), MSG_bridge_keys_put, r->corr,
                             request_handle(r), &b.put);
    }
    OPENSSL_cleanse(&b, sizeof b);
    if (e != OK && is_read)
        answer_error(s, r, e);
    else if (e != OK)
        answer_field(s, r, e, field, text_of("%s", ""));
}
