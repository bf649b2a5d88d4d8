/*
 * route.c - finds a route and binds a request's path, query and body to its message.
 *
 * Binding is driven by the layouts: only fields marked IN are taken, everything else is refused by
 * name. No decision of what a request means is made here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "gateway/shell/shell.h"
#include "wire/json.h"

#define VALUE_BYTES 256

static const struct route route_rows[] = {
#define OWN(verb, address, handler, auth, limit, body, text)                                       \
    {.method = HTTP1_##verb,                                                                       \
     .method_name = #verb,                                                                         \
     .path = address,                                                                              \
     .sentence = text,                                                                             \
     .to = TO_OWN,                                                                                 \
     .who = WHO_##auth,                                                                            \
     .rate = RATE_##limit,                                                                         \
     .body_max = body,                                                                             \
     .status = 200,                                                                                \
     .own = own_##handler,                                                                         \
     .own_name = #handler},
#define ASK(verb, address, receiver, message, reply, success, auth, limit, body, text)             \
    {.method = HTTP1_##verb,                                                                       \
     .method_name = #verb,                                                                         \
     .path = address,                                                                              \
     .sentence = text,                                                                             \
     .to = TO_##receiver,                                                                          \
     .who = WHO_##auth,                                                                            \
     .rate = RATE_##limit,                                                                         \
     .body_max = body,                                                                             \
     .status = success,                                                                            \
     .request = MSG_##message,                                                                     \
     .answer = MSG_##reply},
#include "gateway/routes.def"
#undef OWN
#undef ASK
};

#define ROUTE_COUNT (sizeof route_rows / sizeof route_rows[0])

struct routes {
    struct route rows[ROUTE_COUNT];
};

static uint32_t
fill_of(const struct msg_layout *l, const char *name)
{
    for (uint32_t i = 0; i < l->field_count; i++)
        if (strcmp(l->fields[i].name, name) == 0)
            return l->fields[i].offset;
    return NO_FIELD;
}

/* Whether something of a list's records is the client's to say. */
static bool
list_is_clients(const struct msg_field *f)
{
    for (uint32_t i = 0; f->kind == KIND_LIST && i < f->items->field_count; i++)
        if ((f->items->fields[i].flags & MSG_FLAG_IN) != 0)
            return true;
    return false;
}

static const struct msg_field *
orders_of(const struct msg_layout *l)
{
    for (uint32_t i = 0; i < l->field_count; i++)
        if (list_is_clients(&l->fields[i]))
            return &l->fields[i];
    return NULL;
}

/* The most a field takes when it is packed, its tag included. */
static size_t
field_bytes(const struct msg_field *f)
{
    switch ((enum msg_kind)f->kind) {
    case KIND_BOOL:
    case KIND_TRI:
        return 2;
    case KIND_U32:
    case KIND_ERR:
    case KIND_ENUM:
        return 6;
    case KIND_U64:
    case KIND_I64:
    case KIND_ID:
    case KIND_TIME:
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        return 10;
    case KIND_CODE:
        return 2 + CODE_BYTES;
    case KIND_CID:
        return 2 + CID_BYTES;
    case KIND_TEXT:
        return 3 + TEXT_BYTES;
    case KIND_RECORD:
    case KIND_LIST:
        break;
    }
    return 4;
}

/* The most of a message or record that the gateway ever fills in: HID fields are the ledger's but
 * for its own, the ids. */
static size_t
packed_bytes(const struct msg_layout *l)
{
    size_t bytes = 32;
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        bool is_filled = f->kind == KIND_ID || f->kind == KIND_U64 || f->kind == KIND_BOOL;
        if ((f->flags & MSG_FLAG_HID) != 0 && !is_filled)
            continue;
        bytes += field_bytes(f);
        if (f->kind == KIND_LIST)
            bytes += f->max * packed_bytes(f->items);
    }
    return bytes;
}

