/*
 * bridge_orders.c - `scripctl bridge unresolved` and `bridge settle`: real orders of which nobody
 * knows what became, asked of the ledgers, and settled by an operator who has found out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "host/shards.h"
#include "ledger/core/ledger.h"
#include "scripctl/command.h"
#include "scripctl/question.h"
#include "scripctl/value.h"

#define ENDPOINTS_MAX  64
#define ENDPOINT_BYTES 256
#define PAGES_MAX      100000 /* of one ledger: a cursor that never ends is a fault */

/* The ledgers that are named, each once. */
struct ledgers {
    char endpoints[ENDPOINTS_MAX][ENDPOINT_BYTES];
    uint32_t count;
    uint32_t of_shard[LEDGER_SHARDS]; /* + 1; 0 = nobody's */
};

/* ---- Which ledger ------------------------------------------------------------------------------
 */

static uint32_t
ledger_take(struct ledgers *l, const char *endpoint)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (strcmp(l->endpoints[i], endpoint) == 0)
            return i;
    if (l->count == ENDPOINTS_MAX)
        return 0;
    snprintf(l->endpoints[l->count], ENDPOINT_BYTES, "%s", endpoint);
    return l->count++;
}

static bool
take_part(void *arg, unsigned from, unsigned to, const char *endpoint)
{
    struct ledgers *l = arg;
    uint32_t at = ledger_take(l, endpoint);
    for (unsigned i = from; i <= to; i++)
        l->of_shard[i] = at + 1;
    return true;
}

static enum status
read_ledgers(const struct call *c, struct ledgers *l)
{
    const char *text = c->o.ledger;
    memset(l, 0, sizeof *l);
    if (text == NULL || text[0] == '\0')
        return refuse(c, STATUS_USAGE, "NO_ENDPOINT",
                      "--ledger or SCRIPCTL_LEDGER says where ledgers answer, such as "
                      "tcp://127.0.0.1:7201 or 0-31=ENDPOINT,32-63=ENDPOINT");
    if (strchr(text, '=') == NULL && strlen(text) < ENDPOINT_BYTES)
        (void)take_part(l, 0, LEDGER_SHARDS - 1, text);
    else if (!shards_read(text, l, take_part))
        return refuse(c, STATUS_USAGE, "ENDPOINT_INVALID",
                      "'%.100s' is not like 0-31=ENDPOINT,32-63=ENDPOINT", text);
    return STATUS_OK;
}

static enum status
say_refused(const struct call *c, const struct refused *r)
{
    bool has_detail = r->detail.text[0] != '\0';
    return refuse(c, STATUS_NO, err_name(r->error), "%s%s%s", err_sentence(r->error),
                  has_detail ? ": " : "", r->detail.text);
}

/* NULL when there is no answer but a refusal: `status` says so. */
static const struct msg *
ask(const struct call *c, struct question *q, const struct msg *m, enum status *status)
{
    char why[WHY_BYTES] = "";
    const struct msg *answer = question_ask(q, m, why);
    if (answer == NULL)
        *status = refuse(c, STATUS_FAILED, "LEDGER_UNREACHABLE", "%s", why);
    else if (answer->type == MSG_refused)
        *status = say_refused(c, &answer->refused);
    else
        return answer;
    return NULL;
}

static struct question *
open_question(const struct call *c, const char *endpoint, enum status *status)
{
    char why[WHY_BYTES] = "";
    struct question *q = question_open(endpoint, why);
    if (q == NULL)
        *status = refuse(c, STATUS_FAILED, "LEDGER_UNREACHABLE", "%s", why);
    return q;
}

/* ---- What is unresolved ------------------------------------------------------------------------
 */

static void
put_heading(const struct call *c)
{
    out_table(c->out, "order> account> environment state symbol side type quantity> price> "
                      "executed> created send_by client_order_id");
}

static void
put_order(const struct call *c, const struct order *o)
{
    out_uint(c->out, o->order_id);
    out_uint(c->out, o->account_id);
    out_text(c->out, msg_enum_name(MSG_ENUM_environment, o->environment));
    out_text(c->out, msg_enum_name(MSG_ENUM_exchange_state, o->exchange_state));
    out_text(c->out, o->symbol.text);
    out_text(c->out, msg_enum_name(MSG_ENUM_side, o->side));
    out_text(c->out, msg_enum_name(MSG_ENUM_order_type, o->type));
    out_amount(c->out, o->quantity.v);
    out_amount(c->out, o->price.v);
    out_amount(c->out, o->executed_quantity.v);
    out_time(c->out, o->created_us);
    out_time(c->out, o->send_by_us);
    out_text(c->out, o->client_order_id.text);
    out_row_end(c->out);
}

