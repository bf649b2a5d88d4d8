/*
 * openapi.c - routes.def and messages.def as OpenAPI 3, once at start.
 *
 * A message appears twice when it is asked: as its request schema (the IN fields that do not
 * stand in the path or the query) and, where it is an answer, as what json_write_body() gives.
 * Only what the gateway itself reads and writes (sign-in) is spelled out here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/openapi.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "wire/json.h"

/* ---- Bodies of the gateway's own routes -------------------------------------------------- */

struct own_body {
    const char *handler, *request, *answer; /* names of schemas; NULL = none */
    const char *content_type;               /* of the answer; NULL = application/json */
};

static const struct own_body own_bodies[] = {
    {"landing", NULL, "any_object", NULL},
    {"openapi", NULL, "any_object", NULL},
    {"docs", NULL, "page", "text/html; charset=utf-8"},
    {"register", "credentials", "tokens", NULL},
    {"login", "credentials", "tokens", NULL},
    {"refresh", "refresh_request", "tokens", NULL},
    {"logout", "refresh_request", "nothing", NULL},
    {"me", NULL, "user", NULL},
    {"ping", NULL, "nothing", NULL},
    {"ticker", NULL, "ticker_answer", NULL},
    {"basket", "basket_request", "basket_answer", NULL},
    {"exchange_keys", "exchange_keys_request", "bridge_keys", NULL},
    {"audit_order", NULL, "audit_order", NULL},
    {"audit_account", NULL, "audit_account", NULL},
};

static const char own_schemas[] =
    "\"nothing\":{\"type\":\"object\",\"additionalProperties\":false},"
    "\"any_object\":{\"type\":\"object\"},"
    "\"page\":{\"type\":\"string\"},"
    "\"credentials\":{\"type\":\"object\",\"required\":[\"username\",\"password\"],\"properties\":{"
    "\"username\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9._-]{3,32}$\"},"
    "\"password\":{\"type\":\"string\",\"minLength\":10,\"maxLength\":128}}},"
    "\"refresh_request\":{\"type\":\"object\",\"required\":[\"refresh_token\"],\"properties\":{"
    "\"refresh_token\":{\"type\":\"string\"}}},"
    "\"tokens\":{\"type\":\"object\",\"properties\":{\"access_token\":{\"type\":\"string\"},"
    "\"token_type\":{\"type\":\"string\",\"enum\":[\"Bearer\"]},"
    "\"expires_in\":{\"type\":\"integer\",\"description\":\"Seconds.\"},"
    "\"refresh_token\":{\"type\":\"string\"},\"user_id\":{\"type\":\"integer\"},"
    "\"account_id\":{\"type\":\"integer\"},\"username\":{\"type\":\"string\"},"
    "\"role\":{\"type\":\"string\",\"enum\":[\"user\",\"auditor\",\"admin\"]}}},"
    "\"user\":{\"type\":\"object\",\"properties\":{\"user_id\":{\"type\":\"integer\"},"
    "\"username\":{\"type\":\"string\"},\"role\":{\"type\":\"string\"},"
    "\"account_id\":{\"type\":\"integer\"},"
    "\"created_us\":{\"type\":\"integer\",\"format\":\"int64\"}}},"
    "\"ticker\":{\"allOf\":[{\"$ref\":\"#/components/schemas/md_ticker\"},{\"type\":\"object\","
    "\"properties\":{\"age_ms\":{\"type\":\"integer\",\"description\":\"Since it was "
    "written.\"}}}]},"
    "\"ticker_answer\":{\"oneOf\":[{\"$ref\":\"#/components/schemas/ticker\"},"
    "{\"type\":\"object\",\"properties\":{\"tickers\":{\"type\":\"array\",\"items\":{\"$ref\":"
    "\"#/components/schemas/ticker\"}}}}]},"
    "\"basket_request\":{\"type\":\"object\",\"additionalProperties\":false,"
    "\"required\":[\"orders\"],\"properties\":{\"client_order_id\":{\"type\":\"string\","
    "\"maxLength\":33,\"description\":\"Begins the ids of the orders that give none: ID-1, ID-2 "
    "and "
    "so on. Only orders with ids are safe to send again.\"},"
    "\"orders\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":50,\"items\":{\"$ref\":"
    "\"#/components/schemas/order_place_request\"}}}},"
    "\"exchange_keys_request\":{\"type\":\"object\",\"additionalProperties\":false,"
    "\"required\":[\"api_key\",\"api_secret\"],\"properties\":{"
    "\"api_key\":{\"type\":\"string\",\"maxLength\":127,\"writeOnly\":true},"
    "\"api_secret\":{\"type\":\"string\",\"maxLength\":4096,\"writeOnly\":true,"
    "\"description\":\"The secret, or the private key (Ed25519, RSA) as PKCS#8 PEM.\"},"
    "\"environment\":{\"type\":\"string\",\"enum\":[\"testnet\",\"live\"],"
    "\"description\":\"The deployment's own when absent.\"}}},"
    "\"basket_answer\":{\"type\":\"object\",\"required\":[\"results\"],\"properties\":{\"results\":"
    "{\"type\":\"array\",\"description\":\"In the order of the orders.\",\"items\":{\"oneOf\":["
    "{\"$ref\":\"#/components/schemas/order_view\"},{\"$ref\":\"#/components/schemas/error\"}]}}}},"
    "\"error\":{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{"
    "\"type\":\"object\",\"required\":[\"code\",\"message\",\"correlation_id\"],\"properties\":{"
    "\"message\":{\"type\":\"string\"},\"field\":{\"type\":\"string\"},"
    "\"detail\":{\"type\":\"string\"},\"details\":{\"type\":\"string\"},"
    "\"action_required\":{\"type\":\"string\"},"
    "\"retry_after_seconds\":{\"type\":\"integer\"},\"retry_suggested\":{\"type\":\"boolean\"},"
    "\"order_id\":{\"type\":\"integer\"},\"client_order_id\":{\"type\":\"string\"},"
    "\"correlation_id\":{\"type\":\"string\"},";