static struct route_fill
fill_find(const struct msg_layout *l)
{
    struct route_fill fill = {
        .account_id = fill_of(l, "account_id"),
        .changed_by = fill_of(l, "changed_by"),
        .user_id = fill_of(l, "user_id"),
        .command_id = fill_of(l, "command_id"),
        .client_order_id = fill_of(l, "client_order_id"),
        .id_was_made = fill_of(l, "id_was_made"),
        .symbol = fill_of(l, "symbol"),
        .orders = orders_of(l),
    };
    if (fill.orders != NULL) {
        fill.order_symbol = fill_of(fill.orders->items, "symbol");
        fill.order_client_order_id = fill_of(fill.orders->items, "client_order_id");
        fill.order_id_was_made = fill_of(fill.orders->items, "id_was_made");
        CHECK(fill.order_symbol != NO_FIELD && fill.order_client_order_id != NO_FIELD &&
              fill.order_id_was_made != NO_FIELD && fill.symbol != NO_FIELD);
    }
    return fill;
}

static void
route_prepare(struct route *r)
{
    for (const char *at = r->path + 1; *at != 0;) {
        CHECK(r->part_count < ROUTE_PARTS_MAX);
        struct route_part *p = &r->parts[r->part_count++];
        p->length = strcspn(at, "/");
        p->is_name = *at == '{';
        p->text = at + p->is_name;
        at += p->length + (at[p->length] == '/');
        if (p->is_name)
            p->length -= 2;
    }
    if (r->to == TO_OWN)
        return;
    r->layout = msg_layout(r->request);
    CHECK(r->layout != NULL && msg_layout(r->answer) != NULL);
    CHECK(packed_bytes(r->layout) <= GW_PACKED_MAX); /* so no request is too large for its place */
    r->fill = fill_find(r->layout);
    r->was_known = fill_of(msg_layout(r->answer), "was_known");
    uint32_t in = 0, names = 0;
    for (uint32_t i = 0; i < r->layout->field_count; i++)
        in += route_takes(r, &r->layout->fields[i]);
    for (uint32_t i = 0; i < r->part_count; i++)
        names += r->parts[i].is_name;
    /* The source of a symbol may be left out, and what is to be refreshed. */
    r->needs_body =
        in > names && r->request != MSG_md_symbol_add && r->request != MSG_bridge_refresh;
    /* A cancel is journaled as what it causes, but its outcome is as unknown as any other's. */
    r->mutates = r->method != HTTP1_GET;
}

struct routes *
routes_new(void)
{
    struct routes *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    memcpy(r->rows, route_rows, sizeof route_rows);
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        route_prepare(&r->rows[i]);
    return r;
}

void
routes_destroy(struct routes **r)
{
    free(*r);
    *r = NULL;
}

const struct route *
route_at(const struct routes *r, uint32_t index)
{
    return index < ROUTE_COUNT ? &r->rows[index] : NULL;
}

/* Splits a path at its slashes; one at the end is not counted. */
static uint32_t
path_split(struct http1_text path, struct http1_text parts[ROUTE_PARTS_MAX + 1])
{
    uint32_t count = 0;
    const char *at = path.at + 1, *end = path.at + path.length;
    while (at < end && count <= ROUTE_PARTS_MAX) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t length = (size_t)((slash == NULL ? end : slash) - at);
        parts[count++] = (struct http1_text){at, length};
        at += length + 1;
    }
    return count;
}

static bool
route_matches(const struct route *r, const struct http1_text *parts, uint32_t count)
{
    if (r->part_count != count)
        return false;
    for (uint32_t i = count; i-- > 0;) {
        const struct route_part *p = &r->parts[i];
        if (p->is_name
                ? parts[i].length == 0
                : p->length != parts[i].length || memcmp(p->text, parts[i].at, p->length) != 0)
            return false;
    }
    return true;
}

