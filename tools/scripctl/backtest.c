/*
 * backtest.c - the command: its options, its summary.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "scripctl/backtest_run.h"
#include "scripctl/command.h"
#include "scripctl/value.h"

#define RULES_FILE  "config/symbols.json"
#define SOURCES_MAX 8192

/* ---- Options --------------------------------------------------------------------------------- */

static bool
starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The options' markets as one line of sources. */
static bool
sources_of(const struct call *c, char out[SOURCES_MAX])
{
    const struct options *o = &c->o;
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < o->market_count; i++) {
        const char *market = o->market[i];
        bool is_source = starts(market, "synthetic:") || starts(market, "playback:");
        if (strchr(market, ';') != NULL || (!is_source && strchr(market, ':') != NULL)) {
            refuse(c, STATUS_USAGE, "OPTION_INVALID",
                   "--market: \"%s\" has a character that a file's name may not have here", market);
            return false;
        }
        int length = snprintf(out + at, SOURCES_MAX - at, "%s%s%s", i == 0 ? "" : ";",
                              is_source ? "" : "playback:", market);
        if (length < 0 || (size_t)length >= SOURCES_MAX - at) {
            refuse(c, STATUS_USAGE, "OPTION_INVALID", "--market: too many, or too long");
            return false;
        }
        at += (size_t)length;
    }
    return true;
}

static bool
read_duration(const struct call *c, const char *name, const char *text, int64_t least_us,
              int64_t *out)
{
    if (text == NULL)
        return true;
    if (actions_duration(text, out) && *out >= least_us)
        return true;
    refuse(c, STATUS_USAGE, "OPTION_INVALID", "--%s: \"%s\" is no time such as 30s, 1m, 2h", name,
           text);
    return false;
}

static bool
read_amount(const struct call *c, const char *name, const char *text, int64_t *out)
{
    if (text == NULL || (decimal_read(text, strlen(text), out) == OK && *out >= 0))
        return true;
    refuse(c, STATUS_USAGE, "OPTION_INVALID", "--%s: \"%s\" is no amount", name, text);
    return false;
}

static bool
read_fees(const struct call *c, const char *text, struct ledger_tier *tier)
{
    if (text == NULL)
        return true;
    size_t maker = strcspn(text, ":");
    if (text[maker] == ':' && decimal_read(text, maker, &tier->maker_fee_rate.v) == OK &&
        decimal_read(text + maker + 1, strlen(text + maker + 1), &tier->taker_fee_rate.v) == OK &&
        tier->maker_fee_rate.v >= 0 && tier->maker_fee_rate.v < DECIMAL_ONE &&
        tier->taker_fee_rate.v >= 0 && tier->taker_fee_rate.v < DECIMAL_ONE)
        return true;
    refuse(c, STATUS_USAGE, "OPTION_INVALID",
           "--fees: \"%s\" is no pair of rates such as 0.0002:0.0004, maker and taker", text);
    return false;
}

static bool
read_preset(const struct call *c, const char *text, struct ledger_policy *p)
{
    p->fill_preset = FILL_PRESET_realistic;
    if (text != NULL)
        p->fill_preset = (enum fill_preset)msg_enum_by_name(MSG_ENUM_fill_preset, text);
    if (p->fill_preset != FILL_PRESET_NONE && p->fill_preset != FILL_PRESET_custom)
        return true;
    refuse(c, STATUS_USAGE, "OPTION_INVALID",
           "--preset: \"%s\" is none of optimistic, realistic, harsh", text);
    return false;
}

static bool
read_value(const struct call *c, const char *text, bool *by_middle)
{
    *by_middle = text != NULL && strcmp(text, "mid") == 0;
    if (text == NULL || *by_middle || strcmp(text, "last") == 0)
        return true;
    refuse(c, STATUS_USAGE, "OPTION_INVALID", "--value: \"%s\" is neither last nor mid", text);
    return false;
}

