/*
 * audit.c - see audit.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/audit.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/shell/child.h"
#include "host/log.h"

#define ID_MAX        ((UINT64_C(1) << 53) - 1)
#define LIMIT_DEFAULT 100
#define LIMIT_MAX     1000
#define PAIR_BYTES    4096 /* NAME=VALUE of the environment */

struct audit {
    struct shell *shell;
    struct children *children;
    struct metric *m_done, *m_failed, *m_busy, *m_running;
};

/* What is asked for. */
struct question {
    const char *command; /* of scripctl, and what the id is of */
    uint64_t id, after, limit;
};

/* ---- Reading ------------------------------------------------------------------------------ */

static enum err
number_read(struct http1_text text, bool is_query, uint64_t max, uint64_t *out)
{
    char digits[24];
    uint64_t value = 0;
    if (!http1_decode(text, is_query, digits, sizeof digits))
        return text.length >= sizeof digits ? ERR_FIELD_TOO_LONG : ERR_NUMBER_SYNTAX;
    if (digits[0] == 0 || digits[strspn(digits, "0123456789")] != 0)
        return ERR_NUMBER_SYNTAX;
    for (const char *at = digits; *at != 0; at++)
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value) || value > max)
            return ERR_NUMBER_RANGE;
    *out = value;
    return OK;
}

static code_t
field_of(struct http1_text name)
{
    code_t field = {{0}};
    memcpy(field.text, name.at, name.length < CODE_BYTES ? name.length : (size_t)CODE_BYTES - 1);
    return field;
}

static bool
is_named(struct http1_text name, const char *text)
{
    return name.length == strlen(text) && memcmp(name.at, text, name.length) == 0;
}

static enum err
query_read(struct http1_text query, struct question *q, code_t *field)
{
    struct http1_text name, value;
    bool has_after = false, has_limit = false;
    while (http1_next_pair(&query, &name, &value)) {
        bool is_after = is_named(name, "after"), is_limit = is_named(name, "limit");
        *field = field_of(name);
        if (!is_after && !is_limit)
            return ERR_FIELD_UNKNOWN;
        if (is_after ? has_after : has_limit)
            return ERR_FIELD_REPEATED;
        has_after |= is_after;
        has_limit |= is_limit;
        enum err e = number_read(value, true, is_after ? ID_MAX : LIMIT_MAX,
                                 is_after ? &q->after : &q->limit);
        if (e == OK && is_limit && q->limit == 0)
            e = ERR_NUMBER_NOT_POSITIVE;
        if (e != OK)
            return e;
    }
    return OK;
}

/* The id is what stands behind the last slash. */
static enum err
question_read(const struct http_request *h, const char *name, struct question *q, code_t *field)
{
    struct http1_text path = h->head->path;
    if (path.length > 1 && path.at[path.length - 1] == '/')
        path.length--;
    const char *slash = memrchr(path.at, '/', path.length);
    struct http1_text id = {slash + 1, (size_t)(path.at + path.length - slash - 1)};
    *field = code_of(name);
    q->limit = LIMIT_DEFAULT;
    enum err e = number_read(id, false, ID_MAX, &q->id);
    if (e == OK && q->id == 0)
        e = ERR_NUMBER_NOT_POSITIVE;
    return e == OK ? query_read(h->head->query, q, field) : e;
}

/* ---- Asking ------------------------------------------------------------------------------- */

/* The database is named in the environment, which only its user may read; arguments are for
 * everybody. It is told once more that it is to change nothing, and to stop in time. */
