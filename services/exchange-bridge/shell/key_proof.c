/*
 * key_proof.c - see key_proof.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/key_proof.h"

#include <inttypes.h>
#include <stdlib.h>

#include "exchange-bridge/core/reply.h"
#include "host/log.h"

#define ROOMS              4096u /* balances, positions of the account */
#define RIGHTS_PATIENCE_MS 3000

struct key_proof {
    struct shell *s;
    struct exchange_key view;
    uint64_t number;
    const struct sign_key *trial; /* borrowed */
    struct caller_reply account;  /* its answer, without the body */
    key_proved *done;
    void *arg;
};

static void
end(struct key_proof *p)
{
    struct exchange_key *view = &p->view;
    bool works = p->account.ruling.verdict == VERDICT_OK;
    if (works && view->can_withdraw)
        view->warning = text_of("withdrawals are enabled: use a key that cannot withdraw");
    else if (works && !view->can_trade)
        view->warning = text_of("trading is not enabled: real orders will be refused");
    p->done(p->arg, &p->account, view);
    pending_free(p);
}

static bool
ask(struct key_proof *p, enum call_name name, int64_t patience_ms, caller_done *done)
{
    struct call c = {.name = name};
    struct caller_request q = {.environment = p->view.environment,
                               .call = &c,
                               .key = p->number,
                               .trial = p->trial,
                               .patience_ms = patience_ms,
                               .done = done,
                               .arg = p};
    return caller_send(p->s->caller, &q) != 0;
}

/* ---- The key's own rights ---- */

static void
on_rights(void *arg, const struct caller_reply *r)
{
    struct key_proof *p = arg;
    struct reply_rights rights;
    bool is_spot = p->view.trading_type == TRADING_TYPE_spot;
    if (r->ruling.verdict == VERDICT_OK && reply_rights(r->body, r->length, &rights)) {
        p->view.can_withdraw = rights.can_withdraw;
        p->view.can_trade &= is_spot ? rights.can_trade_spot : rights.can_trade_futures;
    } else {
        log_line(LOG_WARN, "key_rights_not_read", "key=%" PRIu64 " error=%s code=%" PRId64,
                 p->number, err_name(r->ruling.error), r->code);
    }
    end(p);
}

/* ---- The account ---- */

/* False when the answer cannot be read. */
static bool
account_note(struct key_proof *p, const struct caller_reply *r)
{
    struct reply_account account = {.balances_max = ROOMS, .positions_max = ROOMS};
    account.balances = malloc(ROOMS * sizeof *account.balances);
    account.positions = malloc(ROOMS * sizeof *account.positions);
    CHECK(account.balances != NULL && account.positions != NULL);
    bool is_read = reply_account(p->view.trading_type, r->body, r->length, &account);
    free(account.balances);
    free(account.positions);
    p->view.can_trade = account.can_trade;
    p->view.can_withdraw = account.can_withdraw;
    return is_read;
}

static void
on_account(void *arg, const struct caller_reply *r)
{
    struct key_proof *p = arg;
    struct exchange_key *view = &p->view;
    struct exchange_key was = *view;
    p->account = *r;
    p->account.body = "";
    p->account.length = 0;
    if (r->ruling.verdict != VERDICT_OK && r->ruling.verdict != VERDICT_KEY) {
        end(p);
        return;
    }
    view->checked_us = loop_now_us(p->s->loop);
    view->is_valid = r->ruling.verdict == VERDICT_OK;
    view->can_trade = view->can_withdraw = false;
    view->warning = (text_t){0};
    if (!view->is_valid) {
        view->warning = text_of("the exchange refuses this key: %.80s", r->message.text);
    } else if (!account_note(p, r)) {
        *view = was;
        p->account.ruling = (struct ruling){VERDICT_AGAIN, ERR_EXCHANGE_FAILED};
        p->account.message = text_of("its account cannot be read");
    } else if (view->environment == ENVIRONMENT_live &&
               ask(p, CALL_SPOT_KEY_RIGHTS, RIGHTS_PATIENCE_MS, on_rights)) {
        return;
    }
    end(p);
}

bool
key_prove(struct shell *s, const struct exchange_key *view, uint64_t number,
          const struct sign_key *trial, key_proved *done, void *arg)
{
    struct key_proof *p = pending_new(&s->pending, sizeof *p);
    *p = (struct key_proof){
        .s = s, .view = *view, .number = number, .trial = trial, .done = done, .arg = arg};
    bool is_spot = view->trading_type == TRADING_TYPE_spot;
    bool is_asked = ask(p, is_spot ? CALL_SPOT_ACCOUNT : CALL_USDM_ACCOUNT, 0, on_account);
    if (!is_asked)
        pending_free(p);
    return is_asked;
}