static const char order_examples[] =
    ",\"examples\":{\"market\":{\"summary\":\"Buy for 100 USDT at the market\",\"value\":{"
    "\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"MARKET\","
    "\"quote_order_quantity\":\"100\"}},"
    "\"limit\":{\"summary\":\"Rest at a price, safe to send again\",\"value\":{"
    "\"symbol\":\"BTCUSDT\",\"side\":\"SELL\",\"type\":\"LIMIT\",\"time_in_force\":\"GTC\","
    "\"quantity\":\"0.01\",\"price\":\"120000.00\",\"client_order_id\":\"my-order-1\"}},"
    "\"stop\":{\"summary\":\"Sell at the market once the price has fallen\",\"value\":{"
    "\"symbol\":\"BTCUSDT\",\"side\":\"SELL\",\"type\":\"STOP_LOSS\",\"quantity\":\"0.01\","
    "\"stop_price\":\"60000.00\"}}}";

static const char list_examples[] =
    ",\"examples\":{\"oco\":{\"summary\":\"A profit or a loss, whichever comes first\",\"value\":{"
    "\"contingency\":\"OCO\",\"symbol\":\"BTCUSDT\",\"orders\":["
    "{\"side\":\"SELL\",\"type\":\"LIMIT_MAKER\",\"quantity\":\"0.01\",\"price\":\"120000.00\"},"
    "{\"side\":\"SELL\",\"type\":\"STOP_LOSS\",\"quantity\":\"0.01\","
    "\"stop_price\":\"60000.00\"}]}}}";

/* ---- Small writing ----------------------------------------------------------------------- */

static void
add(struct bytes *out, const char *text)
{
    bytes_add(out, text, strlen(text));
}

/* "name": */
static void
add_name(struct bytes *out, const char *name)
{
    json_write_text(out, name);
    add(out, ":");
}

static void
add_pair(struct bytes *out, const char *name, const char *value)
{
    add_name(out, name);
    json_write_text(out, value);
}