/* A deployment's defaults, but for what was said. */
static bool
read_options(const struct call *c, struct backtest_options *out, char sources[SOURCES_MAX])
{
    const struct options *o = &c->o;
    *out = (struct backtest_options){
        .rules = o->rules == NULL ? RULES_FILE : o->rules,
        .sources = sources,
        .orders = o->orders,
        .folder = o->out,
        .seed = (uint64_t)o->seed,
        .every_us = 60 * INT64_C(1000000),
        .is_quiet = o->quiet,
        .policy = {.spot_opening = {10000 * DECIMAL_ONE},
                   .slippage_max = {DECIMAL_ONE / 20},
                   .orders_per_account_max = LEDGER_OPEN_MAX,
                   .tiers_count = 1,
                   .tiers = {{.maker_fee_rate = {DECIMAL_ONE / 1000},
                              .taker_fee_rate = {DECIMAL_ONE / 1000},
                              .balance_max = {INT64_MAX / 16}}}},
    };
    if (o->market_count == 0 || o->orders == NULL) {
        refuse(c, STATUS_USAGE, "OPTION_INVALID", "backtest needs --market and --orders");
        return false;
    }
    return sources_of(c, sources) && read_duration(c, "every", o->every, 1000000, &out->every_us) &&
           read_duration(c, "length", o->length, 1, &out->length_us) &&
           read_amount(c, "balance", o->balance, &out->policy.spot_opening.v) &&
           read_fees(c, o->fees, &out->policy.tiers[0]) &&
           read_preset(c, o->preset, &out->policy) && read_value(c, o->value, &out->by_middle);
}

/* ---- The summary ----------------------------------------------------------------------------- */

enum figure_kind { FIGURE_COUNT, FIGURE_AMOUNT, FIGURE_TIME, FIGURE_TEXT, FIGURE_NUMBER };

/* One line of the summary. A FIGURE_NUMBER is JSON as it stands. */
struct figure {
    const char *name;
    enum figure_kind kind;
    int64_t value;
    const char *text;
};

#define FIGURES_MAX 24

struct summary {
    struct figure figures[FIGURES_MAX];
    uint32_t count;
    char hash[2 * HASH_BYTES + 1], sharpe[32];
};

static void
figure(struct summary *s, const char *name, enum figure_kind kind, int64_t value, const char *text)
{
    CHECK(s->count < FIGURES_MAX);
    s->figures[s->count++] = (struct figure){name, kind, value, text};
}

static void
figure_texts(struct summary *s, const struct backtest *b)
{
    double sharpe;
    for (uint32_t i = 0; i < HASH_BYTES; i++)
        snprintf(s->hash + (size_t)2 * i, 3, "%02x", b->hash[i]);
    if (equity_sharpe(&b->equity, &sharpe))
        snprintf(s->sharpe, sizeof s->sharpe, "%.4f", sharpe);
    else
        snprintf(s->sharpe, sizeof s->sharpe, "null");
}

/* What the same input always gives. */
static void
summary_make(struct summary *s, const struct backtest *b)
{
    const struct worth *w = &b->equity.all;
    const struct result *r = &b->result;
    figure_texts(s, b);
    figure(s, "begin", FIGURE_TIME, b->begin_us, NULL);
    figure(s, "end", FIGURE_TIME, b->now_us, NULL);
    figure(s, "events", FIGURE_COUNT, (int64_t)tape_events(b->tape), NULL);
    figure(s, "lines_skipped", FIGURE_COUNT, (int64_t)tape_skipped(b->tape), NULL);
    figure(s, "accounts", FIGURE_COUNT, b->actions.accounts_count, NULL);
    figure(s, "requests", FIGURE_COUNT, r->sent, NULL);
    figure(s, "not_sent", FIGURE_COUNT, b->actions.count - r->sent, NULL);
    figure(s, "refused", FIGURE_COUNT, (int64_t)r->refused, NULL);
    figure(s, "orders", FIGURE_COUNT, r->orders_count, NULL);
    figure(s, "filled", FIGURE_COUNT, (int64_t)r->filled, NULL);
    figure(s, "open", FIGURE_COUNT, (int64_t)r->open, NULL);
    figure(s, "fills", FIGURE_COUNT, (int64_t)r->fills, NULL);
    figure(s, "maker_fills", FIGURE_COUNT, (int64_t)r->maker_fills, NULL);
    figure(s, "turnover", FIGURE_AMOUNT, r->turnover, NULL);
    figure(s, "fees", FIGURE_AMOUNT, r->fees, NULL);
    figure(s, "paid_in", FIGURE_AMOUNT, w->paid_in, NULL);
    figure(s, "equity", FIGURE_AMOUNT, w->equity, NULL);
    figure(s, "profit", FIGURE_AMOUNT, w->profit, NULL);
    figure(s, "max_drawdown", FIGURE_AMOUNT, w->worst_drawdown, NULL);
    figure(s, "max_drawdown_ratio", FIGURE_AMOUNT, w->worst_ratio, NULL);
    figure(s, "sharpe", FIGURE_NUMBER, 0, s->sharpe);
    figure(s, "unvalued", FIGURE_COUNT, (int64_t)(b->equity.unvalued + r->unvalued), NULL);
    figure(s, "records", FIGURE_COUNT, (int64_t)engine_records(b->engine), NULL);
    figure(s, "state_hash", FIGURE_TEXT, 0, s->hash);
}

