/*
 * take.c - requests and reports to the core; what it says to the journal, the matchers, the bus.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "host/metrics.h"
#include "ledger/shell/serve.h"

#define FOLLOWED_MAX 262144 /* accounts followed one by one; beyond, everything is published */

/* ---- Counting ----------------------------------------------------------------------------- */

static void
count_command(struct serve *s, enum msg_type type)
{
    struct metric **metrics = s->m_commands;
    if ((uint32_t)type >= SERVE_TYPES_MAX)
        return;
    if (metrics[type] == NULL) {
        char labels[48];
        const struct msg_layout *layout = msg_layout(type);
        snprintf(labels, sizeof labels, "kind=\"%s\"", layout == NULL ? "" : layout->name);
        metrics[type] =
            metric_counter("scrip_ledger_commands_total", labels, "Requests and reports taken.");
    }
    metric_add(metrics[type], 1);
}

static void
count_refusal(struct serve *s, enum err why)
{
    struct metric **metrics = s->m_refusals;
    if ((uint32_t)why >= SERVE_ERRORS_MAX)
        return;
    if (metrics[why] == NULL) {
        char labels[64];
        snprintf(labels, sizeof labels, "error=\"%s\"", err_name(why));
        metrics[why] = metric_counter("scrip_ledger_refusals_total", labels, "Refusals by error.");
    }
    metric_add(metrics[why], 1);
}

/* ---- Followers ---------------------------------------------------------------------------- */

/* "a<account>." names one account; anything else may match many. 0 when it is not of that form. */
static uint64_t
topic_account(const char *topic)
{
    char *end;
    if (topic[0] != 'a' || topic[1] < '1' || topic[1] > '9')
        return 0;
    uint64_t id = strtoull(topic + 1, &end, 10);
    return end[0] == '.' && end[1] == '\0' ? id : 0;
}

static void
on_topic(void *arg, const char *topic, bool followed)
{
    struct followers *f = &((struct serve *)arg)->followers;
    uint64_t id = topic_account(topic);
    if (id != 0 && !followed && map_remove(&f->accounts, id))
        return;
    if (id != 0 && followed && f->accounts.count < f->accounts.max)
        map_set(&f->accounts, id, 1);
    else if (followed)
        f->others++;
    else if (f->others > 0)
        f->others--;
}

static bool
is_followed(const struct followers *f, uint64_t account_id)
{
    return f->others > 0 || map_get(&f->accounts, account_id) != MAP_NONE;
}

/* ---- What the core said ------------------------------------------------------------------- */

static uint64_t
event_account(const struct msg *m)
{
    if (m->type == MSG_event_order)
        return m->event_order.account_id;
    if (m->type == MSG_event_trade)
        return m->event_trade.account_id;
    if (m->type == MSG_event_list)
        return m->event_list.account_id;
    CHECK(m->type == MSG_event_balance);
    return m->event_balance.account_id;
}

static void
say(struct serve *s, const struct out *o)
{
    switch (o->to) {
    case OUT_REPLY:
        if (o->msg.type == MSG_refused)
            count_refusal(s, o->msg.refused.error);
        if (o->peer != 0)
            journal_reply(s->journal, o->peer, &o->msg);
        else
            log_msg("answer_to_nobody", &o->msg);
        break;
    case OUT_MATCHER:
        links_send(s->links, &o->msg);
        break;
    case OUT_EVENT:
        if (is_followed(&s->followers, event_account(&o->msg)))
            journal_event(s->journal, event_account(&o->msg), &o->msg);
        break;
    case OUT_BRIDGE:
        journal_bridge(s->journal, &o->msg);
        break;
    case OUT_LEDGER:
    case OUT_PUBLISH:
    case OUT_MARKET:
    case OUT_KEEP:
        CHECK(false); /* this core does not */
    }
}

/* One time for the core and the record. */
static int64_t
time_us(const struct serve *s)
{
    return journal_time_us(s->journal, loop_now_us(s->host.loop));
}

/* The same for a command that is judged, and the time by which the markets' clocks go on. */
static int64_t
judged_us(struct serve *s)
{
    ledger_set_steady(&s->ledger, loop_steady_us(s->host.loop));
    return time_us(s);
}

/* The record first: what is said after it is held until it is durable. */
static void
carry_out(struct serve *s, enum ledger_outcome outcome, const struct msg *cmd, code_t source)
{
    if (outcome == LEDGER_CHANGED) {
        uint32_t shard = ledger_shard_of_cmd(cmd);
        journal_append(s->journal, (uint16_t)shard, cmd, source, time_us(s));
        project_note(s->project, cmd);
    }
    for (uint32_t i = 0; i < s->out.count; i++)
        say(s, &s->out.slots[i]);
    outbox_clear(&s->out);
}

