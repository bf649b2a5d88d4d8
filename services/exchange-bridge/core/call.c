/*
 * call.c - see call.h: tables of what each kind of order may have, and the bytes of a query.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/call.h"

#include <string.h>

#define CLIENT_ID_HEAD   "scrip-"
#define DEPLOYMENT_CHARS 6u
#define ORDER_ID_MAX     ((UINT64_C(1) << 53) - 1)
#define GTD_STEP_MS      1000 /* the exchange leaves out what is below a second */

#define CALL(name_, market_, method_, path_, weight_, units_, security_, class__, priority_)       \
    [CALL_##name_] = {.name = #name_,                                                              \
                      .market = TRADING_TYPE_##market_,                                            \
                      .method = method_,                                                           \
                      .path = path_,                                                               \
                      .weight = weight_,                                                           \
                      .units = units_,                                                             \
                      .security = CALL_##security_,                                                \
                      .class_ = CALL_##class__,                                                    \
                      .priority = CALL_##priority_},
static const struct call_facts FACTS[CALL_COUNT] = {
#include "exchange-bridge/core/calls.def"
};
#undef CALL

const struct call_facts *
call_facts(enum call_name name)
{
    CHECK(name > CALL_NONE && name < CALL_COUNT);
    return &FACTS[name];
}

/* ---- Client ids --------------------------------------------------------------------------- */

static size_t
digits_write(uint64_t value, char out[20])
{
    char reversed[20];
    size_t length = 0;
    do {
        reversed[length++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < length; i++)
        out[i] = reversed[length - 1 - i];
    return length;
}

cid_t
call_client_id(const char *deployment, uint64_t order_id)
{
    cid_t id = {CLIENT_ID_HEAD};
    size_t at = strlen(CLIENT_ID_HEAD);
    CHECK(strlen(deployment) == DEPLOYMENT_CHARS && order_id != 0 && order_id <= ORDER_ID_MAX);
    memcpy(id.text + at, deployment, DEPLOYMENT_CHARS);
    at += DEPLOYMENT_CHARS;
    id.text[at++] = '-';
    at += digits_write(order_id, id.text + at);
    CHECK(at <= CID_CHARS_MAX);
    return id;
}

/* Reads the number and writes it anew: what is not the very same was not made here. */
bool
call_order_id(const char *deployment, const cid_t *id, uint64_t *order_id)
{
    size_t at = strlen(CLIENT_ID_HEAD) + DEPLOYMENT_CHARS + 1;
    size_t length = strnlen(id->text, CID_BYTES);
    uint64_t value = 0;
    if (strlen(deployment) != DEPLOYMENT_CHARS || length <= at || length - at > 16)
        return false;
    for (; at < length; at++) {
        if (id->text[at] < '0' || id->text[at] > '9')
            return false;
        value = value * 10 + (uint64_t)(id->text[at] - '0');
    }
    if (value == 0 || value > ORDER_ID_MAX)
        return false;
    cid_t same = call_client_id(deployment, value);
    if (!cid_same(&same, id))
        return false;
    *order_id = value;
    return true;
}

bool
call_is_order(const cid_t *id, uint64_t order_id)
{
    char deployment[DEPLOYMENT_CHARS + 1] = "";
    uint64_t named;
    if (strnlen(id->text, CID_BYTES) <= strlen(CLIENT_ID_HEAD) + DEPLOYMENT_CHARS)
        return false;
    memcpy(deployment, id->text + strlen(CLIENT_ID_HEAD), DEPLOYMENT_CHARS);
    return call_order_id(deployment, id, &named) && named == order_id;
}

/* ---- What the exchange has ---------------------------------------------------------------- */

/* Types and times in force as sets of bits. */
#define BIT(value)  (1u << (value))
#define MAKES(name) BIT(ORDER_TYPE_##name)
#define LASTS(name) BIT(TIME_IN_FORCE_##name)

#define MAKES_STOP      (MAKES(STOP_LOSS) | MAKES(TAKE_PROFIT))
#define MAKES_STOPLIMIT (MAKES(STOP_LOSS_LIMIT) | MAKES(TAKE_PROFIT_LIMIT))
#define MAKES_ARMED     (MAKES_STOP | MAKES_STOPLIMIT | MAKES(TRAILING_STOP))
#define MAKES_PRICED    (MAKES(LIMIT) | MAKES(LIMIT_MAKER) | MAKES_STOPLIMIT)
#define MAKES_LASTING   (MAKES(LIMIT) | MAKES_STOPLIMIT) /* a time in force is sent */
#define MAKES_ON_USDM   (MAKES(MARKET) | MAKES(LIMIT) | MAKES(LIMIT_MAKER))
#define MAKES_ON_SPOT   (MAKES_ON_USDM | MAKES_ARMED)

static unsigned
bit_of(int value)
{
    return value > 0 && value < 31 ? 1u << value : 0;
}

static enum err
unsupported(code_t *field, const char *name)
{
    *field = code_of(name);
    return ERR_REAL_UNSUPPORTED;
}

/* The times in force of a type; none is the type's own. */
static unsigned
lasting_of(const struct order *o, bool spot)
{
    if (o->type == ORDER_TYPE_MARKET)
        return LASTS(NONE) | LASTS(GTC) | LASTS(IOC);
    if ((bit_of((int)o->type) & MAKES_LASTING) == 0)
        return LASTS(NONE) | LASTS(GTC);
    unsigned all = LASTS(NONE) | LASTS(GTC) | LASTS(IOC) | LASTS(FOK);
    return spot ? all : all | LASTS(GTD);
}

static enum err
judge_amounts(const struct order *o, bool spot, code_t *field)
{
    unsigned type = bit_of((int)o->type);
    bool by_quote = spot && o->type == ORDER_TYPE_MARKET && o->quote_order_quantity.v > 0;
    if (o->quantity.v < 0 || (o->quantity.v == 0) != by_quote)
        return unsupported(field, "quantity");
    if (o->quote_order_quantity.v != 0 && !by_quote)
        return unsupported(field, "quote_order_quantity");
    if (o->price.v < 0 || (o->price.v != 0) != ((type & MAKES_PRICED) != 0))
        return unsupported(field, "price");
    bool is_armed = (type & MAKES_ARMED) != 0;
    bool trails = o->trailing_delta != 0;
    if (trails ? !is_armed : o->type == ORDER_TYPE_TRAILING_STOP)
        return unsupported(field, "trailing_delta");
    if (o->stop_price.v < 0 || (!is_armed && o->stop_price.v != 0) ||
        (is_armed && o->stop_price.v == 0 && !trails))
        return unsupported(field, "stop_price");
    bool rests = o->time_in_force == TIME_IN_FORCE_NONE || o->time_in_force == TIME_IN_FORCE_GTC;
    if (o->iceberg_quantity.v != 0 &&
        (!spot || (type & MAKES_PRICED) == 0 || !rests || o->iceberg_quantity.v < 0))
        return unsupported(field, "iceberg_quantity");
    return OK;
}

enum err
call_judge_order(const struct order *o, enum trading_type market, code_t *field)
{
    bool spot = market == TRADING_TYPE_spot;
    if (!spot && market != TRADING_TYPE_futures)
        return unsupported(field, "trading_type");
    if (o->side != SIDE_BUY && o->side != SIDE_SELL)
        return unsupported(field, "side");
    if ((bit_of((int)o->type) & (spot ? MAKES_ON_SPOT : MAKES_ON_USDM)) == 0)
        return unsupported(field, "type");
    if ((int)o->time_in_force < 0 || (int)o->time_in_force > 30 ||
        (BIT(o->time_in_force) & lasting_of(o, spot)) == 0)
        return unsupported(field, "time_in_force");
    if ((o->expire_us > 0) != (o->time_in_force == TIME_IN_FORCE_GTD))
        return unsupported(field, "expire_us");
    if (o->trigger_source != TRIGGER_SOURCE_NONE && o->trigger_source != TRIGGER_SOURCE_LAST)
        return unsupported(field, "trigger_source");
    if (o->self_trade_prevention != SELF_TRADE_PREVENTION_NONE &&
        o->self_trade_prevention != SELF_TRADE_PREVENTION_EXPIRE_TAKER &&
        o->self_trade_prevention != SELF_TRADE_PREVENTION_EXPIRE_MAKER &&
        o->self_trade_prevention != SELF_TRADE_PREVENTION_EXPIRE_BOTH)
        return unsupported(field, "self_trade_prevention");
    if (o->list_id != 0 || o->waits_for != 0)
        return unsupported(field, "list_id");
    if (o->reduce_only && spot)
        return unsupported(field, "reduce_only");
    return judge_amounts(o, spot, field);
}

/* ---- Bytes -------------------------------------------------------------------------------- */

struct writer {
    char *out;
    size_t length;
};

static void
put(struct writer *w, char c)
{
    CHECK(w->length + 1 < CALL_QUERY_BYTES);
    w->out[w->length++] = c;
}

/* Percent-encoded, but for what RFC 3986 leaves as it is. */
static void
put_encoded(struct writer *w, const char *text, size_t length)
{
    static const char HEX[] = "0123456789ABCDEF";
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            put(w, (char)c);
            continue;
        }
        put(w, '%');
        put(w, HEX[c >> 4]);
        put(w, HEX[c & 15]);
    }
}