/* A comma before every member but the first. */
static void
add_comma(struct bytes *out, bool *is_first)
{
    if (!*is_first)
        add(out, ",");
    *is_first = false;
}

static void
add_ref(struct bytes *out, const char *schema, const char *suffix)
{
    add(out, "{\"$ref\":\"#/components/schemas/");
    add(out, schema);
    add(out, suffix);
    add(out, "\"}");
}

/* ---- Schemas ----------------------------------------------------------------------------- */

static void
enum_write(struct bytes *out, enum msg_enum id)
{
    const char *value;
    add(out, "\"type\":\"string\",\"enum\":[");
    for (uint32_t i = 0; (value = msg_enum_value_at(id, i)) != NULL; i++) {
        if (i > 0)
            add(out, ",");
        json_write_text(out, value);
    }
    add(out, "]");
}

/* The members of a field's schema, without braces. */
static void
kind_write(struct bytes *out, const struct msg_field *f, bool is_input)
{
    switch ((enum msg_kind)f->kind) {
    case KIND_BOOL:
    case KIND_TRI:
        add(out, "\"type\":\"boolean\"");
        break;
    case KIND_U32:
        add(out, "\"type\":\"integer\",\"minimum\":0");
        break;
    case KIND_U64:
    case KIND_I64:
    case KIND_ID:
        add(out, "\"type\":\"integer\",\"format\":\"int64\"");
        break;
    case KIND_TIME:
        add(out, "\"type\":\"integer\",\"format\":\"int64\",\"title\":\"microseconds UTC\"");
        break;
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        add(out, is_input ? "\"oneOf\":[{\"type\":\"string\",\"pattern\":"
                            "\"^[0-9]+([.][0-9]{1,8}0*)?$\"},{\"type\":\"number\"}]"
                          : "\"type\":\"string\",\"pattern\":\"^-?[0-9]+[.][0-9]{8}$\"");
        break;
    case KIND_CODE:
        add(out, "\"type\":\"string\",\"maxLength\":23");
        break;
    case KIND_CID:
        add(out, "\"type\":\"string\",\"pattern\":\"^[.A-Z:/a-z0-9_-]{1,36}$\"");
        break;
    case KIND_TEXT:
    case KIND_ERR:
        add(out, "\"type\":\"string\"");
        break;
    case KIND_ENUM:
        enum_write(out, (enum msg_enum)f->enum_id);
        break;
    case KIND_RECORD:
        add(out, "\"allOf\":[");
        add_ref(out, f->items->name, "");
        add(out, "]");
        break;
    case KIND_LIST:
        add(out, "\"type\":\"array\",");
        if (is_input) {
            char most[32];
            snprintf(most, sizeof most, "\"minItems\":1,\"maxItems\":%u,", f->max);
            add(out, most);
        }
        add(out, "\"items\":");
        add_ref(out, f->items->name, is_input ? "_request" : "");
        break;
    }
}

static void
field_write(struct bytes *out, const struct msg_field *f, bool is_input)
{
    add(out, "{");
    kind_write(out, f, is_input);
    add(out, ",");
    add_pair(out, "description", f->sentence);
    add(out, "}");
}

/* What an answer's body holds. */
static void
answer_schema(struct bytes *out, const struct msg_layout *l)
{
    bool is_first = true;
    add_name(out, l->name);
    add(out, "{\"type\":\"object\",");
    add_pair(out, "description", l->sentence);
    add(out, ",\"properties\":{");
    for (uint32_t i = 0; i < l->field_count; i++) {
        if ((l->fields[i].flags & MSG_FLAG_HID) != 0)
            continue;
        add_comma(out, &is_first);
        add_name(out, l->fields[i].name);
        field_write(out, &l->fields[i], false);
    }
    add(out, "}}");
}

/* Whether a client says it in the body of this route: of a record of it, where `l` is not the
 * route's own layout. */