/* ---- Requests ----------------------------------------------------------------------------- */

static void
refuse(struct serve *s, uint32_t peer, uint64_t corr, enum err why, code_t field)
{
    const struct refused refused = {
        .error = why, .field = field, .retry_after_seconds = err_again(why) ? 1 : 0};
    count_refusal(s, why);
    bus_put(s->serve, peer, MSG_refused, corr, &refused);
}

/* A bridge's word of what has happened elsewhere: it is taken as long as there is any room, as a
 * matcher's report is. */
static bool
is_word_of_bridge(enum msg_type type)
{
    return type == MSG_bridge_report || type == MSG_exchange_account;
}

static bool
has_room_for(const struct serve *s, enum msg_type type)
{
    if (!ledger_ready(&s->ledger, &s->out))
        return false;
    if (is_word_of_bridge(type))
        return journal_has_room(s->journal) && project_has_room(s->project, 1);
    return !take_is_crowded(s);
}

/* Why no request can be taken now; OK when it can. */
static enum err
door_shut(const struct serve *s, const struct msg *cmd)
{
    uint32_t shard = ledger_shard_of_cmd(cmd);
    bool is_of_all = cmd->type == MSG_unresolved_list;
    if ((shard >= LEDGER_SHARDS && !is_of_all) || cmd->type == MSG_order_report ||
        cmd->type == MSG_order_explained)
        return ERR_WIRE_UNKNOWN;
    if (s->phase != PHASE_SERVING || (!is_of_all && !s->owned[shard]) ||
        !journal_is_writable(s->journal, loop_steady_us(s->host.loop)))
        return ERR_LEDGER_UNAVAILABLE;
    return has_room_for(s, cmd->type) ? OK : ERR_LEDGER_BUSY;
}

/* Refuses a request that cannot be taken now. */
static bool
is_turned_away(struct serve *s, uint32_t peer, const struct msg *cmd)
{
    enum err shut = door_shut(s, cmd);
    if (shut != OK)
        refuse(s, peer, cmd->corr, shut, (code_t){{0}});
    return shut != OK;
}

/* What contradicts the books is for people to look into. */
static void
note_heard(struct serve *s, const struct bridge_report *r)
{
    bridges_heard(s->bridges, r->order_id);
    if (s->ledger.real_refused == s->real_refused)
        return;
    s->real_refused = s->ledger.real_refused;
    log_line(LOG_ERROR, "bridge_report_refused",
             "order=%" PRIu64 " account=%" PRIu64 " state=%s executed=%" PRId64, r->order_id,
             r->account_id, msg_enum_name(MSG_ENUM_exchange_state, r->exchange_state),
             r->executed_quantity.v);
}

static void
on_request(void *arg, const struct bus_in *in)
{
    struct serve *s = arg;
    count_command(s, in->msg->type);
    if (is_turned_away(s, in->peer, in->msg))
        return;
    struct msg cmd = *in->msg;
    log_msg("request", &cmd);
    enum ledger_outcome outcome = ledger_request(&s->ledger, in->peer, &cmd, judged_us(s), &s->out);
    if (outcome == LEDGER_LOOKUP) {
        code_t field;
        enum err e = query_ask(s->query, in->peer, &cmd, in->frame->sender, &field);
        if (e != OK)
            refuse(s, in->peer, cmd.corr, e, field);
        return;
    }
    carry_out(s, outcome, &cmd, in->frame->sender);
    if (cmd.type == MSG_bridge_report)
        note_heard(s, &cmd.bridge_report);
}

void
take_found(void *arg, uint32_t peer, struct msg *cmd, code_t source, const struct order_view *row)
{
    struct serve *s = arg;
    if (is_turned_away(s, peer, cmd))
        return;
    enum ledger_outcome outcome = ledger_found(&s->ledger, peer, cmd, row, judged_us(s), &s->out);
    carry_out(s, outcome, cmd, source);
}

void
take_list(void *arg, uint32_t peer, struct msg *cmd, code_t source, const struct list_view *row)
{
    struct serve *s = arg;
    if (is_turned_away(s, peer, cmd))
        return;
    enum ledger_outcome outcome =
        ledger_found_list(&s->ledger, peer, cmd, row, judged_us(s), &s->out);
    carry_out(s, outcome, cmd, source);
}

void
take_story(void *arg, uint32_t peer, const struct msg *cmd, const struct order_story *row)
{
    struct serve *s = arg;
    if (is_turned_away(s, peer, cmd))
        return;
    ledger_found_story(&s->ledger, peer, cmd, row, &s->out);
    carry_out(s, LEDGER_ANSWERED, cmd, (code_t){{0}});
}

