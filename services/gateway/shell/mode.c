/*
 * mode.c - a change of an account's mode, which is the ledger's and the bridge's.
 *
 *   REAL:   bridge_bind (proves the key) --> settings_set --> the answer
 *             refused: settings_get; still on paper: bridge_bind, to be freed --> refused
 *
 *   PAPER:  settings_set --> bridge_bind, to be freed --> the answer
 *             no bridge, or it refuses: the answer
 *
 * The order is so that one change leaves no account REAL without being bound. Two at once may; such
 * an account sends nothing, and the next change heals it. Every step may be done again, so that a
 * client that hears of no end sends the same again. What is refused leaves nothing bound. Paper
 * needs no bridge: an account that stays bound there sends nothing, and the next change frees it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "gateway/shell/shell.h"
#include "host/log.h"
#include "wire/json.h"

struct mode_switch {
    struct settings_set wish;
    struct settings_view view; /* PAPER: the answer, once the account is freed */
    struct refused why;        /* REAL: why not */
};

void
mode_drop(struct mode_switch **m)
{
    free(*m);
    *m = NULL;
}

/* Ends with what went wrong; false when nothing did and the answer is of the wanted type. */
static bool
mode_failed(struct shell *s, struct request *r, const struct msg *m, enum err e,
            enum msg_type wanted)
{
    if (m == NULL)
        answer_error(s, r, e);
    else if (m->type == MSG_refused)
        answer_refused(s, r, &m->refused);
    else if (m->type != wanted)
        answer_error(s, r, ERR_INTERNAL);
    else
        return false;
    return true;
}

static void
mode_send(struct shell *s, struct request *r, uint32_t server, enum msg_type type, uint64_t corr,
          const void *body, request_answer *then)
{
    r->on_answer = then;
    enum err e = call_send(s, server, type, corr, request_handle(r), true, body);
    if (e != OK)
        then(s, r, NULL, e);
}

static void
bind_send(struct shell *s, struct request *r, bool is_real, request_answer *then)
{
    const struct settings_set *wish = &r->mode->wish;
    struct bridge_bind bind = {.account_id = wish->account_id,
                               .user_id = r->who.user_id,
                               .trading_type = wish->trading_type,
                               .environment = is_real ? wish->environment : ENVIRONMENT_NONE,
                               .is_real = is_real};
    uint32_t bridge = call_bridge_of(s, wish->account_id);
    if (is_real) {
        mode_send(s, r, bridge, MSG_bridge_bind, corr_new(s), &bind, then);
        return;
    }
    r->on_answer = then;
    enum err e =
        call_send_lightly(s, bridge, MSG_bridge_bind, corr_new(s), request_handle(r), &bind);
    if (e != OK)
        then(s, r, NULL, e);
}

static void
note_bound(const struct request *r, const struct msg *m, enum err e)
{
    if (m != NULL && m->type == MSG_refused)
        e = m->refused.error;
    log_corr(LOG_WARN, r->corr, "account_left_bound", "account=%llu error=%s",
             (unsigned long long)r->mode->wish.account_id, err_name(e));
}

static void
settings_send(struct shell *s, struct request *r, request_answer *then)
{
    struct settings_set *wish = &r->mode->wish;
    wish->command_id = r->corr;
    mode_send(s, r, call_ledger_of(s, wish->account_id), MSG_settings_set, r->corr, wish, then);
}

/* ---- To REAL ------------------------------------------------------------------------------- */

static void
on_taken_back(struct shell *s, struct request *r, const struct msg *m, enum err e)
{
    if (m == NULL || m->type != MSG_bridge_bound)
        note_bound(r, m, e);
    struct refused why = r->mode->why;
    answer_refused(s, r, &why);
}

/* It may have been REAL before, and then stays bound. */
static void
on_looked_at(struct shell *s, struct request *r, const struct msg *m, enum err e)
{
    bool is_paper =
        m != NULL && m->type == MSG_settings_view && m->settings_view.mode != TRADING_MODE_REAL;
    if (is_paper) {
        bind_send(s, r, false, on_taken_back);
        return;
    }
    if (m == NULL)
        note_bound(r, m, e);
    struct refused why = r->mode->why;
    answer_refused(s, r, &why);
}

static void
on_real(struct shell *s, struct request *r, const struct msg *m, enum err e)
{
    const struct settings_set *wish = &r->mode->wish;
    if (m == NULL || m->type != MSG_refused || err_again(m->refused.error)) {
        if (!mode_failed(s, r, m, e, MSG_settings_view))
            answer_body(s, r, 200, msg_layout(m->type), &m->settings_view);
        return;
    }
    r->mode->why = m->refused;
    struct settings_get get = {.account_id = wish->account_id, .trading_type = wish->trading_type};
    mode_send(s, r, call_ledger_of(s, wish->account_id), MSG_settings_get, corr_new(s), &get,
              on_looked_at);
}

static void
on_bound(struct shell *s, struct request *r, const struct msg *m, enum err e)
{
    if (mode_failed(s, r, m, e, MSG_bridge_bound))
        return;
    r->mode->wish.environment = m->bridge_bound.environment;
    r->mode->wish.api_key_tail = m->bridge_bound.api_key_tail;
    settings_send(s, r, on_real);
}

/* ---- To PAPER ------------------------------------------------------------------------------ */

/* Where there are no bridges nobody is bound. */
static void
on_freed(struct shell *s, struct request *r, const struct msg *m, enum err e)
{
    if (s->bridge_count > 0 && (m == NULL || m->type != MSG_bridge_bound))
        note_bound(r, m, e);
    struct settings_view view = r->mode->view;
    answer_body(s, r, 200, msg_layout(MSG_settings_view), &view);
}

static void
on_paper(struct shell *s, struct request *r, const struct msg *m, enum err e)
{
    if (mode_failed(s, r, m, e, MSG_settings_view))
        return;
    r->mode->view = m->settings_view;
    bind_send(s, r, false, on_freed);
}

bool
mode_begin(struct shell *s, struct request *r, const struct settings_set *wish)
{
    /* What is not confirmed changes no mode: the ledger says so, and nobody else is asked. */
    if (wish->mode == TRADING_MODE_NONE || (wish->mode == TRADING_MODE_REAL && !wish->confirm_real))
        return false;
    r->mode = calloc(1, sizeof *r->mode);
    CHECK(r->mode != NULL);
    r->mode->wish = *wish;
    if (wish->mode == TRADING_MODE_REAL)
        bind_send(s, r, true, on_bound);
    else
        settings_send(s, r, on_paper);
    return true;
}