static void
print_value(struct out *o, const struct figure *f)
{
    switch (f->kind) {
    case FIGURE_COUNT:
        out_int(o, f->value);
        break;
    case FIGURE_AMOUNT:
        out_amount(o, f->value);
        break;
    case FIGURE_TIME:
        out_time(o, f->value);
        break;
    case FIGURE_TEXT:
        out_text(o, f->text);
        break;
    case FIGURE_NUMBER:
        out_json(o, f->text);
        break;
    }
}

static void
print_summary(struct out *o, const struct summary *s)
{
    char columns[512] = "";
    if (!out_is_json(o)) {
        out_table(o, "figure value>");
        for (uint32_t i = 0; i < s->count; i++) {
            out_text(o, s->figures[i].name);
            print_value(o, &s->figures[i]);
            out_row_end(o);
        }
        return;
    }
    for (uint32_t i = 0, at = 0; i < s->count && at < sizeof columns; i++)
        at += (uint32_t)snprintf(columns + at, sizeof columns - at, "%s%s", i == 0 ? "" : " ",
                                 s->figures[i].name);
    out_table(o, columns);
    for (uint32_t i = 0; i < s->count; i++)
        print_value(o, &s->figures[i]);
    out_row_end(o);
}

/* Refusals by name, and how fast it went. */
static void
print_rest(struct out *o, const struct backtest *b)
{
    bool has_table = false;
    double seconds = (double)(b->took_us > 0 ? b->took_us : 1) / 1e6;
    for (uint32_t i = 0; i < RESULT_ERRORS_MAX; i++) {
        if (b->result.refusals[i] == 0)
            continue;
        if (!has_table)
            out_table(o, "refused requests>");
        has_table = true;
        out_text(o, err_name((enum err)i));
        out_uint(o, b->result.refusals[i]);
        out_row_end(o);
    }
    out_table(o, "took_ms> events_per_second> requests_per_second>");
    out_int(o, b->took_us / 1000);
    out_int(o, (int64_t)((double)tape_events(b->tape) / seconds));
    out_int(o, (int64_t)(b->result.sent / seconds));
    out_row_end(o);
}

/* The figures that never vary go to the folder too. */
static bool
write_summary(const struct backtest *b, const struct summary *s, char why[WHY_BYTES])
{
    char *text = NULL;
    size_t length = 0;
    if (b->o.folder == NULL)
        return true;
    FILE *file = open_memstream(&text, &length);
    CHECK(file != NULL);
    struct out *o = out_open(file, true);
    print_summary(o, s);
    out_close(&o);
    fclose(file);
    struct fresh fresh;
    bool is_kept = fresh_open(&fresh, b->o.folder, "summary.json", why) &&
                   fresh_write(&fresh, text, length, why) && fresh_keep(&fresh, why);
    if (!is_kept)
        fresh_drop(&fresh);
    free(text);
    return is_kept;
}

static enum status
tell(const struct call *c, const struct backtest *b, enum backtest_end end, char why[WHY_BYTES])
{
    struct summary s = {.count = 0};
    if (end == BACKTEST_DONE) {
        summary_make(&s, b);
        print_summary(c->out, &s);
        print_rest(c->out, b);
        if (write_summary(b, &s, why))
            return STATUS_OK;
        end = BACKTEST_FAILED;
    }
    if (b->actions.complaints.length > 0)
        fprintf(stderr, "%.*s", (int)b->actions.complaints.length,
                (const char *)b->actions.complaints.data);
    if (b->actions.wrong > ACTIONS_COMPLAINTS_MAX)
        fprintf(stderr, "... and %u more\n", b->actions.wrong - ACTIONS_COMPLAINTS_MAX);
    if (end == BACKTEST_WRONG)
        return refuse(c, STATUS_USAGE, "INPUT_INVALID", "%s", why);
    return refuse(c, STATUS_FAILED, "BACKTEST_FAILED", "%s", why);
}

enum status
backtest(const struct call *c)
{
    struct backtest_options options;
    struct backtest b;
    char sources[SOURCES_MAX], why[WHY_BYTES];
    if (!read_options(c, &options, sources))
        return STATUS_USAGE;
    log_open("scripctl", LOG_ERROR);
    enum backtest_end end = backtest_run(&b, &options, why);
    enum status status = tell(c, &b, end, why);
    backtest_fini(&b);
    return status;
}