enum err
route_find(const struct routes *r, enum http1_method method, struct http1_text path,
           const struct route **out, char *allow, size_t allow_size)
{
    struct http1_text parts[ROUTE_PARTS_MAX + 1];
    uint32_t count = path_split(path, parts);
    size_t length = 0;
    allow[0] = 0;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *row = &r->rows[i];
        if (!route_matches(row, parts, count))
            continue;
        if (row->method == method || (row->method == HTTP1_GET && method == HTTP1_HEAD)) {
            *out = row;
            return OK;
        }
        if (length < allow_size && strstr(allow, row->method_name) == NULL)
            length += (size_t)snprintf(allow + length, allow_size - length, "%s%s",
                                       length > 0 ? ", " : "", row->method_name);
    }
    return allow[0] == 0 ? ERR_ROUTE_UNKNOWN : ERR_METHOD_NOT_ALLOWED;
}

bool
route_takes_body(const struct route *r)
{
    return r->method == HTTP1_POST || r->method == HTTP1_PUT;
}

bool
route_in_path(const struct route *r, const char *name)
{
    for (uint32_t i = 0; i < r->part_count; i++)
        if (r->parts[i].is_name && r->parts[i].length == strlen(name) &&
            memcmp(r->parts[i].text, name, r->parts[i].length) == 0)
            return true;
    return false;
}

bool
route_takes(const struct route *r, const struct msg_field *f)
{
    if (strcmp(f->name, "order_id") == 0 && route_in_path(r, "client_order_id"))
        return false;
    if (strcmp(f->name, "client_order_id") == 0 && route_in_path(r, "order_id"))
        return false;
    return (f->flags & MSG_FLAG_IN) != 0 || list_is_clients(f);
}

bool
route_takes_query(const struct route *r, const struct msg_field *f)
{
    bool is_elsewhere = (route_takes_body(r) && r->needs_body) || route_in_path(r, f->name);
    return !is_elsewhere && f->kind != KIND_LIST && route_takes(r, f);
}

/* One parameter, by name. */
static enum err
field_read(const struct route *route, struct http1_text name, struct http1_text value,
           bool is_query, void *body, code_t *field)
{
    char key[CODE_BYTES], text[VALUE_BYTES];
    if (!http1_decode(name, is_query, key, sizeof key))
        return ERR_FIELD_UNKNOWN;
    *field = code_of("");
    memcpy(field->text, key, strlen(key));
    const struct msg_field *f = msg_field_by_name(route->layout, key);
    if (is_query && (f == NULL || !route_takes_query(route, f)))
        return ERR_FIELD_UNKNOWN;
    if (!http1_decode(value, is_query, text, sizeof text))
        return value.length >= sizeof text ? ERR_FIELD_TOO_LONG : ERR_FIELD_TYPE;
    return json_read_field(key, text, route->layout, body, field);
}

/* What the path says, such as the trading type, the body may repeat and not deny. */
static bool
path_clashes(const struct route *route, struct http1_text name, const void *body, const void *said)
{
    char key[CODE_BYTES] = "";
    if (name.length >= sizeof key)
        return false;
    memcpy(key, name.at, name.length);
    const struct msg_field *f = msg_field_by_name(route->layout, key);
    if (f == NULL || msg_field_zero(f, said))
        return false;
    const char *was = (const char *)said + f->offset, *is = (const char *)body + f->offset;
    return f->width == 1 ? strcmp(was, is) != 0 : memcmp(was, is, f->width) != 0;
}

static enum err
path_read(const struct route *route, struct http1_text path, void *body, code_t *field)
{
    struct msg before; /* as wide as any message */
    memcpy(msg_body(&before), body, route->layout->size);
    struct http1_text parts[ROUTE_PARTS_MAX + 1];
    uint32_t count = path_split(path, parts);
    for (uint32_t i = 0; i < count; i++) {
        const struct route_part *p = &route->parts[i];
        if (!p->is_name)
            continue;
        struct http1_text name = {p->text, p->length};
        enum err e = field_read(route, name, parts[i], false, body, field);
        bool is_trading_type = strncmp(p->text, "trading_type}", 13) == 0;
        if (e != OK)
            return is_trading_type ? ERR_TRADING_TYPE_INVALID : e;
        if (path_clashes(route, name, body, msg_body(&before))) {
            *field = (code_t){{0}};
            memcpy(field->text, name.at, name.length); /* the clash knows it: it fits */
            return ERR_FIELDS_CLASH;
        }
    }
    return OK;
}

