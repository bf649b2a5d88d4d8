/*
 * ctl_out_test.c - what scripctl writes: tables that align, JSON that parses, help, completion,
 * manual.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "random_msg.h"
#include "scripctl/out.h"
#include "scripctl/progress.h"
#include "scripctl/scratch.h"
#include "scripctl/table.h"
#include "scripctl/words.h"
#include "wire/json.h"

#include <json-c/json.h>

static char *text;
static size_t length;

static struct out *
begin(FILE **file, bool is_json)
{
    *file = open_memstream(&text, &length);
    return out_open(*file, is_json);
}

static void
finish(FILE *file, struct out **o)
{
    out_close(o);
    fclose(file);
}

static void
put_rows(struct out *o)
{
    out_table(o, "name count> amount> is_it at bytes raw");
    out_text(o, "one");
    out_int(o, -7);
    out_amount(o, 150000000);
    out_bool(o, true);
    out_time(o, INT64_C(1795262400000000));
    out_hex(o, (const uint8_t[]){0, 255}, 2);
    out_json(o, "[1]");
    out_row_end(o);
    out_text(o, NULL);
    out_uint(o, UINT64_MAX);
    out_amount(o, -1);
    out_bool(o, false);
    out_time(o, 0);
    out_hex(o, NULL, 0);
    out_json(o, "null");
    out_row_end(o);
}

Test(ctl_out, aligns_tables)
{
    FILE *file;
    struct out *o = begin(&file, false);
    put_rows(o);
    out_say(o, "That is %d.", 2);
    finish(file, &o);
    cr_assert_str_eq(
        text,
        "name                 count       amount  is it  at                           bytes  raw\n"
        "one                     -7   1.50000000  yes    2026-11-21T12:00:00.000000Z  00ff   [1]\n"
        "      18446744073709551615  -0.00000001  no                                         null\n"
        "That is 2.\n");
    free(text);
}

Test(ctl_out, writes_json_lines)
{
    FILE *file;
    struct out *o = begin(&file, true);
    put_rows(o);
    out_say(o, "Nothing of this.");
    finish(file, &o);
    cr_assert_str_eq(text,
                     "{\"name\":\"one\",\"count\":-7,\"amount\":\"1.50000000\",\"is_it\":true,"
                     "\"at\":\"2026-11-21T12:00:00.000000Z\",\"bytes\":\"00ff\",\"raw\":[1]}\n"
                     "{\"name\":null,\"count\":18446744073709551615,\"amount\":\"-0.00000001\","
                     "\"is_it\":false,\"at\":null,\"bytes\":\"\",\"raw\":null}\n");
    free(text);
}

Test(ctl_out, begins_tables_behind_each_other)
{
    FILE *file;
    struct out *o = begin(&file, false);
    out_table(o, "a b");
    out_text(o, "1");
    out_text(o, "2");
    out_row_end(o);
    out_table(o, "c");
    out_text(o, "3");
    out_row_end(o);
    finish(file, &o);
    cr_assert_str_eq(text, "a  b\n1  2\n\nc\n3\n");
    free(text);
}

Test(ctl_out, shows_no_control_characters_of_others)
{
    FILE *file;
    struct out *o = begin(&file, false);
    out_table(o, "a b");
    out_text(o, "x\033[2Jy\nz");
    out_text(o, "\xc3\xa4\x7f");
    out_row_end(o);
    finish(file, &o);
    cr_assert_str_eq(text, "a         b\nx?[2Jy?z  \xc3\xa4?\n");
    free(text);
    o = begin(&file, true);
    out_table(o, "a");
    out_text(o, "\033\"");
    out_row_end(o);
    finish(file, &o);
    cr_assert_str_eq(text, "{\"a\":\"\\u001b\\\"\"}\n");
    free(text);
}

Test(ctl_out, long_tables_flow_and_their_columns_only_grow)
{
    FILE *file;
    struct out *o = begin(&file, false);
    out_table(o, "n> last");
    for (int i = 0; i < 1000; i++) {
        out_int(o, i);
        out_text(o, "x");
        out_row_end(o);
        if (i == 500) {
            fflush(file);
            cr_assert_gt(length, 100, "rows flow before the end");
        }
    }
    finish(file, &o);
    cr_assert_not_null(strstr(text, "\n  0  x\n"));
    cr_assert_not_null(strstr(text, "\n999  x\n"));
    char *heading = strstr(text, "last");
    cr_assert_null(strstr(heading + 1, "last"), "one heading");
    free(text);
}

Test(ctl_out, an_empty_table_has_no_heading)
{
    FILE *file;
    struct out *o = begin(&file, false);
    out_table(o, "a b");
    out_say(o, "Nothing.");
    finish(file, &o);
    cr_assert_str_eq(text, "Nothing.\n");
    free(text);
}

/* ---- Nobody reads -----------------------------------------------------------------------------
 */