/* What a matcher saw of an order: nothing changes, so without room it is left out and the asker
 * asks again. */
void
take_explained(void *arg, struct msg *said)
{
    struct serve *s = arg;
    uint32_t shard = ledger_shard_of_cmd(said);
    if (shard >= LEDGER_SHARDS || !s->owned[shard] || !journal_has_room(s->journal) ||
        !ledger_ready(&s->ledger, &s->out))
        return;
    count_command(s, said->type);
    enum ledger_outcome outcome = ledger_request(&s->ledger, 0, said, time_us(s), &s->out);
    CHECK(outcome == LEDGER_ANSWERED);
    carry_out(s, outcome, said, (code_t){{0}});
}

/* A report can neither be refused nor wait here; when there is no room it did not happen, and the
 * next session begins from the books. */
bool
take_report(void *arg, code_t matcher, struct msg *report)
{
    struct serve *s = arg;
    uint32_t shard = ledger_shard_of_cmd(report);
    if (!s->owned[shard] || !journal_has_room(s->journal) || !project_has_room(s->project, 1) ||
        !ledger_ready(&s->ledger, &s->out))
        return false;
    count_command(s, report->type);
    log_msg("report", report);
    uint64_t refused = s->ledger.reports_refused, diverged = s->ledger.reports_diverged;
    enum ledger_outcome outcome = ledger_request(&s->ledger, 0, report, time_us(s), &s->out);
    CHECK(outcome != LEDGER_LOOKUP);
    carry_out(s, outcome, report, matcher);
    if (s->ledger.reports_refused != refused) {
        count_refusal(s, ERR_REPORT_REFUSED);
        log_line(LOG_WARN, "report_refused", "matcher=%s order=%" PRIu64, matcher.text,
                 report->order_report.order_id);
    }
    return s->ledger.reports_diverged == diverged;
}

bool
take_is_crowded(const struct serve *s)
{
    const struct ledger *l = &s->ledger;
    return journal_is_crowded(s->journal) || !project_has_room(s->project, 1024) ||
           ledger_ring_room(&l->fill_ring) < l->fill_ring.max / 2 ||
           ledger_ring_room(&l->change_ring) < l->change_ring.max / 2 ||
           ledger_ring_room(&l->story_ring) < l->story_ring.max / 2;
}

/* ---- What leaves -------------------------------------------------------------------------- */

void
take_page(void *arg, uint32_t peer, const struct msg *page)
{
    struct serve *s = arg;
    if (page->type == MSG_refused)
        count_refusal(s, page->refused.error);
    bus_put(s->serve, peer, page->type, page->corr, &page->frame);
}

void
take_reply(void *arg, uint32_t peer, const uint8_t *data, size_t length)
{
    bus_put_packed(((struct serve *)arg)->serve, peer, data, length);
}

void
take_event(void *arg, uint64_t account_id, const uint8_t *data, size_t length)
{
    char topic[32];
    snprintf(topic, sizeof topic, "a%" PRIu64 ".", account_id);
    bus_publish_packed(((struct serve *)arg)->publish, topic, data, length);
}

void
take_order(void *arg, const uint8_t *data, size_t length)
{
    bridges_send(((struct serve *)arg)->bridges, data, length);
}

enum err
take_open(struct serve *s)
{
    s->followers.bytes = calloc(1, map_bytes(FOLLOWED_MAX));
    CHECK(s->followers.bytes != NULL);
    map_init(&s->followers.accounts, FOLLOWED_MAX, s->followers.bytes);
    s->serve = bus_open(s->host.loop, &(struct bus_options){.role = BUS_SERVE,
                                                            .endpoint = s->config->serve_endpoint,
                                                            .name = s->host.name,
                                                            .arg = s,
                                                            .on_msg = on_request});
    s->publish =
        bus_open(s->host.loop, &(struct bus_options){.role = BUS_PUBLISH,
                                                     .endpoint = s->config->publish_endpoint,
                                                     .name = s->host.name,
                                                     .arg = s,
                                                     .on_topic = on_topic});
    if (s->serve == NULL || s->publish == NULL)
        return ERR_LEDGER_UNAVAILABLE;
    bus_set_epoch(s->serve, s->epoch);
    bus_set_epoch(s->publish, s->epoch);
    return OK;
}

void
take_pause(struct serve *s, bool is_paused)
{
    bus_pause(s->serve, is_paused);
}

void
take_close(struct serve *s)
{
    bus_close(&s->serve);
    bus_close(&s->publish);
    free(s->followers.bytes);
}
