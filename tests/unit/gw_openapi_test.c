/*
 * gw_openapi_test.c - the description is JSON, has every route, and refers to nothing missing;
 * and how routes are found and filled in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "gateway/core/gateway.h"
#include "gateway/shell/openapi.h"
#include "gateway/shell/route.h"
#include "wire/json.h"

static struct json_object *
member(struct json_object *o, const char *name)
{
    struct json_object *value = NULL;
    cr_assert(json_object_object_get_ex(o, name, &value), "no %s", name);
    return value;
}

static void
refs_check(struct json_object *o, struct json_object *components)
{
    if (json_object_is_type(o, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(o); i++)
            refs_check(json_object_array_get_idx(o, i), components);
    } else if (json_object_is_type(o, json_type_object)) {
        json_object_object_foreach(o, key, value)
        {
            refs_check(value, components);
            if (strcmp(key, "$ref") != 0)
                continue;
            char kind[32] = "", name[64] = "";
            const char *ref = json_object_get_string(value);
            cr_assert_eq(sscanf(ref, "#/components/%31[^/]/%63s", kind, name), 2, "%s", ref);
            member(member(components, kind), name);
        }
    }
}

/* What `o` refers to, once for each place. */
static uint32_t
refs_count(struct json_object *o, const char *wanted)
{
    uint32_t count = 0;
    if (json_object_is_type(o, json_type_array))
        for (size_t i = 0; i < json_object_array_length(o); i++)
            count += refs_count(json_object_array_get_idx(o, i), wanted);
    if (!json_object_is_type(o, json_type_object))
        return count;
    json_object_object_foreach(o, key, value)
    {
        if (strcmp(key, "$ref") == 0)
            count += strcmp(json_object_get_string(value), wanted) == 0;
        else
            count += refs_count(value, wanted);
    }
    return count;
}

static struct json_object *
api_make(void)
{
    struct routes *routes = routes_new();
    struct bytes text = {0};
    openapi_write(routes, &text);
    struct json_object *api = json_parse((const char *)text.data, text.length, 32);
    cr_assert_not_null(api, "it parses, without a repeated key");
    bytes_free(&text);
    routes_destroy(&routes);
    return api;
}

Test(openapi, no_schema_stands_there_unused)
{
    struct json_object *api = api_make();
    json_object_object_foreach(member(member(api, "components"), "schemas"), name, schema)
    {
        char ref[96];
        (void)schema;
        snprintf(ref, sizeof ref, "#/components/schemas/%s", name);
        cr_assert_gt(refs_count(api, ref), 0, "%s", name);
    }
    json_object_put(api);
}

Test(openapi, every_answer_says_of_what_type_it_is)
{
    struct json_object *api = api_make();
    json_object_object_foreach(member(api, "paths"), path, operations)
    {
        json_object_object_foreach(operations, method, operation)
        {
            json_object_object_foreach(member(operation, "responses"), status, answer)
            {
                bool is_error = json_object_object_get_ex(answer, "$ref", NULL);
                cr_assert(is_error || json_object_object_get_ex(answer, "content", NULL),
                          "%s %s %s", method, path, status);
            }
        }
    }
    struct json_object *page = member(member(member(api, "paths"), "/api/docs"), "get");
    member(member(member(member(page, "responses"), "200"), "content"), "text/html; charset=utf-8");
    struct json_object *chapter = json_object_array_get_idx(member(page, "tags"), 0);
    cr_assert_str_eq(json_object_get_string(chapter), "general");
    json_object_put(api);
}

