/*
 * backtest_actions.c - see backtest_actions.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/backtest_actions.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "ledger/core/shape.h"
#include "scripctl/members.h"
#include "scripctl/value.h"
#include "wire/json.h"

#define LISTS_BYTES   65536
#define COLUMNS_MAX   64
#define ACCOUNT_FIELD "account"

static const struct {
    const char *name;
    enum msg_type type;
} kinds[] = {{"place", MSG_order_place},     {"cancel", MSG_order_cancel},
             {"amend", MSG_order_amend},     {"replace", MSG_order_replace},
             {"list", MSG_list_place},       {"cancel_all", MSG_order_cancel_all},
             {"settings", MSG_settings_set}, {"balance", MSG_balance_set}};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void *
grown(void *items, uint32_t count, uint32_t *max, size_t size)
{
    if (count < *max)
        return items;
    *max = *max == 0 ? 64 : 2 * *max;
    items = realloc(items, *max * size);
    CHECK(items != NULL);
    return items;
}

/* ---- Complaints ------------------------------------------------------------------------------ */

void
actions_complain(struct actions *a, uint32_t line, const char *field, const char *format, ...)
{
    char text[512];
    if (a->wrong++ >= ACTIONS_COMPLAINTS_MAX)
        return;
    snprintf(text, sizeof text, "%s:%u: %s%s", a->file, line, field, field[0] == '\0' ? "" : ": ");
    bytes_add(&a->complaints, text, strlen(text));
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bytes_add(&a->complaints, text, strlen(text));
    bytes_add(&a->complaints, "\n", 1);
}

static bool
complain_err(struct actions *a, uint32_t line, const char *field, enum err e)
{
    actions_complain(a, line, field, "%s: %s", err_name(e), err_sentence(e));
    return false;
}

/* ---- What every line says -------------------------------------------------------------------- */

/* What stands beside the request. Texts as written; "" = absent. */
struct beside {
    char at[64], account[CID_BYTES], action[16];
};

bool
actions_duration(const char *text, int64_t *out)
{
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {{"us", 1},
                 {"ms", 1000},
                 {"s", 1000000},
                 {"m", 60 * INT64_C(1000000)},
                 {"h", 3600 * INT64_C(1000000)},
                 {"d", 86400 * INT64_C(1000000)}};
    size_t digits = strspn(text, "0123456789.");
    int64_t number;
    if (decimal_read(text, digits, &number) != OK)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(text + digits, units[i].name) == 0) {
            __extension__ __int128 product = (__int128)number * units[i].us;
            *out = (int64_t)(product / DECIMAL_ONE);
            return product % DECIMAL_ONE == 0 && product / DECIMAL_ONE < INT64_MAX / 4;
        }
    return false;
}

static bool
read_at(struct actions *a, struct action *to, const char *text)
{
    static const char forms[] =
        "\"%s\" is neither like \"+1.5s\" nor \"2024-08-08T23:54:10Z\" nor microseconds UTC";
    if (text[0] == '\0') {
        actions_complain(a, to->line, "at", "says when, and is missing");
        return false;
    }
    to->is_offset = text[0] == '+';
    bool good = to->is_offset
                    ? actions_duration(text + 1, &to->at_us)
                    : value_int(text, 1, INT64_MAX / 2, &to->at_us) ||
                          (text[0] >= '0' && text[0] <= '9' && value_time(text, 0, &to->at_us));
    if (!good)
        actions_complain(a, to->line, "at", forms, text);
    return good;
}

static bool
read_account(struct actions *a, struct action *to, const char *name)
{
    cid_t cid;
    if (name[0] == '\0')
        name = "main";
    if (cid_from(name, strlen(name), &cid) != OK || !cid_valid(&cid)) {
        actions_complain(a, to->line, ACCOUNT_FIELD,
                         "\"%s\" is no name: 1 to 36 letters, digits and . : / _ -", name);
        return false;
    }
    for (to->account = 0; to->account < a->accounts_count; to->account++)
        if (cid_same(&a->accounts[to->account], &cid))
            return true;
    a->accounts = grown(a->accounts, a->accounts_count, &a->accounts_max, sizeof *a->accounts);
    a->accounts[a->accounts_count++] = cid;
    return true;
}