static void
put_text(struct writer *w, const char *name, const char *value)
{
    if (w->length > 0)
        put(w, '&');
    put_encoded(w, name, strlen(name));
    put(w, '=');
    put_encoded(w, value, strlen(value));
}

static void
put_number(struct writer *w, const char *name, uint64_t value)
{
    char text[21] = "";
    digits_write(value, text);
    put_text(w, name, text);
}

/* The rest are left out where they are absent. */
static void
put_text_if(struct writer *w, const char *name, const char *value)
{
    if (value[0] != '\0')
        put_text(w, name, value);
}

static void
put_number_if(struct writer *w, const char *name, uint64_t value)
{
    if (value != 0)
        put_number(w, name, value);
}

static void
put_decimal_if(struct writer *w, const char *name, int64_t value)
{
    char text[DECIMAL_BYTES];
    if (value == 0)
        return;
    decimal_write_short(value, text);
    put_text(w, name, text);
}

static void
put_side(struct writer *w, const struct call *c, const char *type)
{
    put_text(w, "symbol", c->symbol.text);
    put_text(w, "side", msg_enum_name(MSG_ENUM_side, c->wish.side));
    put_text(w, "type", type);
}

static const char *
in_force_of(const struct order *o)
{
    return o->time_in_force == TIME_IN_FORCE_NONE
               ? "GTC"
               : msg_enum_name(MSG_ENUM_time_in_force, o->time_in_force);
}