Test(openapi, every_route_is_in_it_and_no_reference_dangles)
{
    struct routes *routes = routes_new();
    struct json_object *api = api_make();
    struct json_object *paths = member(api, "paths");
    const struct route *r;
    uint32_t count = 0;
    for (uint32_t i = 0; (r = route_at(routes, i)) != NULL; i++, count++) {
        char method[8] = "";
        for (size_t c = 0; r->method_name[c] != 0; c++)
            method[c] = (char)(r->method_name[c] | 0x20);
        struct json_object *operation = member(member(paths, r->path), method);
        cr_assert_eq(json_object_array_length(member(operation, "security")),
                     r->who != WHO_PUBLIC ? 1 : 0);
        member(member(operation, "responses"), "default");
    }
    cr_assert_gt(count, 25);
    refs_check(api, member(api, "components"));
    struct json_object *place =
        member(member(member(paths, "/api/paper-trading/orders"), "post"), "requestBody");
    struct json_object *json = member(member(place, "content"), "application/json");
    cr_assert_eq(json_object_object_length(member(json, "examples")), 3);
    struct json_object *fields = member(
        member(member(member(api, "components"), "schemas"), "order_place_request"), "properties");
    cr_assert_not(json_object_object_get_ex(fields, "account_id", NULL), "from the token only");
    cr_assert_not(json_object_object_get_ex(fields, "hold", NULL));
    json_object_put(api);
    routes_destroy(&routes);
}

static bool
names(struct json_object *list, const char *wanted)
{
    bool found = false;
    for (size_t i = 0; i < json_object_array_length(list); i++)
        found |= strcmp(json_object_get_string(json_object_array_get_idx(list, i)), wanted) == 0;
    return found;
}

Test(openapi, lists_of_orders_are_told_as_they_are_read)
{
    struct json_object *api = api_make();
    struct json_object *schemas = member(member(api, "components"), "schemas");
    struct json_object *orders =
        member(member(member(schemas, "list_place_request"), "properties"), "orders");
    cr_assert_eq(json_object_get_int(member(orders, "maxItems")), 3);
    cr_assert_str_eq(json_object_get_string(member(member(orders, "items"), "$ref")),
                     "#/components/schemas/order_wish_request");
    cr_assert(names(member(member(schemas, "list_place_request"), "required"), "orders"));
    struct json_object *order = member(schemas, "order_wish_request");
    cr_assert(names(member(order, "required"), "side"));
    cr_assert_not(names(member(order, "required"), "symbol"), "the list's will do");
    cr_assert_not(json_object_object_get_ex(member(order, "properties"), "hold", NULL));
    struct json_object *amend = member(member(schemas, "order_amend_request"), "properties");
    cr_assert_eq(json_object_object_length(amend), 1, "the path names the order");
    member(amend, "quantity");
    cr_assert_not(json_object_object_get_ex(schemas, "order_basket", NULL));
    json_object_put(api);
}

static const struct route *
find(const struct routes *routes, enum http1_method method, const char *path, enum err *e)
{
    const struct route *r = NULL;
    char allow[32];
    *e = route_find(routes, method, (struct http1_text){path, strlen(path)}, &r, allow,
                    sizeof allow);
    return r;
}

Test(route, words_stand_before_names)
{
    struct routes *routes = routes_new();
    enum err e;
    cr_assert_eq(find(routes, HTTP1_GET, "/api/paper-trading/orders/open", &e)->request,
                 MSG_order_open_list);
    cr_assert_eq(find(routes, HTTP1_GET, "/api/paper-trading/orders/17", &e)->request,
                 MSG_order_get);
    cr_assert_eq(find(routes, HTTP1_HEAD, "/api/paper-trading/orders/", &e)->request,
                 MSG_order_list);
    cr_assert_eq(find(routes, HTTP1_GET, "/api/paper-trading/orders/17/why", &e)->request,
                 MSG_order_why);
    cr_assert_eq(find(routes, HTTP1_GET, "/api/paper-trading/orders/by-client-id/why", &e)->request,
                 MSG_order_get);
    cr_assert_eq(find(routes, HTTP1_POST, "/api/paper-trading/orders/replace", &e)->request,
                 MSG_order_replace);
    cr_assert_not_null(find(routes, HTTP1_GET, "/", &e));
    static const char *const unknown[] = {"/api", "//", "/api//openapi.json", "/api/orders",
                                          "/api/paper-trading/orders/1/2/3/4/5/6/7/8"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        find(routes, HTTP1_GET, unknown[i], &e);
        cr_assert_eq(e, ERR_ROUTE_UNKNOWN, "%s", unknown[i]);
    }
    const struct route *r;
    char allow[32];
    static const char path[] = "/api/paper-trading/orders";
    cr_assert_eq(route_find(routes, HTTP1_PATCH, (struct http1_text){path, sizeof path - 1}, &r,
                            allow, sizeof allow),
                 ERR_METHOD_NOT_ALLOWED);
    cr_assert_str_eq(allow, "POST, GET, DELETE");
    routes_destroy(&routes);
}