static bool
read_action(struct actions *a, struct action *to, const char *name)
{
    if (name[0] == '\0')
        name = kinds[0].name;
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            to->name = kinds[i].name;
            to->type = kinds[i].type;
            return true;
        }
    actions_complain(a, to->line, "action",
                     "\"%s\" is none of place, cancel, cancel_all, amend, replace, list, "
                     "settings, balance",
                     name);
    return false;
}

static bool
read_beside(struct actions *a, struct action *to, const struct beside *b)
{
    bool good = read_at(a, to, b->at);
    good = read_account(a, to, b->account) && good;
    return read_action(a, to, b->action) && good;
}

/* ---- The request ----------------------------------------------------------------------------- */

/* An order that was given no name gets its line's; of a list its place as well. */
static void
name_order(struct actions *a, uint32_t line, uint32_t place, cid_t *name, bool *was_made)
{
    a->orders++;
    if (!cid_empty(name))
        return;
    *was_made = true;
    if (place == 0)
        snprintf(name->text, sizeof name->text, "line-%u", line);
    else
        snprintf(name->text, sizeof name->text, "line-%u-%u", line, place);
}

static bool
judge_shape(struct actions *a, uint32_t line, struct order_place cmd, const char *where)
{
    struct refused why = {0};
    if (shape_order(&cmd, &why) == OK)
        return true;
    char field[64];
    snprintf(field, sizeof field, "%s%s", where, why.field.text);
    actions_complain(a, line, field, "%s: %s", err_name(why.error),
                     why.detail.text[0] != '\0' ? why.detail.text : err_sentence(why.error));
    return false;
}

static bool
finish_list(struct actions *a, struct action *to, struct list_place *list)
{
    size_t bytes = list->orders_count * sizeof *list->orders;
    struct order_wish *orders = malloc(bytes + 1);
    CHECK(orders != NULL);
    if (bytes > 0)
        memcpy(orders, list->orders, bytes);
    list->orders = to->list = orders;
    bool good = true;
    for (uint32_t i = 0; i < list->orders_count; i++) {
        char where[32];
        snprintf(where, sizeof where, "orders[%u].", i);
        if (code_empty(orders[i].symbol))
            orders[i].symbol = list->symbol;
        name_order(a, to->line, i + 1, &orders[i].client_order_id, &orders[i].id_was_made);
        good = judge_shape(a, to->line, shape_of_wish(&orders[i], 1), where) && good;
    }
    return good;
}

static bool
is_named(struct actions *a, uint32_t line, uint64_t id, const cid_t *name, const char *field)
{
    if (id == 0 && !cid_empty(name))
        return true;
    actions_complain(a, line, field, "an order is named by its client order id, and only by it");
    return false;
}

/* What the gateway would fill in, and what can be judged without a market. */
static bool
finish(struct actions *a, struct action *to, struct msg *m)
{
    switch (m->type) {
    case MSG_order_place:
        name_order(a, to->line, 0, &m->order_place.client_order_id, &m->order_place.id_was_made);
        return judge_shape(a, to->line, m->order_place, "");
    case MSG_order_replace:
        name_order(a, to->line, 0, &m->order_replace.client_order_id,
                   &m->order_replace.id_was_made);
        return judge_shape(a, to->line, shape_of_replace(&m->order_replace), "") &&
               is_named(a, to->line, m->order_replace.cancel_order_id,
                        &m->order_replace.cancel_client_order_id, "cancel_client_order_id");
    case MSG_order_cancel:
        return is_named(a, to->line, m->order_cancel.order_id, &m->order_cancel.client_order_id,
                        "client_order_id");
    case MSG_order_amend:
        return is_named(a, to->line, m->order_amend.order_id, &m->order_amend.client_order_id,
                        "client_order_id");
    case MSG_list_place:
        return finish_list(a, to, &m->list_place);
    case MSG_settings_set:
        m->settings_set.command_id = to->line;
        return true;
    case MSG_balance_set:
        m->balance_set.command_id = to->line;
        return true;
    default:
        return true;
    }
}

