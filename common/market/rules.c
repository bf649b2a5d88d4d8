/*
 * rules.c - exchangeInfo JSON to struct symbol_rules.
 *
 * Each filter type has a row per field: where its decimal goes. The tables hold the old and the
 * new names side by side, so that a recording of any year loads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "market/rules.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/instrument.h"
#include "wire/json.h"

#define FILE_BYTES_MAX (64u << 20)
#define DEPTH_MAX      12

struct reader {
    struct symbol_rules *r; /* being filled */
    char *why;
};

/* A decimal of a filter. The limit fields may be past int64: then there is no limit. */
struct decimal_field {
    const char *filter, *key;
    size_t offset;
    bool is_limit;
};

#define AT(member) offsetof(struct symbol_rules, member)

/* Old forms stand before the new ones: where a symbol has both, the new one wins. */
static const struct decimal_field DECIMALS[] = {
    {"PRICE_FILTER", "minPrice", AT(price_min), false},
    {"PRICE_FILTER", "maxPrice", AT(price_max), true},
    {"PRICE_FILTER", "tickSize", AT(tick_size), false},
    {"LOT_SIZE", "minQty", AT(quantity_min), false},
    {"LOT_SIZE", "maxQty", AT(quantity_max), true},
    {"LOT_SIZE", "stepSize", AT(step_size), false},
    {"MARKET_LOT_SIZE", "minQty", AT(market_quantity_min), false},
    {"MARKET_LOT_SIZE", "maxQty", AT(market_quantity_max), true},
    {"MARKET_LOT_SIZE", "stepSize", AT(market_step_size), false},
    {"MIN_NOTIONAL", "minNotional", AT(notional_min), false},
    {"MIN_NOTIONAL", "notional", AT(notional_min), false}, /* futures */
    {"NOTIONAL", "minNotional", AT(notional_min), false},
    {"NOTIONAL", "maxNotional", AT(notional_max), true},
    {"PERCENT_PRICE", "multiplierUp", AT(bid_multiplier_up), true},
    {"PERCENT_PRICE", "multiplierDown", AT(bid_multiplier_down), false},
    {"PERCENT_PRICE", "multiplierUp", AT(ask_multiplier_up), true},
    {"PERCENT_PRICE", "multiplierDown", AT(ask_multiplier_down), false},
    {"PERCENT_PRICE_BY_SIDE", "bidMultiplierUp", AT(bid_multiplier_up), true},
    {"PERCENT_PRICE_BY_SIDE", "bidMultiplierDown", AT(bid_multiplier_down), false},
    {"PERCENT_PRICE_BY_SIDE", "askMultiplierUp", AT(ask_multiplier_up), true},
    {"PERCENT_PRICE_BY_SIDE", "askMultiplierDown", AT(ask_multiplier_down), false},
    {"MAX_POSITION", "maxPosition", AT(position_max), true},
};

static const struct {
    const char *filter, *key;
    size_t offset;
} FLAGS[] = {
    {"MIN_NOTIONAL", "applyToMarket", AT(notional_min_market)},
    {"NOTIONAL", "applyMinToMarket", AT(notional_min_market)},
    {"NOTIONAL", "applyMaxToMarket", AT(notional_max_market)},
};

/* A count of a filter. Futures call the first ones "limit". */
struct count_field {
    const char *filter, *key;
    size_t offset;
};

static const struct count_field COUNTS[] = {
    {"MAX_NUM_ORDERS", "limit", AT(orders_max)},
    {"MAX_NUM_ORDERS", "maxNumOrders", AT(orders_max)},
    {"MAX_NUM_ALGO_ORDERS", "limit", AT(algo_orders_max)},
    {"MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders", AT(algo_orders_max)},
    {"MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders", AT(iceberg_orders_max)},
    {"MAX_NUM_ORDER_LISTS", "maxNumOrderLists", AT(order_lists_max)},
    {"MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends", AT(order_amends_max)},
    {"ICEBERG_PARTS", "limit", AT(iceberg_parts_max)},
    {"TRAILING_DELTA", "minTrailingAboveDelta", AT(trailing_above_min)},
    {"TRAILING_DELTA", "maxTrailingAboveDelta", AT(trailing_above_max)},
    {"TRAILING_DELTA", "minTrailingBelowDelta", AT(trailing_below_min)},
    {"TRAILING_DELTA", "maxTrailingBelowDelta", AT(trailing_below_max)},
    /* Of the exchange, not of a symbol: every symbol has them. */
    {"EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders", AT(all_orders_max)},
    {"EXCHANGE_MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders", AT(all_algo_orders_max)},
    {"EXCHANGE_MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders", AT(all_iceberg_orders_max)},
    {"EXCHANGE_MAX_NUM_ORDER_LISTS", "maxNumOrderLists", AT(all_order_lists_max)},
};

#undef AT