struct bind_case {
    enum http1_method method;
    const char *path, *query, *body;
    enum err wanted;
    const char *field;
};

static const struct bind_case bind_cases[] = {
    {HTTP1_GET, "/api/settings/paper-balance/spot", "", "", OK, ""},
    {HTTP1_GET, "/api/settings/paper-balance/margin", "", "", ERR_TRADING_TYPE_INVALID, ""},
    {HTTP1_PUT, "/api/settings/paper-balance/spot", "", "{\"balance\": 5000.50}", OK, ""},
    {HTTP1_PUT, "/api/settings/paper-balance/spot", "", "{\"balance\": 0}",
     ERR_BALANCE_OUT_OF_RANGE, "balance"},
    {HTTP1_PUT, "/api/settings/paper-balance/spot", "", "{}", ERR_FIELD_MISSING, "balance"},
    {HTTP1_PUT, "/api/settings/paper-balance/spot", "", "", ERR_BODY_NOT_JSON, ""},
    {HTTP1_PUT, "/api/settings/paper-balance/spot", "", "{\"balance\":1e4}", ERR_NUMBER_SYNTAX,
     "balance"},
    {HTTP1_PUT, "/api/settings/paper-balance/spot", "",
     "{\"balance\":50,\"trading_type\":\"spot\"}", OK, ""},
    {HTTP1_PUT, "/api/settings/paper-balance/spot", "",
     "{\"balance\":50,\"trading_type\":\"futures\"}", ERR_FIELDS_CLASH, "trading_type"},
    {HTTP1_PUT, "/api/settings/trading/futures", "", "{\"leverage\":2,\"trading_type\":\"spot\"}",
     ERR_FIELDS_CLASH, "trading_type"},
    {HTTP1_POST, "/api/settings/sync-paper-balance/spot", "", "", OK, ""},
    {HTTP1_POST, "/api/settings/sync-paper-balance/spot", "", "{\"trading_type\":\"futures\"}",
     ERR_FIELDS_CLASH, "trading_type"},
    {HTTP1_GET, "/api/paper-trading/orders", "limit=5&symbol=BTCUSDT", "", OK, ""},
    {HTTP1_GET, "/api/paper-trading/orders", "limit=5&limit=6", "", ERR_FIELD_REPEATED, "limit"},
    {HTTP1_GET, "/api/paper-trading/orders", "limit=-1", "", ERR_NUMBER_SYNTAX, "limit"},
    {HTTP1_GET, "/api/paper-trading/orders", "limit=0", "", ERR_NUMBER_NOT_POSITIVE, "limit"},
    {HTTP1_PUT, "/api/settings/trading/spot", "", "{\"latency_us\":0}", OK, ""},
    {HTTP1_PUT, "/api/settings/trading/spot", "", "{\"leverage\":0}", ERR_NUMBER_NOT_POSITIVE,
     "leverage"},
    {HTTP1_PUT, "/api/settings/trading/spot", "leverage=2", "{\"leverage\":1}", ERR_FIELD_UNKNOWN,
     "leverage"},
    {HTTP1_DELETE, "/api/paper-trading/orders/7", "client_order_id=a", "", ERR_FIELD_UNKNOWN,
     "client_order_id"},
    {HTTP1_DELETE, "/api/paper-trading/orders/by-client-id/a", "order_id=7", "", ERR_FIELD_UNKNOWN,
     "order_id"},
    {HTTP1_GET, "/api/paper-trading/trades", "order_id=7", "", OK, ""},
    {HTTP1_GET, "/api/paper-trading/orders", "account_id=1", "", ERR_FIELD_UNKNOWN, "account_id"},
    {HTTP1_GET, "/api/paper-trading/orders", "colour=1", "", ERR_FIELD_UNKNOWN, "colour"},
    {HTTP1_GET, "/api/paper-trading/orders", "status=MAYBE", "", ERR_CHOICE_UNKNOWN, "status"},
    {HTTP1_GET, "/api/paper-trading/orders/abc", "", "", ERR_NUMBER_SYNTAX, "order_id"},
    {HTTP1_GET, "/api/paper-trading/orders/9", "order_id=10", "", ERR_FIELD_UNKNOWN, "order_id"},
    {HTTP1_PUT, "/api/paper-trading/orders/7", "", "{\"quantity\":1}", OK, ""},
    {HTTP1_PUT, "/api/paper-trading/orders/7", "", "{\"quantity\":1,\"order_id\":7}", OK, ""},
    {HTTP1_PUT, "/api/paper-trading/orders/7", "", "{\"quantity\":1,\"order_id\":8}",
     ERR_FIELDS_CLASH, "order_id"},
    {HTTP1_PUT, "/api/paper-trading/orders/7", "", "{\"quantity\":1,\"client_order_id\":\"a\"}",
     ERR_FIELD_UNKNOWN, "client_order_id"},
    {HTTP1_PUT, "/api/paper-trading/orders/by-client-id/a", "", "{\"quantity\":1,\"order_id\":7}",
     ERR_FIELD_UNKNOWN, "order_id"},
    {HTTP1_PUT, "/api/paper-trading/orders/by-client-id/a", "",
     "{\"quantity\":1,\"client_order_id\":\"b\"}", ERR_FIELDS_CLASH, "client_order_id"},
    {HTTP1_PUT, "/api/paper-trading/orders/7", "", "{}", ERR_FIELD_MISSING, "quantity"},
    {HTTP1_PUT, "/api/paper-trading/orders/7", "quantity=1", "{\"quantity\":1}", ERR_FIELD_UNKNOWN,
     "quantity"},
    {HTTP1_POST, "/api/paper-trading/orders/replace", "",
     "{\"cancel_client_order_id\":\"a\",\"mode\":\"ALLOW_FAILURE\",\"symbol\":\"A\","
     "\"side\":\"BUY\",\"type\":\"MARKET\",\"quantity\":1}",
     OK, ""},
    {HTTP1_POST, "/api/paper-trading/order-lists", "",
     "{\"contingency\":\"OCO\",\"symbol\":\"A\",\"orders\":[{\"side\":\"BUY\",\"type\":"
     "\"STOP_LOSS\"},{\"side\":\"BUY\",\"type\":\"LIMIT_MAKER\"}]}",
     OK, ""},
    {HTTP1_POST, "/api/paper-trading/order-lists", "",
     "{\"contingency\":\"OCO\",\"symbol\":\"A\",\"orders\":[{\"side\":\"BUY\"}]}",
     ERR_FIELD_MISSING, "orders[0].type"},
    {HTTP1_POST, "/api/paper-trading/order-lists", "", "{\"contingency\":\"OCO\"}",
     ERR_FIELD_MISSING, "symbol"},
    {HTTP1_GET, "/api/paper-trading/order-lists", "orders=1", "", ERR_FIELD_UNKNOWN, "orders"},
    {HTTP1_GET, "/api/paper-trading/orders/7/why", "", "", OK, ""},
    {HTTP1_GET, "/api/market/klines", "symbol=BTCUSDT", "", ERR_FIELD_MISSING, "interval"},
    {HTTP1_GET, "/api/market/depth", "symbol=%zz", "", ERR_FIELD_TYPE, "symbol"},
    {HTTP1_PUT, "/api/market/symbols/ETHUSDT", "", "", OK, ""},
    {HTTP1_PUT, "/api/market/symbols/ETHUSDT", "source=1", "", OK, ""},
    {HTTP1_PUT, "/api/market/symbols/ETHUSDT", "", "{\"source\":1}", OK, ""},
    {HTTP1_DELETE, "/api/market/symbols/ETHUSDT", "source=1", "", ERR_FIELD_UNKNOWN, "source"},
    {HTTP1_PUT, "/api/market/playback", "", "{}", ERR_FIELD_MISSING, "action"},
    {HTTP1_PUT, "/api/market/playback", "", "{\"action\":\"SPEED\",\"speed\":2}", OK, ""},
};