static int
status_of_child(int pid)
{
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

Test(ctl_out, ends_with_3_when_nobody_can_read_it)
{
    int pid = fork();
    if (pid == 0) {
        FILE *full = fopen("/dev/full", "w");
        struct out *o = out_open(full, false);
        out_say(o, "Lost.");
        out_flush(o);
        _exit(0);
    }
    int status = status_of_child(pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == STATUS_FAILED, "%x", (unsigned)status);
}

static void
touch(const char *path)
{
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fclose(f);
}

Test(ctl_scratch, what_is_not_whole_is_gone_with_the_program)
{
    char whole[] = "/tmp/ctl_whole_XXXXXX", half[] = "/tmp/ctl_half_XXXXXX";
    close(mkstemp(whole));
    close(mkstemp(half));
    static const int ends[] = {SIGINT, SIGTERM, 0};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        touch(half);
        int pid = fork();
        if (pid == 0) {
            scratch_init();
            if (!scratch_add(whole) || !scratch_add(half))
                _exit(9);
            scratch_keep(whole);
            if (ends[i] == 0)
                exit(0);
            raise(ends[i]);
            _exit(8);
        }
        int status = status_of_child(pid);
        if (ends[i] == 0)
            cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        else
            cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == ends[i]);
        cr_assert_eq(access(half, F_OK), -1);
        cr_assert_eq(access(whole, F_OK), 0);
    }
    unlink(whole);
}

Test(ctl_scratch, has_an_end)
{
    char path[SCRATCH_PATH_BYTES + 1];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = 0;
    cr_assert_not(scratch_add(path));
    for (int i = 0; i < SCRATCH_FILES_MAX; i++)
        cr_assert(scratch_add("/nowhere/at/all"));
    cr_assert_not(scratch_add("/nowhere/at/all"));
    scratch_keep("/nowhere/at/all");
    cr_assert(scratch_add("/nowhere/at/all"));
    scratch_keep("/nowhere/at/all");
}

Test(ctl_progress, says_nothing_of_short_work)
{
    struct progress p;
    cr_redirect_stderr();
    progress_begin(&p, "verifying", "records", 100, false);
    progress_add(&p, 100);
    progress_end(&p);
    fflush(stderr);
    cr_assert_eq(fgetc(cr_get_redirected_stderr()), EOF);
}

/* ---- By the tables ----------------------------------------------------------------------------
 */

static char *
help_of(const struct command_row *c)
{
    FILE *file = open_memstream(&text, &length);
    help_print(file, c);
    fclose(file);
    return text;
}