static bool
is_in_body(const struct route *r, const struct msg_layout *l, const struct msg_field *f)
{
    if (l != r->layout)
        return (f->flags & MSG_FLAG_IN) != 0;
    return route_takes(r, f) && !route_in_path(r, f->name);
}

/* An order of a list may leave out what the list says for it. */
static bool
is_needed(const struct route *r, const struct msg_layout *l, const struct msg_field *f)
{
    bool is_said_above = l != r->layout && msg_field_by_name(r->layout, f->name) != NULL;
    bool is_required = (f->flags & MSG_FLAG_REQ) != 0 || f->kind == KIND_LIST;
    return is_in_body(r, l, f) && is_required && !is_said_above;
}

/* What a request's body may hold, or a record in it. */
static void
request_schema(struct bytes *out, const struct route *r, const struct msg_layout *l)
{
    bool is_first = true, is_first_needed = true;
    char name[64];
    snprintf(name, sizeof name, "%s_request", l->name);
    add_name(out, name);
    add(out, "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        if (!is_in_body(r, l, f))
            continue;
        add_comma(out, &is_first);
        add_name(out, f->name);
        field_write(out, f, true);
    }
    add(out, "}");
    for (uint32_t i = 0; i < l->field_count; i++) {
        if (!is_needed(r, l, &l->fields[i]))
            continue;
        add(out, is_first_needed ? ",\"required\":[" : ",");
        is_first_needed = false;
        json_write_text(out, l->fields[i].name);
    }
    add(out, is_first_needed ? "}" : "]}");
}

/* A message's body with the records of its lists; each is in one message only. */
static void
request_schemas(struct bytes *out, const struct route *r)
{
    request_schema(out, r, r->layout);
    if (r->fill.orders != NULL) {
        add(out, ",");
        request_schema(out, r, r->fill.orders->items);
    }
}

static void
error_codes(struct bytes *out)
{
    add(out, "\"code\":{\"type\":\"string\",\"enum\":[");
    bool is_first = true;
    /* Errors of files are for operators and never in an answer. */
#define ERROR(name, number, http, again, binance, sentence)                                        \
    if ((number) < 800) {                                                                          \
        add_comma(out, &is_first);                                                                 \
        json_write_text(out, #name);                                                               \
    }
#include "tbl/errors.def"
#undef ERROR
    add(out, "]}}}}}");
}

static bool
has_body(const struct route *r)
{
    return r->to != TO_OWN && (r->method == HTTP1_POST || r->method == HTTP1_PUT) && r->needs_body;
}

/* Whether the record, or one that holds it, is part of the message. */
static bool
layout_holds(const struct msg_layout *l, const struct msg_layout *record)
{
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_layout *items = l->fields[i].items;
        bool is_told = (l->fields[i].flags & MSG_FLAG_HID) == 0;
        if (is_told && items != NULL && (items == record || layout_holds(items, record)))
            return true;
    }
    return false;
}

/* Whether a client ever sees the record in an answer. */
static bool
record_is_answered(const struct routes *routes, const struct msg_layout *record)
{
    const struct route *r;
    for (uint32_t i = 0; (r = route_at(routes, i)) != NULL; i++)
        if (r->to != TO_OWN && layout_holds(msg_layout(r->answer), record))
            return true;
    return false;
}

/* Whether an earlier route has written this schema already. */
static bool
is_written(const struct routes *routes, uint32_t before, const struct route *r, bool as_request)
{
    const struct route *other;
    for (uint32_t i = 0; i < before && (other = route_at(routes, i)) != NULL; i++)
        if (other->to != TO_OWN && (as_request ? has_body(other) && other->request == r->request
                                               : other->answer == r->answer))
            return true;
    return false;
}