Test(route, a_request_becomes_a_message_or_a_precise_refusal)
{
    static uint8_t room[8192] __attribute__((aligned(16)));
    struct arena lists;
    struct routes *routes = routes_new();
    arena_init(&lists, room, sizeof room);
    for (size_t i = 0; i < sizeof bind_cases / sizeof bind_cases[0]; i++) {
        const struct bind_case *c = &bind_cases[i];
        struct msg m;
        code_t field;
        enum err e;
        struct http1_head head = {.method = c->method,
                                  .path = {c->path, strlen(c->path)},
                                  .query = {c->query, strlen(c->query)}};
        struct http_request h = {.head = &head, .body = c->body, .body_length = strlen(c->body)};
        const struct route *r = find(routes, c->method, c->path, &e);
        cr_assert_not_null(r, "%s", c->path);
        arena_reset(&lists);
        e = route_read(r, &h, &lists, &m.frame, &field);
        cr_assert_eq(e, c->wanted, "%s?%s %s: %s", c->path, c->query, c->body, err_name(e));
        cr_assert(c->field[0] == 0 || strcmp(field.text, c->field) == 0, "%s %s: %s", c->path,
                  c->query, field.text);
    }
    routes_destroy(&routes);
}

Test(route, orders_of_a_list_get_its_symbol)
{
    static const char body[] =
        "{\"contingency\":\"OTO\",\"symbol\":\"BTCUSDT\",\"orders\":[{\"side\":\"BUY\","
        "\"type\":\"LIMIT\"},{\"side\":\"SELL\",\"type\":\"MARKET\",\"symbol\":\"ETHUSDT\"}]}";
    static const char path[] = "/api/paper-trading/order-lists";
    static uint8_t room[8192] __attribute__((aligned(16)));
    struct arena lists;
    struct routes *routes = routes_new();
    struct msg m;
    code_t field;
    enum err e;
    struct http1_head head = {.method = HTTP1_POST, .path = {path, sizeof path - 1}};
    struct http_request h = {.head = &head, .body = body, .body_length = sizeof body - 1};
    arena_init(&lists, room, sizeof room);
    const struct route *r = find(routes, HTTP1_POST, path, &e);
    cr_assert_eq(route_read(r, &h, &lists, &m.frame, &field), OK);
    cr_assert_eq(m.list_place.orders_count, 2);
    cr_assert_str_eq(m.list_place.orders[0].symbol.text, "BTCUSDT");
    cr_assert_str_eq(m.list_place.orders[1].symbol.text, "ETHUSDT", "the ledger's to refuse");
    routes_destroy(&routes);
}