Test(ctl_help, names_every_command_and_every_option_of_each)
{
    const struct command_row *c;
    const struct option_row *o;
    char name[OPTION_NAME_BYTES], said[OPTION_NAME_BYTES + 4];
    char *all = help_of(NULL);
    for (uint32_t i = 0; (c = command_at(i)) != NULL; i++) {
        cr_assert_not_null(strstr(all, c->words), "%s", c->words);
        char *one = help_of(c);
        for (uint32_t k = 0; (o = option_at(k)) != NULL; k++) {
            snprintf(said, sizeof(said), " --%s", option_name(o, name));
            cr_assert(!command_takes(c, k) || strstr(one, said) != NULL, "%s%s", c->words, said);
        }
        for (char *at = one; *at != 0; at += strcspn(at, "\n") + 1)
            cr_assert_leq(strcspn(at, "\n"), 100, "%.*s", (int)strcspn(at, "\n"), at);
        free(one);
    }
    free(all);
}

static char *
output_of(enum status (*command)(const struct call *c), const char *word)
{
    struct call call = {.words = {word}, .words_count = word == NULL ? 0 : 1};
    FILE *file = open_memstream(&text, &length);
    call.out = out_open(file, false);
    enum status status = command(&call);
    cr_assert_eq(status, STATUS_OK);
    out_close(&call.out);
    fclose(file);
    return text;
}

Test(ctl_help, completion_knows_every_command_and_option)
{
    const struct command_row *c;
    const struct option_row *o;
    char name[OPTION_NAME_BYTES], said[OPTION_NAME_BYTES + 4];
    static const char *const shells[] = {"bash", "zsh"};
    for (int i = 0; i < 2; i++) {
        char *script = output_of(completion, shells[i]);
        for (uint32_t k = 0; (c = command_at(k)) != NULL; k++) {
            snprintf(said, sizeof(said), "'%s'", c->words);
            cr_assert_not_null(strstr(script, said), "%s", said);
        }
        for (uint32_t k = 0; (c = command_at(k)) != NULL; k++)
            for (uint32_t n = 0; (o = option_at(n)) != NULL; n++) {
                snprintf(said, sizeof(said), "--%s", option_name(o, name));
                cr_assert(!command_takes(c, n) || strstr(script, said) != NULL, "%s", said);
            }
        free(script);
    }
}

/* Every line is a request that man(7) knows, or text that begins with none. */
Test(ctl_help, the_manual_is_roff)
{
    static const char *const requests[] = {".TH ", ".SH ", ".TP", ".B ", ".br"};
    char *page = output_of(man, NULL);
    const struct command_row *c;
    for (char *at = page; *at != 0; at += strcspn(at, "\n") + 1) {
        bool is_known = *at != '.' && *at != '\'';
        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
            is_known |= strncmp(at, requests[i], strlen(requests[i])) == 0;
        cr_assert(is_known, "%.*s", (int)strcspn(at, "\n"), at);
    }
    for (uint32_t i = 0; (c = command_at(i)) != NULL; i++)
        cr_assert_not_null(strstr(page, c->words), "%s", c->words);
    free(page);
}

/* ---- Messages in words ------------------------------------------------------------------------
 */

static const char *
words_of(const struct msg *m)
{
    static struct bytes said;
    bytes_clear(&said);
    words_message(&said, m);
    return words_text(&said);
}

Test(ctl_words, orders_are_told_as_they_were_asked_for)
{
    struct msg m = {.type = MSG_order_place};
    m.order_place = (struct order_place){.side = SIDE_BUY,
                                         .type = ORDER_TYPE_LIMIT,
                                         .symbol = code_of("BTCUSDT"),
                                         .quantity = {50000000},
                                         .price = {INT64_C(6400000000000)},
                                         .time_in_force = TIME_IN_FORCE_GTC,
                                         .quote_asset = code_of("USDT")};
    cr_assert_str_eq(words_of(&m), "BUY LIMIT 0.5 BTCUSDT at 64000");
    m.order_place.time_in_force = TIME_IN_FORCE_IOC;
    m.order_place.client_order_id = (struct cid){"a-1"};
    cr_assert_str_eq(words_of(&m), "BUY LIMIT 0.5 BTCUSDT at 64000, IOC, called a-1");
    m.order_place = (struct order_place){.side = SIDE_SELL,
                                         .type = ORDER_TYPE_TRAILING_STOP,
                                         .symbol = code_of("BTCUSDT"),
                                         .quantity = {100000000},
                                         .stop_price = {INT64_C(5000000000000)},
                                         .trailing_delta = 100,
                                         .trigger_source = TRIGGER_SOURCE_MARK};
    cr_assert_str_eq(words_of(&m), "SELL TRAILING_STOP 1 BTCUSDT, stop 50000, trailing by 100 bps, "
                                   "watching MARK");
    m.order_place = (struct order_place){.side = SIDE_BUY,
                                         .type = ORDER_TYPE_MARKET,
                                         .symbol = code_of("BTCUSDT"),
                                         .quote_order_quantity = {INT64_C(100000000000)},
                                         .quote_asset = code_of("USDT")};
    cr_assert_str_eq(words_of(&m), "BUY MARKET BTCUSDT for 1000 USDT");
}