static void
schemas_write(struct bytes *out, const struct routes *routes)
{
    const struct msg_layout *l;
    const struct route *r;
    add(out, "\"schemas\":{");
    for (uint32_t i = 0; (l = msg_record_at(i)) != NULL; i++) {
        if (!record_is_answered(routes, l))
            continue;
        answer_schema(out, l);
        add(out, ",");
    }
    answer_schema(out, msg_layout(MSG_md_ticker));
    add(out, ",");
    for (uint32_t i = 0; (r = route_at(routes, i)) != NULL; i++) {
        if (r->to == TO_OWN)
            continue;
        if (!is_written(routes, i, r, false)) {
            answer_schema(out, msg_layout(r->answer));
            add(out, ",");
        }
        if (has_body(r) && !is_written(routes, i, r, true)) {
            request_schemas(out, r);
            add(out, ",");
        }
    }
    add(out, openapi_audit_schemas);
    add(out, own_schemas);
    error_codes(out);
    add(out, "}");
}

/* ---- Paths ------------------------------------------------------------------------------- */

static void
parameter_write(struct bytes *out, const struct msg_field *f, bool in_path, bool *is_first)
{
    add_comma(out, is_first);
    add(out, "{");
    add_pair(out, "name", f->name);
    add(out, in_path ? ",\"in\":\"path\",\"required\":true," : ",\"in\":\"query\",");
    if (!in_path && (f->flags & MSG_FLAG_REQ) != 0)
        add(out, "\"required\":true,");
    add_pair(out, "description", f->sentence);
    add(out, ",\"schema\":{");
    kind_write(out, f, true);
    add(out, "}}");
}

static void
parameters_write(struct bytes *out, const struct route *r)
{
    bool is_first = true;
    add(out, ",\"parameters\":[");
    for (uint32_t i = 0; r->layout != NULL && i < r->layout->field_count; i++) {
        const struct msg_field *f = &r->layout->fields[i];
        bool in_path = route_in_path(r, f->name);
        if (in_path || route_takes_query(r, f))
            parameter_write(out, f, in_path, &is_first);
    }
    if (r->to == TO_OWN && strcmp(r->own_name, "ticker") == 0)
        add(out, "{\"name\":\"symbol\",\"in\":\"query\",\"description\":\"One symbol; all when "
                 "absent.\",\"schema\":{\"type\":\"string\"}}");
    if (r->who == WHO_AUDITOR)
        openapi_audit_parameters(r, out);
    add(out, "]");
}

static const struct own_body *
own_body_of(const struct route *r)
{
    for (size_t i = 0; i < sizeof own_bodies / sizeof own_bodies[0]; i++)
        if (r->to == TO_OWN && strcmp(own_bodies[i].handler, r->own_name) == 0)
            return &own_bodies[i];
    return NULL;
}

static void
body_write(struct bytes *out, const struct route *r)
{
    const struct own_body *own = own_body_of(r);
    bool is_own = own != NULL && own->request != NULL;
    if (!is_own && !has_body(r))
        return;
    add(out, ",\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{\"schema\":");
    add_ref(out, is_own ? own->request : r->layout->name, is_own ? "" : "_request");
    if (r->to != TO_OWN && r->request == MSG_order_place)
        add(out, order_examples);
    if (r->to != TO_OWN && r->request == MSG_list_place)
        add(out, list_examples);
    add(out, "}}}");
}

static void
responses_write_known(struct bytes *out, const char *schema)
{
    add(out,
        "\"200\":{\"description\":\"It was there already: the same client order id and body.\","
        "\"content\":{\"application/json\":{\"schema\":");
    add_ref(out, schema, "");
    add(out, "}}},");
}