static enum err
start(struct audit *a, const struct request *r, const struct question *q)
{
    const struct gateway_config *c = a->shell->config;
    char id[24], after[24], limit[24], program[] = "scripctl", json[] = "--json";
    char quiet[] = "--quiet", command[16], after_name[] = "--after", limit_name[] = "--limit";
    char database[PAIR_BYTES], archive[PAIR_BYTES], options[128], language[] = "LC_ALL=C.UTF-8";
    char name[] = "PGAPPNAME=scrip-audit", patience[] = "PGCONNECT_TIMEOUT=5";
    snprintf(command, sizeof command, "%s", q->command);
    snprintf(id, sizeof id, "%" PRIu64, q->id);
    snprintf(after, sizeof after, "%" PRIu64, q->after);
    snprintf(limit, sizeof limit, "%" PRIu64, q->limit);
    snprintf(options, sizeof options,
             "PGOPTIONS=-c default_transaction_read_only=on -c statement_timeout=%lld",
             (long long)c->audit_seconds * 1000);
    if (snprintf(database, sizeof database, "SCRIPCTL_DATABASE=%s", c->audit_database) >=
            (int)sizeof database ||
        snprintf(archive, sizeof archive, "SCRIPCTL_ARCHIVE=%s", c->audit_archive) >=
            (int)sizeof archive)
        return ERR_CONFIG_BAD_VALUE;
    char *const arguments[] = {program,    json,  quiet,      command, id,
                               after_name, after, limit_name, limit,   NULL};
    char *const environment[] = {database, archive, options, language, name, patience, NULL};
    enum err e =
        child_start(a->children, request_handle(r), c->audit_program, arguments, environment);
    explicit_bzero(database, sizeof database);
    return e;
}

static void
ask(struct shell *s, struct request *r, const struct http_request *h, const char *command,
    const char *name)
{
    struct audit *a = s->audit;
    struct question q = {.command = command};
    code_t field;
    enum err e = question_read(h, name, &q, &field);
    if (e != OK) {
        answer_field(s, r, e, field, text_of("%s", ""));
        return;
    }
    if (s->config->audit_program[0] == 0 || s->config->audit_database[0] == 0) {
        answer_field(s, r, ERR_AUDIT_UNAVAILABLE, code_of(""), text_of("it is not set up here"));
        return;
    }
    /* Who looked at whom is itself to be known. */
    log_corr(LOG_INFO, r->corr, "audit", "user_id=%" PRIu64 " role=%s what=%s id=%" PRIu64,
             r->who.user_id, r->who.role, command, q.id);
    e = start(a, r, &q);
    metric_set(a->m_running, children_count(a->children));
    if (e == OK)
        return;
    metric_add(e == ERR_GATEWAY_BUSY ? a->m_busy : a->m_failed, 1);
    answer_error(s, r, e == ERR_GATEWAY_BUSY ? ERR_AUDIT_BUSY : ERR_AUDIT_UNAVAILABLE);
}

void
own_audit_order(struct shell *s, struct request *r, const struct http_request *h)
{
    ask(s, r, h, "order", "order_id");
}

void
own_audit_account(struct shell *s, struct request *r, const struct http_request *h)
{
    ask(s, r, h, "account", "account_id");
}

/* ---- Answers ------------------------------------------------------------------------------ */

static const char *
text_in(struct json_object *o, const char *name)
{
    struct json_object *member;
    bool is_text = json_object_object_get_ex(o, name, &member) &&
                   json_object_is_type(member, json_type_string);
    return is_text ? json_object_get_string(member) : "";
}

/* {"error":{"code":...,"message":...}}, as scripctl says it. */
static void
trouble_read(const struct bytes *out, char code[32], text_t *message)
{
    struct json_tokener *tokener = json_tokener_new();
    CHECK(tokener != NULL);
    struct json_object *error = NULL,
                       *all = out->length == 0
                                  ? NULL
                                  : json_tokener_parse_ex(tokener, (const char *)out->data,
                                                          (int)out->length);
    json_object_object_get_ex(all, "error", &error);
    snprintf(code, 32, "%s", text_in(error, "code"));
    *message = text_of("%s", text_in(error, "message"));
    json_object_put(all);
    json_tokener_free(tokener);
}