/* `m` has what the line says. Keeps it, or tells why not. */
static void
keep(struct actions *a, struct action *to, struct msg *m)
{
    const struct msg_layout *layout = msg_layout(to->type);
    const struct msg_field *id = msg_field_by_name(layout, "account_id");
    code_t field;
    uint64_t account_id = to->account + 1;
    memcpy((uint8_t *)msg_body(m) + id->offset, &account_id, sizeof account_id);
    enum err e = json_check_body(layout, msg_body(m), &field);
    if (e != OK) {
        complain_err(a, to->line, field.text, e);
        return;
    }
    if (!finish(a, to, m)) {
        free(to->list);
        return;
    }
    to->body = malloc(layout->size);
    CHECK(to->body != NULL);
    memcpy(to->body, msg_body(m), layout->size);
    a->actions = grown(a->actions, a->count, &a->max, sizeof *a->actions);
    a->actions[a->count++] = *to;
}

/* Spot is what there is most of, so it need not be said. */
static void
begin_body(const struct action *to, struct msg *m)
{
    memset(m, 0, sizeof *m);
    m->type = to->type;
    if (to->type == MSG_settings_set)
        m->settings_set.trading_type = TRADING_TYPE_spot;
    if (to->type == MSG_balance_set)
        m->balance_set.trading_type = TRADING_TYPE_spot;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void
json_line(struct actions *a, struct action *to, const char *text, size_t length)
{
    struct beside b = {0};
    struct bytes request = {0};
    struct msg m;
    code_t field = {{0}};
    struct member members[] = {{"at", b.at, sizeof b.at, false},
                               {ACCOUNT_FIELD, b.account, sizeof b.account, false},
                               {"action", b.action, sizeof b.action, false}};
    if (!members_cut(text, length, members, 3, &request)) {
        complain_err(a, to->line, "at, account, action", ERR_FIELD_REPEATED);
    } else if (read_beside(a, to, &b)) {
        begin_body(to, &m);
        arena_reset(&a->lists);
        enum err e = json_read_body((const char *)request.data, request.length,
                                    msg_layout(to->type), msg_body(&m), &a->lists, &field);
        if (e == OK)
            keep(a, to, &m);
        else
            complain_err(a, to->line, field.text, e);
    }
    bytes_free(&request);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

/* Cuts a line into cells, in place; gives how many. */
static uint32_t
cells(char *line, char *out[COLUMNS_MAX])
{
    uint32_t count = 0;
    for (char *cell; line != NULL && count < COLUMNS_MAX; count++) {
        cell = strsep(&line, ",");
        cell += strspn(cell, " \t");
        for (size_t n = strlen(cell); n > 0 && strchr(" \t\r", cell[n - 1]) != NULL; n--)
            cell[n - 1] = '\0';
        out[count] = cell;
    }
    return line != NULL ? COLUMNS_MAX + 1 : count;
}

static char *
copy_of(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    CHECK(copy != NULL);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

static void
csv_header(struct actions *a, uint32_t line, const char *text, size_t length)
{
    a->columns = copy_of(text, length);
    char *copy = copy_of(text, length), *names[COLUMNS_MAX];
    a->columns_count = cells(copy, names);
    bool has_at = false;
    for (uint32_t i = 0; i < a->columns_count && i < COLUMNS_MAX; i++)
        has_at |= strcmp(names[i], "at") == 0;
    if (a->columns_count > COLUMNS_MAX || !has_at) {
        actions_complain(a, line, "",
                         "neither a JSON object nor the first line of a CSV file, which names "
                         "its columns, `at` among them");
        a->columns_count = COLUMNS_MAX + 1; /* no line of it is read */
    }
    free(copy);
}

static bool
csv_field(struct actions *a, const struct action *to, const char *name, const char *value,
          struct msg *m)
{
    code_t field;
    if (value[0] == '\0' || strcmp(name, "at") == 0 || strcmp(name, ACCOUNT_FIELD) == 0 ||
        strcmp(name, "action") == 0)
        return true;
    enum err e = json_read_field(name, value, msg_layout(to->type), msg_body(m), &field);
    return e == OK ? true : complain_err(a, to->line, name, e);
}

static void
csv_cells(struct actions *a, struct action *to, char **names, char **values)
{
    struct beside b = {0};
    for (uint32_t i = 0; i < a->columns_count; i++) {
        if (strcmp(names[i], "at") == 0)
            snprintf(b.at, sizeof b.at, "%s", values[i]);
        else if (strcmp(names[i], ACCOUNT_FIELD) == 0)
            snprintf(b.account, sizeof b.account, "%s", values[i]);
        else if (strcmp(names[i], "action") == 0)
            snprintf(b.action, sizeof b.action, "%s", values[i]);
    }
    struct msg m;
    if (!read_beside(a, to, &b))
        return;
    if (to->type == MSG_list_place) {
        actions_complain(a, to->line, "action", "a list needs JSON lines");
        return;
    }
    begin_body(to, &m);
    bool good = true;
    for (uint32_t i = 0; i < a->columns_count; i++)
        good = csv_field(a, to, names[i], values[i], &m) && good;
    if (good)
        keep(a, to, &m);
}

static void
csv_line(struct actions *a, struct action *to, const char *text, size_t length)
{
    char *header = copy_of(a->columns, strlen(a->columns)), *line = copy_of(text, length);
    char *names[COLUMNS_MAX], *values[COLUMNS_MAX];
    (void)cells(header, names);
    uint32_t count = cells(line, values);
    if (count != a->columns_count)
        actions_complain(a, to->line, "", "%u cells under %u columns", count, a->columns_count);
    else
        csv_cells(a, to, names, values);
    free(header);
    free(line);
}

/* ---- Lines ----------------------------------------------------------------------------------- */

void
actions_begin(struct actions *a, const char *file)
{
    *a = (struct actions){.file = file};
    void *lists = aligned_alloc(16, LISTS_BYTES);
    CHECK(lists != NULL);
    arena_init(&a->lists, lists, LISTS_BYTES);
}

void
actions_line(struct actions *a, uint32_t line, const char *text, size_t length)
{
    struct action to = {.line = line};
    const char *at = members_blanks_end(text, text + length);
    if (at == text + length || *at == '#')
        return;
    if (length > ACTIONS_LINE_MAX) {
        actions_complain(a, line, "", "the line is longer than 1 MiB");
        return;
    }
    if (!a->has_format) {
        a->has_format = true;
        a->is_csv = *at != '{';
        if (a->is_csv) {
            csv_header(a, line, text, length);
            return;
        }
    }
    if (!a->is_csv)
        json_line(a, &to, text, length);
    else if (a->columns_count <= COLUMNS_MAX)
        csv_line(a, &to, text, length);
}

void
actions_read(struct actions *a, FILE *from, const char *file)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t length;
    actions_begin(a, file);
    for (uint32_t line = 1; (length = getline(&text, &room, from)) >= 0; line++) {
        size_t cut_at =
            length > 0 && text[length - 1] == '\n' ? (size_t)length - 1 : (size_t)length;
        actions_line(a, line, text, cut_at);
    }
    if (ferror(from) != 0)
        actions_complain(a, 0, "", "the file cannot be read");
    free(text);
}

void
actions_fini(struct actions *a)
{
    for (uint32_t i = 0; i < a->count; i++) {
        free(a->actions[i].body);
        free(a->actions[i].list);
    }
    free(a->actions);
    free(a->accounts);
    free(a->columns);
    free(a->lists.bytes);
    bytes_free(&a->complaints);
    *a = (struct actions){0};
}

const code_t *
action_symbol(const struct action *a)
{
    const struct msg_field *f = msg_field_by_name(msg_layout(a->type), "symbol");
    if (f == NULL)
        return NULL;
    const code_t *symbol = (const code_t *)((const uint8_t *)a->body + f->offset);
    return code_empty(*symbol) ? NULL : symbol;
}

static int
by_time(const void *a, const void *b)
{
    const struct action *x = a, *y = b;
    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

void
actions_settle(struct actions *a, int64_t begin_us)
{
    for (uint32_t i = 0; i < a->count; i++) {
        struct action *x = &a->actions[i];
        if (x->is_offset && __builtin_add_overflow(x->at_us, begin_us, &x->at_us))
            x->at_us = INT64_MAX;
        x->is_offset = false;
    }
    if (a->count > 1)
        qsort(a->actions, a->count, sizeof *a->actions, by_time);
}