static enum err
refuse(char *why, const char *symbol, const char *what, const char *detail)
{
    snprintf(why, RULES_WHY_BYTES, "%.40s%s%.80s%s%.80s", symbol, *symbol ? ": " : "", what,
             *detail ? ": " : "", detail);
    return ERR_LINE_INVALID;
}

static const char *
text_in(struct json_object *object, const char *key)
{
    struct json_object *value;
    if (!json_object_object_get_ex(object, key, &value))
        return NULL;
    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

static enum err
read_decimal(struct reader *in, struct json_object *filter, const struct decimal_field *f)
{
    struct json_object *value;
    if (!json_object_object_get_ex(filter, f->key, &value))
        return OK;

    int64_t v = 0;
    enum err e = json_decimal(value, &v);
    if (e == ERR_NUMBER_RANGE && f->is_limit)
        v = 0;
    else if (e != OK || v < 0)
        return refuse(in->why, in->r->symbol.text, f->filter, f->key);
    /* The amounts are one-field structs over int64 (money.h); memcpy keeps the access legal. */
    memcpy((char *)in->r + f->offset, &v, sizeof(v));
    return OK;
}

/* {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200} */
static enum err
read_count(struct reader *in, struct json_object *filter, const struct count_field *f)
{
    struct json_object *value;
    if (!json_object_object_get_ex(filter, f->key, &value))
        return OK;
    int64_t v = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : -1;
    if (v < 0 || v > INT32_MAX)
        return refuse(in->why, in->r->symbol.text, f->filter, "not a count");
    const uint32_t count = (uint32_t)v;
    memcpy((char *)in->r + f->offset, &count, sizeof(count));
    return OK;
}

static enum err
read_filter(struct reader *in, struct json_object *filter)
{
    const char *type = text_in(filter, "filterType");
    if (type == NULL)
        return refuse(in->why, in->r->symbol.text, "a filter has no filterType", "");
    for (size_t i = 0; i < sizeof(FLAGS) / sizeof(FLAGS[0]); i++) {
        struct json_object *value;
        if (strcmp(type, FLAGS[i].filter) == 0 &&
            json_object_object_get_ex(filter, FLAGS[i].key, &value))
            *(bool *)((char *)in->r + FLAGS[i].offset) = json_object_get_boolean(value);
    }
    for (size_t i = 0; i < sizeof(DECIMALS) / sizeof(DECIMALS[0]); i++) {
        if (strcmp(type, DECIMALS[i].filter) != 0)
            continue;
        enum err e = read_decimal(in, filter, &DECIMALS[i]);
        if (e != OK)
            return e;
    }
    for (size_t i = 0; i < sizeof(COUNTS) / sizeof(COUNTS[0]); i++) {
        if (strcmp(type, COUNTS[i].filter) != 0)
            continue;
        enum err e = read_count(in, filter, &COUNTS[i]);
        if (e != OK)
            return e;
    }
    /* The futures' MIN_NOTIONAL has no flag: it binds every order. */
    if (strcmp(type, "MIN_NOTIONAL") == 0 && text_in(filter, "notional") != NULL)
        in->r->notional_min_market = true;
    return OK;
}

static bool
read_code(struct json_object *symbol, const char *key, code_t *out)
{
    const char *text = text_in(symbol, key);
    return text != NULL && *text != '\0' && code_from(text, strlen(text), out) == OK;
}

static enum err
read_filters(struct reader *in, struct json_object *filters)
{
    size_t count = json_object_array_length(filters);
    for (size_t i = 0; i < count; i++) {
        struct json_object *filter = json_object_array_get_idx(filters, i);
        if (!json_object_is_type(filter, json_type_object))
            return refuse(in->why, in->r->symbol.text, "a filter is not an object", "");
        enum err e = read_filter(in, filter);
        if (e != OK)
            return e;
    }
    return OK;
}

/* A contract has a "contractType", empty once it is over. A perpetual one has the name of its spot
 * symbol at the exchange, and one of its own here; the others have their date behind a "_". */
static bool
read_contract(struct reader *in, struct json_object *symbol)
{
    if (text_in(symbol, "contractType") == NULL)
        return true;
    in->r->trading_type = TRADING_TYPE_futures;
    return instrument_from_exchange(TRADING_TYPE_futures, in->r->symbol, &in->r->symbol);
}

/* `of_all` are the filters of the exchange; NULL = none. A symbol that cannot have a name here is
 * left without one. */
static enum err
read_symbol(struct reader *in, struct json_object *symbol, struct json_object *of_all)
{
    *in->r = (struct symbol_rules){0};
    if (!json_object_is_type(symbol, json_type_object) ||
        !read_code(symbol, "symbol", &in->r->symbol))
        return refuse(in->why, "", "an entry of \"symbols\" has no usable name", "");
    const char *name = in->r->symbol.text;
    if (!read_code(symbol, "baseAsset", &in->r->base_asset) ||
        !read_code(symbol, "quoteAsset", &in->r->quote_asset))
        return refuse(in->why, name, "baseAsset or quoteAsset is missing or too long", "");

    if (!read_contract(in, symbol)) {
        in->r->symbol = (code_t){""};
        return OK;
    }
    const char *status = text_in(symbol, "status");
    in->r->is_trading = status != NULL && strcmp(status, "TRADING") == 0;

    struct json_object *filters;
    if (!json_object_object_get_ex(symbol, "filters", &filters) ||
        !json_object_is_type(filters, json_type_array))
        return refuse(in->why, name, "there is no list \"filters\"", "");
    enum err e = of_all == NULL ? OK : read_filters(in, of_all);
    return e == OK ? read_filters(in, filters) : e;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct symbol_rules *)a)->symbol.text,
                  ((const struct symbol_rules *)b)->symbol.text);
}