/* A parameter that comes again in the rest of the query is refused. */
static bool
is_repeated(struct http1_text query, struct http1_text name)
{
    struct http1_text other, value;
    while (http1_next_pair(&query, &other, &value))
        if (other.length == name.length && memcmp(other.at, name.at, name.length) == 0)
            return true;
    return false;
}

static enum err
query_read(const struct route *route, struct http1_text query, void *body, code_t *field)
{
    struct http1_text name, value;
    while (http1_next_pair(&query, &name, &value)) {
        enum err e = field_read(route, name, value, true, body, field);
        if (e != OK)
            return e;
        if (is_repeated(query, name)) {
            *field = (code_t){{0}};
            memcpy(field->text, name.at,
                   name.length < CODE_BYTES ? name.length : (size_t)CODE_BYTES - 1);
            return ERR_FIELD_REPEATED;
        }
    }
    return OK;
}

/* {"balance": 0} is present and out of range, though zero travels as absent. */
static enum err
missing_reason(const struct route *route, const struct http_request *h, code_t field)
{
    bool is_balance = route->request == MSG_balance_set && strcmp(field.text, "balance") == 0;
    if (is_balance && memmem(h->body, h->body_length, "\"balance\"", 9) != NULL)
        return ERR_BALANCE_OUT_OF_RANGE;
    return ERR_FIELD_MISSING;
}

/* A body is read by its message alone; what this path does not ask is unknown to it as well. Bits
 * of given zeros are the reader's own. */
static enum err
body_read(const struct route *route, const struct http_request *h, struct arena *lists, void *body,
          code_t *field)
{
    const struct msg_layout *l = route->layout;
    enum err e = json_read_body(h->body, h->body_length, l, body, lists, field);
    for (uint32_t i = 0; e == OK && i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        bool is_readers = (f->flags & MSG_FLAG_ZEROS) != 0;
        if (!is_readers && !msg_field_zero(f, body) && !route_takes(route, f)) {
            *field = code_of("");
            memcpy(field->text, f->name, strnlen(f->name, CODE_BYTES - 1));
            e = ERR_FIELD_UNKNOWN;
        }
    }
    return e;
}

static void
orders_take_symbol(const struct route *route, void *body)
{
    const struct route_fill *f = &route->fill;
    uint8_t *items = f->orders == NULL ? NULL : (uint8_t *)msg_list(f->orders, body);
    uint32_t count = f->orders == NULL ? 0 : msg_list_count(f->orders, body);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *symbol = items + i * f->orders->items->size + f->order_symbol;
        if (*symbol == 0)
            memcpy(symbol, (uint8_t *)body + f->symbol, sizeof(code_t));
    }
}

enum err
route_read(const struct route *route, const struct http_request *h, struct arena *lists, void *body,
           code_t *field)
{
    const struct msg_layout *l = route->layout;
    memset(body, 0, l->size);
    *field = code_of("");
    if (route_takes_body(route) && (h->body_length > 0 || route->needs_body)) {
        /* Before the path, so that a body cannot replace what the path says unnoticed. */
        enum err e = body_read(route, h, lists, body, field);
        if (e != OK)
            return e;
        orders_take_symbol(route, body);
    }
    enum err e = path_read(route, h->head->path, body, field);
    if (e == OK)
        e = query_read(route, h->head->query, body, field);
    if (e == OK)
        e = json_check_body(l, body, field);
    return e == ERR_FIELD_MISSING ? missing_reason(route, h, *field) : e;
}

text_t
route_hint(const struct msg_layout *l, enum err e, code_t field)
{
    if (e == ERR_FIELDS_CLASH)
        return text_of("the path says otherwise");
    if (e == ERR_FIELD_TYPE || e == ERR_CHOICE_UNKNOWN || e == ERR_FIELD_MISSING)
        for (uint32_t i = 0; l != NULL && i < l->field_count; i++)
            if (strcmp(l->fields[i].name, field.text) == 0)
                return text_of("%s", l->fields[i].sentence);
    return text_of("%s", "");
}