static void
responses_write(struct bytes *out, const struct route *r)
{
    const struct own_body *own = own_body_of(r);
    const char *schema = own != NULL       ? own->answer
                         : r->to == TO_OWN ? NULL
                                           : msg_layout(r->answer)->name;
    bool is_sign_up = r->to == TO_OWN && strcmp(r->own_name, "register") == 0;
    char status[8];
    snprintf(status, sizeof status, "%d", is_sign_up ? 201 : r->status);
    add(out, ",\"responses\":{");
    if (r->status == 201)
        responses_write_known(out, schema);
    add_name(out, status);
    add(out, "{\"description\":\"Done.\"");
    if (schema != NULL) {
        bool is_json = own == NULL || own->content_type == NULL;
        add(out, ",\"content\":{");
        add_name(out, is_json ? "application/json" : own->content_type);
        add(out, "{\"schema\":");
        add_ref(out, schema, "");
        add(out, "}}");
    }
    add(out, "}");
    if (r->who != WHO_PUBLIC)
        add(out, ",\"401\":{\"$ref\":\"#/components/responses/error\"}");
    if (r->who == WHO_AUDITOR || r->who == WHO_ADMIN)
        add(out, ",\"403\":{\"$ref\":\"#/components/responses/error\"}");
    if (r->mutates)
        add(out, ",\"504\":{\"$ref\":\"#/components/responses/error\"}");
    add(out, ",\"default\":{\"$ref\":\"#/components/responses/error\"}}");
}

static void
operation_write(struct bytes *out, const struct route *r)
{
    char method[8] = "", tag[32] = "", id[64];
    for (size_t i = 0; r->method_name[i] != 0 && i + 1 < sizeof method; i++)
        method[i] = (char)(r->method_name[i] | 0x20);
    /* A path of one word, such as /api/docs, makes no chapter of its own. */
    if (r->part_count > 2 && r->parts[1].length < sizeof tag)
        memcpy(tag, r->parts[1].text, r->parts[1].length);
    /* One message may serve two paths. */
    bool by_client_id = strstr(r->path, "by-client-id") != NULL;
    snprintf(id, sizeof id, "%s%s", r->to == TO_OWN ? r->own_name : r->layout->name,
             by_client_id ? "_by_client_id" : "");
    add_name(out, method);
    add(out, "{");
    add_pair(out, "operationId", id);
    add(out, ",");
    add_pair(out, "summary", r->sentence);
    add(out, ",\"tags\":[");
    json_write_text(out, tag[0] == 0 ? "general" : tag);
    add(out, r->who != WHO_PUBLIC ? "],\"security\":[{\"bearer\":[]}]" : "],\"security\":[]");
    parameters_write(out, r);
    body_write(out, r);
    responses_write(out, r);
    add(out, "}");
}

static bool
path_is_written(const struct routes *routes, uint32_t before, const char *path)
{
    for (uint32_t i = 0; i < before; i++)
        if (strcmp(route_at(routes, i)->path, path) == 0)
            return true;
    return false;
}

static void
paths_write(struct bytes *out, const struct routes *routes)
{
    const struct route *r, *other;
    bool is_first = true;
    add(out, "\"paths\":{");
    for (uint32_t i = 0; (r = route_at(routes, i)) != NULL; i++) {
        if (path_is_written(routes, i, r->path))
            continue;
        bool is_first_method = true;
        add_comma(out, &is_first);
        add_name(out, r->path);
        add(out, "{");
        for (uint32_t j = i; (other = route_at(routes, j)) != NULL; j++)
            if (strcmp(other->path, r->path) == 0) {
                add_comma(out, &is_first_method);
                operation_write(out, other);
            }
        add(out, "}");
    }
    add(out, "}");
}

void
openapi_write(const struct routes *routes, struct bytes *out)
{
    bytes_clear(out);
    add(out, "{\"openapi\":\"3.0.3\",\"info\":{\"title\":\"Scrip\",\"version\":\"0.1.0\","
             "\"description\":\"A paper-trading exchange. Amounts are strings with 8 decimals; in "
             "requests also numbers, read exactly. Times are microseconds UTC. Live events: "
             "WebSocket /ws, see docs/api.md.\"},\"servers\":[{\"url\":\"/\"}],");
    paths_write(out, routes);
    add(out, ",\"components\":{\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":"
             "\"bearer\",\"bearerFormat\":\"JWT\"}},"
             "\"responses\":{\"error\":{\"description\":\"What went wrong, in one shape; "
             "Retry-After and retry_after_seconds when it is worth trying again.\",\"content\":{"
             "\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/error\"}}}}},");
    schemas_write(out, routes);
    add(out, "}}");
}