/* All that one ledger has, page by page. */
static enum status
list_ledger(const struct call *c, const char *endpoint, uint64_t *count)
{
    enum status status = STATUS_OK;
    struct question *q = open_question(c, endpoint, &status);
    struct msg m = {.type = MSG_unresolved_list};
    for (uint32_t page = 0; q != NULL && status == STATUS_OK && page < PAGES_MAX; page++) {
        const struct msg *answer = ask(c, q, &m, &status);
        if (answer == NULL || answer->type != MSG_order_page)
            break;
        for (uint32_t i = 0; i < answer->order_page.orders_count; i++, (*count)++)
            put_order(c, &answer->order_page.orders[i]);
        m.unresolved_list.cursor = answer->order_page.next_cursor;
        if (m.unresolved_list.cursor == 0)
            break;
    }
    question_close(&q);
    return status;
}

enum status
bridge_unresolved(const struct call *c)
{
    struct ledgers ledgers;
    uint64_t count = 0;
    enum status status = read_ledgers(c, &ledgers);
    if (status != STATUS_OK)
        return status;
    put_heading(c);
    for (uint32_t i = 0; i < ledgers.count && status == STATUS_OK; i++)
        status = list_ledger(c, ledgers.endpoints[i], &count);
    if (status == STATUS_OK)
        out_say(c->out, count == 0 ? "No order is unresolved."
                                   : "What became of these orders is not known.");
    return status == STATUS_OK && count > 0 ? STATUS_NO : status;
}

/* ---- Settling ----------------------------------------------------------------------------------
 */

static enum status
read_settle(const struct call *c, struct order_settle *out)
{
    int64_t id;
    if (!value_int(c->words[0], 1, INT64_MAX, &id))
        return refuse(c, STATUS_USAGE, "USAGE", "'%.40s' is no order id", c->words[0]);
    if (c->o.ask == c->o.not_placed)
        return refuse(c, STATUS_USAGE, "USAGE", "say either --ask or --not-placed");
    if (c->o.who == NULL || c->o.why == NULL || c->o.why[0] == '\0')
        return refuse(c, STATUS_USAGE, "USAGE",
                      "--who NAME and --why TEXT: who settles the order, and what that rests on");
    out->order_id = (uint64_t)id;
    out->settlement = c->o.ask ? SETTLEMENT_ASK_AGAIN : SETTLEMENT_NOT_PLACED;
    if (c->o.who[0] == '\0' || code_from(c->o.who, strlen(c->o.who), &out->changed_by) != OK)
        return refuse(c, STATUS_USAGE, "USAGE", "'%.40s' is no name of at most %d characters",
                      c->o.who, CODE_BYTES - 1);
    if (strlen(c->o.why) >= sizeof out->reason.text)
        return refuse(c, STATUS_USAGE, "USAGE", "--why takes %zu characters at most",
                      sizeof out->reason.text - 1);
    out->reason = text_of("%s", c->o.why);
    return STATUS_OK;
}

static enum status
settle(const struct call *c, const char *endpoint, const struct msg *m)
{
    enum status status = STATUS_OK;
    struct question *q = open_question(c, endpoint, &status);
    const struct msg *answer = q == NULL ? NULL : ask(c, q, m, &status);
    if (answer != NULL && answer->type == MSG_order_view) {
        put_heading(c);
        put_order(c, &answer->order_view.order);
        out_say(c->out, c->o.ask ? "The exchange is asked again."
                                 : "It counts as never placed; the journal says who said so.");
    } else if (answer != NULL) {
        status = refuse(c, STATUS_FAILED, "LEDGER_UNREACHABLE", "it answered something else: %s",
                        msg_layout(answer->type)->name);
    }
    question_close(&q);
    return status;
}

enum status
bridge_settle(const struct call *c)
{
    struct ledgers ledgers;
    struct msg m = {.type = MSG_order_settle};
    enum status status = read_settle(c, &m.order_settle);
    if (status == STATUS_OK)
        status = read_ledgers(c, &ledgers);
    if (status != STATUS_OK)
        return status;
    uint32_t shard = ledger_shard_of_id(m.order_settle.order_id);
    if (ledgers.of_shard[shard] == 0)
        return refuse(c, STATUS_USAGE, "ENDPOINT_INVALID", "no ledger is named for shard %u",
                      shard);
    return settle(c, ledgers.endpoints[ledgers.of_shard[shard] - 1], &m);
}