Test(ctl_words, reports_are_told_by_what_they_did)
{
    const struct match_fill fills[] = {{.price = {100000000}, .quantity = {20000000}},
                                       {.price = {200000000}, .quantity = {30000000}}};
    struct msg m = {.type = MSG_order_report};
    m.order_report = (struct order_report){
        .order_id = 9, .fills = fills, .fills_count = 2, .end = ORDER_END_COMPLETE};
    cr_assert_str_eq(words_of(&m), "order 9: filled 0.5 at 1 to 2 in 2 fills, all of it is filled");
    m.order_report = (struct order_report){.order_id = 9, .was_pulled = true};
    cr_assert_str_eq(words_of(&m), "order 9, nothing new");
}

/* What the journal has is what is shown, hidden fields and all. */
Test(ctl_words, json_has_every_field_and_exact_amounts)
{
    struct bytes json = {NULL, 0, 0};
    const struct balance_set set = {.account_id = 7,
                                    .trading_type = TRADING_TYPE_spot,
                                    .balance = {INT64_MAX},
                                    .changed_by = 3,
                                    .command_id = UINT64_MAX};
    words_json(&json, msg_layout(MSG_balance_set), &set, false);
    cr_assert_str_eq(
        words_text(&json),
        "{\"account_id\":7,\"trading_type\":\"spot\",\"balance\":\"92233720368.54775807"
        "\",\"changed_by\":3,\"command_id\":18446744073709551615}");
    const struct order order = {.order_id = 5, .created_us = INT64_C(1795262400000000)};
    json.length = 0;
    words_json(&json, msg_record_at(MSG_RECORD_order), &order, true);
    cr_assert_not_null(strstr(words_text(&json), "\"created\":\"2026-11-21T12:00:00.000000Z\""));
    cr_assert_not_null(strstr(words_text(&json), "\"held\":\"0.00000000\""));
    cr_assert_null(strstr(words_text(&json), "stop_price"));
    bytes_free(&json);
}

/* Whatever a journal may hold, at the ends of its ranges: it is told in one line, and its JSON
 * parses. */
Test(ctl_words, every_message_can_be_told)
{
    struct random random = {.state = 5};
    struct arena lists;
    static struct msg m;
    arena_init(&lists, aligned_alloc(16, 4 << 20), 4 << 20);
    for (uint32_t i = 0; i < 20000; i++) {
        const struct msg_layout *l = msg_layout_at(i % 64);
        if (l == NULL || strcmp(l->effect, "MUTATES") != 0)
            continue;
        arena_reset(&lists);
        random_msg(&random, l, 3, &lists, &m);
        cr_assert_gt(strlen(words_of(&m)), 3);
        struct bytes json = {NULL, 0, 0};
        words_json(&json, l, msg_body_const(&m), i % 2 == 0);
        struct json_object *parsed = json_parse(words_text(&json), json.length, 16);
        cr_assert_not_null(parsed, "%s", words_text(&json));
        json_object_put(parsed);
        bytes_free(&json);
    }
    free(lists.bytes);
}