/* What scripctl found, or why it could not: the latter is for the log, since it may name hosts. */
static void
answer_trouble(struct audit *a, struct request *r, int status, const struct bytes *out)
{
    char code[32];
    text_t message;
    trouble_read(out, code, &message);
    struct refused why = {.error = ERR_AUDIT_UNAVAILABLE};
    if (status == 1 && strcmp(code, "ORDER_NOT_FOUND") == 0)
        why.error = ERR_ORDER_NOT_FOUND;
    else if (status == 1 && strcmp(code, "ACCOUNT_NOT_FOUND") == 0)
        why.error = ERR_ACCOUNT_NOT_FOUND;
    else if (status == 1)
        why = (struct refused){.error = ERR_JOURNAL_WRONG, .detail = message};
    if (err_http(why.error) >= 500) {
        log_corr(LOG_ERROR, r->corr, "audit_failed", "status=%d code=%s why=\"%s\"", status, code,
                 message.text);
        metric_add(a->m_failed, 1);
    } else {
        metric_add(a->m_done, 1);
    }
    answer_refused(a->shell, r, &why);
}

static void
give_up(struct audit *a, struct request *r, enum err e, text_t detail)
{
    metric_add(a->m_failed, 1);
    log_corr(LOG_WARN, r->corr, "audit_failed", "why=\"%s\"", detail.text);
    answer_field(a->shell, r, e, code_of(""), detail);
}

static void
on_done(void *arg, uint64_t owner, enum child_end end, int status, const struct bytes *out)
{
    struct audit *a = arg;
    struct request *r = request_find(a->shell, owner);
    metric_set(a->m_running, children_count(a->children));
    if (r == NULL)
        return;
    switch (end) {
    case CHILD_EXITED:
        if (status == 0 && out->length > 0) {
            metric_add(a->m_done, 1);
            answer_json(a->shell, r, 200, out);
        } else {
            answer_trouble(a, r, status, out);
        }
        return;
    case CHILD_SIGNALED:
        give_up(a, r, ERR_AUDIT_UNAVAILABLE, text_of("it was ended by signal %d", status));
        return;
    case CHILD_TOO_LATE:
        give_up(a, r, ERR_AUDIT_UNAVAILABLE,
                text_of("it took longer than %lld s", (long long)a->shell->config->audit_seconds));
        return;
    case CHILD_TOO_LARGE:
        give_up(a, r, ERR_AUDIT_TOO_LARGE, text_of("%s", "use a lower limit"));
        return;
    }
}

/* ---- Life --------------------------------------------------------------------------------- */

static bool
is_wanted(void *arg, uint64_t owner)
{
    struct audit *a = arg;
    struct request *r = request_find(a->shell, owner);
    if (r == NULL)
        return false;
    if (!a->shell->draining && !http_has_left(a->shell->http, r->ref))
        return true;
    metric_add(a->m_failed, 1);
    answer_error(a->shell, r, ERR_AUDIT_UNAVAILABLE);
    return false;
}

void
audit_tick(struct audit *a)
{
    children_sweep(a->children, is_wanted);
    metric_set(a->m_running, children_count(a->children));
}

struct audit *
audit_open(struct shell *s)
{
    static const char sentence[] = "Questions of auditors, by how they ended.";
    struct audit *a = calloc(1, sizeof *a);
    CHECK(a != NULL);
    a->shell = s;
    a->m_done = metric_counter("scrip_gateway_audits_total", "end=\"answered\"", sentence);
    a->m_failed = metric_counter("scrip_gateway_audits_total", "end=\"failed\"", sentence);
    a->m_busy = metric_counter("scrip_gateway_audits_total", "end=\"busy\"", sentence);
    a->m_running = metric_gauge("scrip_gateway_audits_running", "", "Programs that audit now.");
    const struct children_options o = {.loop = s->loop,
                                       .running_max = (uint32_t)s->config->audit_running_max,
                                       .bytes_max = (uint32_t)s->config->audit_bytes_max,
                                       .time_ms = s->config->audit_seconds * 1000};
    a->children = children_open(&o, on_done, a);
    return a;
}

void
audit_close(struct audit **a)
{
    if (*a == NULL)
        return;
    children_close(&(*a)->children);
    free(*a);
    *a = NULL;
}