static enum err
read_symbols(struct json_object *root, struct symbol_rules *out, uint32_t max, uint32_t *count,
             char *why)
{
    struct json_object *symbols;
    if (!json_object_is_type(root, json_type_object) ||
        !json_object_object_get_ex(root, "symbols", &symbols) ||
        !json_object_is_type(symbols, json_type_array))
        return refuse(why, "", "there is no list \"symbols\"", "");

    size_t length = json_object_array_length(symbols);
    if (length == 0 || length > max) {
        snprintf(why, RULES_WHY_BYTES, "%zu symbols; it must be 1 to %u", length, max);
        return ERR_LINE_INVALID;
    }
    struct json_object *of_all;
    if (!json_object_object_get_ex(root, "exchangeFilters", &of_all) ||
        !json_object_is_type(of_all, json_type_array))
        of_all = NULL;
    uint32_t named = 0;
    for (size_t i = 0; i < length; i++) {
        struct reader in = {.r = &out[named], .why = why};
        enum err e = read_symbol(&in, json_object_array_get_idx(symbols, i), of_all);
        if (e != OK)
            return e;
        named += !code_empty(out[named].symbol);
    }
    qsort(out, named, sizeof(out[0]), by_name);
    for (uint32_t i = 1; i < named; i++) {
        if (code_same(out[i - 1].symbol, out[i].symbol))
            return refuse(why, out[i].symbol.text, "is there twice", "");
    }
    *count = named;
    return OK;
}

enum err
rules_read(const char *json, size_t length, struct symbol_rules *out, uint32_t max, uint32_t *count,
           char why[RULES_WHY_BYTES])
{
    *count = 0;
    why[0] = '\0';
    struct json_object *root = json_parse(json, length, DEPTH_MAX);
    if (root == NULL)
        return refuse(why, "", "it is not one JSON object", "");
    enum err e = read_symbols(root, out, max, count, why);
    json_object_put(root);
    return e;
}

/* The whole file, NUL-terminated; NULL when it cannot be read. */
static char *
file_text(const char *path, size_t *length)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return NULL;
    char *text = NULL;
    long size = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    if (size >= 0 && size <= (long)FILE_BYTES_MAX && fseek(f, 0, SEEK_SET) == 0) {
        text = malloc((size_t)size + 1);
        CHECK(text != NULL);
        *length = fread(text, 1, (size_t)size, f);
        text[*length] = '\0';
        if (ferror(f) || *length != (size_t)size) {
            free(text);
            text = NULL;
        }
    }
    fclose(f);
    return text;
}

enum err
rules_load(const char *path, struct symbol_rules *out, uint32_t max, uint32_t *count,
           char why[RULES_WHY_BYTES])
{
    size_t length = 0;
    *count = 0;
    char *text = file_text(path, &length);
    if (text == NULL) {
        snprintf(why, RULES_WHY_BYTES, "cannot read %.200s", path);
        return ERR_FILE_UNREADABLE;
    }
    enum err e = rules_read(text, length, out, max, count, why);
    free(text);
    return e;
}

const struct symbol_rules *
rules_find(const struct symbol_rules *rules, uint32_t count, code_t symbol)
{
    struct symbol_rules key = {.symbol = symbol};
    return bsearch(&key, rules, count, sizeof(key), by_name);
}

bool
rules_put(struct symbol_rules *rules, uint32_t max, uint32_t *count, const struct symbol_rules *one)
{
    uint32_t low = 0, high = *count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (by_name(&rules[middle], one) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < *count && code_same(rules[low].symbol, one->symbol)) {
        bool is_same = memcmp(&rules[low], one, sizeof(*one)) == 0;
        rules[low] = *one;
        return !is_same;
    }
    if (*count == max)
        return false;
    memmove(&rules[low + 1], &rules[low], (*count - low) * sizeof(*rules));
    rules[low] = *one;
    ++*count;
    return true;
}