/* An absent mode is the account's own default. */
static void
put_self_trade_prevention(struct writer *w, const struct order *o)
{
    if (o->self_trade_prevention != SELF_TRADE_PREVENTION_NONE)
        put_text(w, "selfTradePreventionMode",
                 msg_enum_name(MSG_ENUM_self_trade_prevention, o->self_trade_prevention));
}

/* Spot has no TRAILING_STOP of its own: it is a STOP_LOSS that trails. */
static void
write_spot_place(struct writer *w, const struct call *c)
{
    const struct order *o = &c->wish;
    bool trails = o->type == ORDER_TYPE_TRAILING_STOP;
    put_side(w, c, trails ? "STOP_LOSS" : msg_enum_name(MSG_ENUM_order_type, o->type));
    if ((bit_of((int)o->type) & MAKES_LASTING) != 0)
        put_text(w, "timeInForce", in_force_of(o));
    put_decimal_if(w, "quantity", o->quantity.v);
    put_decimal_if(w, "quoteOrderQty", o->quote_order_quantity.v);
    put_decimal_if(w, "price", o->price.v);
    put_text(w, "newClientOrderId", c->client_id.text);
    put_decimal_if(w, "stopPrice", o->stop_price.v);
    put_number_if(w, "trailingDelta", o->trailing_delta);
    put_decimal_if(w, "icebergQty", o->iceberg_quantity.v);
    put_text(w, "newOrderRespType", "FULL");
    put_self_trade_prevention(w, o);
}

