/*
 * sync.c - see sync.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/sync.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/log.h"

#define CASH         "USDT"
#define BALANCES_MAX 4096u

struct sync {
    struct shell *s;
    struct sync_wish wish;
    enum environment environment;
    int64_t read_us;
    sync_done *done;
    void *arg;
};

static void
count(enum err e)
{
    char labels[64];
    snprintf(labels, sizeof labels, "result=\"%s\"", err_name(e));
    metric_add(metric_counter("scrip_bridge_syncs_total", labels,
                              "Paper balances set to the exchange's, by what came of it."),
               1);
}

static void
end(struct sync *y, const struct bridge_balance *balance, const struct refused *why)
{
    enum err e = why == NULL ? OK : why->error;
    count(e);
    log_line(e == OK ? LOG_INFO : LOG_WARN, "balance_synced",
             "account=%" PRIu64 " market=%d result=%s", y->wish.account_id,
             (int)y->wish.trading_type, err_name(e));
    y->done(y->arg, balance, why);
    pending_free(y);
}

static void
refuse(struct sync *y, enum err e, text_t detail)
{
    end(y, NULL, &(struct refused){.error = e, .detail = detail});
}

static void
on_ledger(void *arg, const struct msg *m)
{
    struct sync *y = arg;
    if (m == NULL) {
        refuse(y, ERR_OUTCOME_UNKNOWN, text_of("the ledger has not answered"));
        return;
    }
    if (m->type != MSG_balance_view) {
        struct refused why = {.error = ERR_INTERNAL};
        end(y, NULL, m->type == MSG_refused ? &m->refused : &why);
        return;
    }
    bool is_spot = y->wish.trading_type == TRADING_TYPE_spot;
    struct bridge_balance b = {.account_id = y->wish.account_id,
                               .trading_type = y->wish.trading_type,
                               .paper_balance_usdt = m->balance_view.paper_balance_usdt,
                               .dry_run_mode = m->balance_view.dry_run_mode,
                               .synced_from = is_spot ? SYNCED_FROM_binance_spot_account
                                                      : SYNCED_FROM_binance_futures_account,
                               .environment = y->environment,
                               .synced_us = y->read_us};
    end(y, &b, NULL);
}

/* Zero stands for "absent" in a message, and is below any minimum. */
static void
set_balance(struct sync *y, money_t total)
{
    struct shell *s = y->s;
    struct balance_set cmd = {.account_id = y->wish.account_id,
                              .trading_type = y->wish.trading_type,
                              .balance = total,
                              .source = y->wish.source,
                              .changed_by = y->wish.user_id,
                              .command_id = y->wish.command_id};
    if (total.v <= 0) {
        char text[DECIMAL_BYTES];
        decimal_write_short(total.v, text);
        refuse(y, ERR_SYNC_BELOW_MINIMUM, text_of("the exchange has %s " CASH, text));
    } else if (!ledger_link_ask(s->ledgers, cmd.account_id, MSG_balance_set,
                                ledger_link_corr(s->ledgers), &cmd, s->config->ledger_ask_ms,
                                on_ledger, y)) {
        refuse(y, ERR_EXCHANGE_BUSY, (text_t){0});
    }
}

static money_t
cash_of(const struct reply_account *a)
{
    money_t total = {0};
    for (uint32_t i = 0; i < a->balances_count; i++)
        if (code_same(a->balances[i].asset, code_of(CASH)))
            total = money_add(a->balances[i].free, a->balances[i].locked);
    return total;
}

static void
on_account(void *arg, const struct caller_reply *r)
{
    struct sync *y = arg;
    y->read_us = loop_now_us(y->s->loop);
    if (r->ruling.verdict != VERDICT_OK) {
        struct refused why = shell_refusal(r);
        end(y, NULL, &why);
        return;
    }
    struct reply_account account = {.balances_max = BALANCES_MAX, .positions_max = BALANCES_MAX};
    account.balances = malloc(BALANCES_MAX * sizeof *account.balances);
    account.positions = malloc(BALANCES_MAX * sizeof *account.positions);
    CHECK(account.balances != NULL && account.positions != NULL);
    bool is_read = reply_account(y->wish.trading_type, r->body, r->length, &account);
    money_t cash = is_read ? cash_of(&account) : (money_t){0};
    free(account.balances);
    free(account.positions);
    if (is_read)
        set_balance(y, cash);
    else
        refuse(y, ERR_EXCHANGE_FAILED, text_of("its account cannot be read"));
}

void
sync_begin(struct shell *s, const struct sync_wish *w, sync_done *done, void *arg)
{
    struct key_view key;
    struct sync *y = pending_new(&s->pending, sizeof *y);
    *y = (struct sync){.s = s, .wish = *w, .done = done, .arg = arg};
    if (!keys_ready(s->keys)) {
        refuse(y, ERR_KEYS_UNAVAILABLE, (text_t){0});
        return;
    }
    if (!shell_reading_key(s, w->user_id, w->trading_type, &key)) {
        refuse(y, ERR_CREDENTIALS_MISSING, (text_t){0});
        return;
    }
    y->environment = key.is_for.environment;
    bool is_spot = w->trading_type == TRADING_TYPE_spot;
    struct call c = {.name = is_spot ? CALL_SPOT_ACCOUNT : CALL_USDM_ACCOUNT};
    struct caller_request q = {
        .environment = y->environment, .call = &c, .key = key.number, .done = on_account, .arg = y};
    if (caller_send(s->caller, &q) == 0)
        refuse(y, ERR_EXCHANGE_BUSY, (text_t){0});
}