/* The longest that the gateway can say still fits its place among the requests in flight. */
Test(route, the_largest_list_fits_a_request_in_flight)
{
    struct order_wish orders[3];
    struct list_place list = {.account_id = UINT64_MAX >> 11, .contingency = CONTINGENCY_OTOCO};
    list.symbol = code_of("ABCDEFGHIJKLMNOPQRSTUVW");
    memset(orders, 0, sizeof orders);
    for (size_t i = 0; i < 3; i++) {
        struct order_wish *o = &orders[i];
        memset(o->client_order_id.text, 'x', CID_CHARS_MAX);
        o->symbol = list.symbol;
        o->side = SIDE_SELL;
        o->type = ORDER_TYPE_TRAILING_STOP;
        o->time_in_force = TIME_IN_FORCE_GTD;
        o->trigger_source = TRIGGER_SOURCE_MARK;
        o->self_trade_prevention = SELF_TRADE_PREVENTION_DECREMENT;
        o->fill_model = FILL_MODEL_queue;
        o->id_was_made = true;
        o->trailing_delta = UINT32_MAX;
        o->expire_us = INT64_MAX;
        o->quantity.v = o->quote_order_quantity.v = o->price.v = o->stop_price.v = INT64_MAX;
        o->iceberg_quantity.v = o->callback_rate.v = o->activation_price.v = INT64_MAX;
    }
    list.orders = orders;
    list.orders_count = 3;
    struct bytes packed = {0};
    msg_pack_body(&packed, MSG_list_place, UINT64_MAX, &list);
    cr_assert_gt(packed.length, 512);
    cr_assert_leq(packed.length, GW_PACKED_MAX);
    bytes_free(&packed);
}