/* Futures have no LIMIT_MAKER: it is a LIMIT with the time in force GTX. */
static void
write_usdm_place(struct writer *w, const struct call *c)
{
    const struct order *o = &c->wish;
    bool market = o->type == ORDER_TYPE_MARKET;
    put_side(w, c, market ? "MARKET" : "LIMIT");
    if (!market)
        put_text(w, "timeInForce", o->type == ORDER_TYPE_LIMIT_MAKER ? "GTX" : in_force_of(o));
    if (o->reduce_only)
        put_text(w, "reduceOnly", "true");
    put_decimal_if(w, "quantity", o->quantity.v);
    put_decimal_if(w, "price", o->price.v);
    put_text(w, "newClientOrderId", c->client_id.text);
    put_text(w, "newOrderRespType", "RESULT");
    put_self_trade_prevention(w, o);
    if (o->time_in_force == TIME_IN_FORCE_GTD)
        put_number(w, "goodTillDate", (uint64_t)(o->expire_us / 1000 / GTD_STEP_MS * GTD_STEP_MS));
}

static void
write_order(struct writer *w, const struct call *c)
{
    put_text(w, "symbol", c->symbol.text);
    if (c->exchange_order_id != 0)
        put_number(w, "orderId", c->exchange_order_id);
    else
        put_text(w, "origClientOrderId", c->client_id.text);
}

static void
write_trades(struct writer *w, const struct call *c)
{
    put_text(w, "symbol", c->symbol.text);
    put_number(w, "orderId", c->exchange_order_id);
    put_number_if(w, "fromId", c->from_id);
    put_number_if(w, "limit", c->limit);
}

size_t
call_write(const struct call *c, char out[CALL_QUERY_BYTES])
{
    struct writer w = {out, 0};
    CHECK(c->name > CALL_NONE && c->name < CALL_COUNT);
    switch (c->name) {
    case CALL_SPOT_ORDER_PLACE:
        write_spot_place(&w, c);
        break;
    case CALL_USDM_ORDER_PLACE:
        write_usdm_place(&w, c);
        break;
    case CALL_SPOT_ORDER_GET:
    case CALL_SPOT_ORDER_CANCEL:
    case CALL_USDM_ORDER_GET:
    case CALL_USDM_ORDER_CANCEL:
        write_order(&w, c);
        break;
    case CALL_SPOT_ORDER_TRADES:
    case CALL_USDM_ORDER_TRADES:
        write_trades(&w, c);
        break;
    case CALL_SPOT_SYMBOL_OPEN_ORDERS:
    case CALL_USDM_SYMBOL_OPEN_ORDERS:
    case CALL_USDM_BRACKETS:
        put_text_if(&w, "symbol", c->symbol.text);
        break;
    case CALL_SPOT_EXCHANGE_INFO: /* who may trade a symbol is half of the answer */
        put_text(&w, "showPermissionSets", "false");
        break;
    case CALL_SPOT_ACCOUNT:
        put_text(&w, "omitZeroBalances", "true");
        break;
    case CALL_NONE:
    case CALL_COUNT:
    case CALL_SPOT_TIME:
    case CALL_SPOT_KEY_RIGHTS:
    case CALL_SPOT_OPEN_ORDERS:
    case CALL_USDM_TIME:
    case CALL_USDM_EXCHANGE_INFO:
    case CALL_USDM_ACCOUNT:
    case CALL_USDM_OPEN_ORDERS:
    case CALL_USDM_LISTEN_KEY_CREATE:
    case CALL_USDM_LISTEN_KEY_RENEW:
        break;
    }
    out[w.length] = '\0';
    return w.length;
}
