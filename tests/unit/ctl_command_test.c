/*
 * ctl_command_test.c - command lines of scripctl: what is understood, and every refusal in words.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>
#include <string.h>

#include "scripctl/table.h"
#include "scripctl/value.h"

#define NOW_US INT64_C(1795262400000000) /* 2026-11-21T12:00:00Z */

static struct command_line line;
static char why[COMMAND_WHY_BYTES];

static enum status
read_words(const char *const *words)
{
    const char *argv[WORDS_MAX + 8] = {"scripctl"};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = words[argc - 1];
    why[0] = 0;
    return command_read(&line, argc, argv, NOW_US, why);
}

#define READ(...) read_words((const char *const[]){__VA_ARGS__, NULL})

static void
forget_environment(void)
{
    unsetenv("SCRIPCTL_DATABASE");
    unsetenv("SCRIPCTL_ARCHIVE");
    unsetenv("SCRIPCTL_ENDPOINT");
    unsetenv("SCRIPCTL_REDIS");
}

TestSuite(ctl_command, .init = forget_environment);

#define TAKES(...)                                                                                 \
    do {                                                                                           \
        enum status status = READ(__VA_ARGS__);                                                    \
        cr_assert_eq(status, STATUS_OK, "%s", why);                                                \
    } while (0)

#define REFUSES(said, ...)                                                                         \
    do {                                                                                           \
        enum status status = READ(__VA_ARGS__);                                                    \
        cr_assert_eq(status, STATUS_USAGE);                                                        \
        cr_assert_str_eq(why, said);                                                               \
    } while (0)

/* ---- What is understood -----------------------------------------------------------------------
 */

Test(ctl_command, finds_commands_of_one_and_of_two_words)
{
    TAKES("journal", "list");
    cr_assert_str_eq(line.command->words, "journal list");
    TAKES("shards");
    cr_assert_str_eq(line.command->words, "shards");
    TAKES("journal", "show", "7", "12", "13");
    cr_assert_eq(line.call.words_count, 3);
    cr_assert_str_eq(line.call.words[0], "7");
    cr_assert_str_eq(line.call.words[2], "13");
}

Test(ctl_command, takes_options_anywhere_and_in_every_spelling)
{
    TAKES("--json", "journal", "-n5", "list", "--kind=order_place", "-s", "0-3,17", "--after", "9");
    const struct options *o = &line.call.o;
    cr_assert(o->json);
    cr_assert_eq(o->limit, 5);
    cr_assert_str_eq(o->kind, "order_place");
    cr_assert_eq(o->after, 9);
    cr_assert(o->shard[0] && o->shard[3] && o->shard[17] && !o->shard[4] && !o->shard[63]);
    TAKES("-jqn", "7", "journal", "list");
    cr_assert(line.call.o.json && line.call.o.quiet);
    cr_assert_eq(line.call.o.limit, 7);
}

Test(ctl_command, has_fallbacks)
{
    TAKES("journal", "list");
    const struct options *o = &line.call.o;
    cr_assert_null(o->database);
    cr_assert_eq(o->since, INT64_MIN);
    cr_assert_eq(o->until, INT64_MIN);
    cr_assert_eq(o->limit, 0);
    for (int i = 0; i < 64; i++)
        cr_assert(o->shard[i]);
}

Test(ctl_command, a_double_dash_ends_the_options)
{
    TAKES("accounts", "--", "--json");
    cr_assert_str_eq(line.call.words[0], "--json");
    cr_assert_not(line.call.o.json);
}

Test(ctl_command, the_environment_stands_for_the_sources)
{
    setenv("SCRIPCTL_DATABASE", "dbname=scrip", 1);
    setenv("SCRIPCTL_ARCHIVE", "/archive", 1);
    TAKES("journal", "list");
    cr_assert_str_eq(line.call.o.database, "dbname=scrip");
    cr_assert_str_eq(line.call.o.archive, "/archive");
    TAKES("journal", "list", "--database", "dbname=other", "--archive=");
    cr_assert_str_eq(line.call.o.database, "dbname=other");
    cr_assert_null(line.call.o.archive);
}

Test(ctl_command, the_environment_says_where_market_data_answers)
{
    setenv("SCRIPCTL_ENDPOINT", "ipc:///run/market", 1);
    TAKES("market", "add", "BTCUSDT", "--source", "2");
    cr_assert_str_eq(line.command->words, "market add");
    cr_assert_str_eq(line.call.o.endpoint, "ipc:///run/market");
    cr_assert_eq(line.call.o.source, 2);
    TAKES("market", "status", "--endpoint", "tcp://127.0.0.1:7402");
    cr_assert_str_eq(line.call.o.endpoint, "tcp://127.0.0.1:7402");
    TAKES("market", "seek", "--", "-2h");
    cr_assert_str_eq(line.call.words[0], "-2h");
}

Test(ctl_command, candles_are_loaded_by_symbol_interval_and_time)
{
    setenv("SCRIPCTL_REDIS", "unix:/run/redis", 1);
    TAKES("market", "load", "--symbol", "BTCUSDT,ETHUSDT", "--interval", "all", "--since", "-2d");
    cr_assert_str_eq(line.call.o.interval, "all");
    cr_assert_str_eq(line.call.o.redis, "unix:/run/redis");
    TAKES("market", "load", "--files", "a.zip", "--files", "b.zip,c.zip", "--build", "--redis=");
    cr_assert_eq(line.call.o.files_count, 2);
    cr_assert(line.call.o.build && line.call.o.redis == NULL);
}

Test(ctl_command, help_and_version_need_nothing_else)
{
    TAKES("--help");
    cr_assert_null(line.command);
    TAKES("--version");
    TAKES("journal", "show", "--help");
    cr_assert_str_eq(line.command->words, "journal show");
    TAKES("journal", "--help");
    cr_assert_null(line.command);
    cr_assert(help_is_group(&line.call));
    REFUSES("there is no command 'xyzzy'; scripctl --help shows them", "xyzzy", "--help");
    REFUSES("there is no command 'journal lsit'; did you mean 'journal list'?", "journal", "lsit",
            "--help");
}

/* ---- Refusals ---------------------------------------------------------------------------------
 */

Test(ctl_command, refuses_commands_that_are_none_and_says_which_were_meant)
{
    REFUSES("no command is named; scripctl --help shows them", "--json");
    REFUSES("there is no command 'shrads'; did you mean 'shards'?", "shrads");
    REFUSES("there is no command 'xyzzy'; scripctl --help shows them", "xyzzy");
    REFUSES("'journal' is followed by one of: list, show, tail", "journal");
    REFUSES("there is no command 'journal lsit'; did you mean 'journal list'?", "journal", "lsit");
    REFUSES("there is no command 'journal xyzzy'; 'journal' is followed by one of: list, show, "
            "tail",
            "journal", "xyzzy");
}

Test(ctl_command, refuses_options_that_are_none)
{
    REFUSES("there is no option --knid; did you mean --kind?", "journal", "list", "--knid", "x");
    REFUSES("there is no option --xyzzy", "journal", "list", "--xyzzy");
    REFUSES("there is no option -x", "journal", "list", "-x");
    REFUSES("'man' does not take --kind", "man", "--kind", "order_place");
    REFUSES("--json takes no value", "journal", "list", "--json=yes");
    REFUSES("--limit needs a value: COUNT", "journal", "list", "--limit");
    REFUSES("--kind needs a value: MESSAGE", "journal", "list", "--kind", "--json");
    REFUSES("--after is given twice", "journal", "list", "--after", "1", "--after=2");
}

Test(ctl_command, refuses_values_that_are_none)
{
    REFUSES("--limit takes a whole number from 0, not '-1'", "journal", "list", "--limit", "-1");
    REFUSES("--limit takes a whole number from 0, not '1.5'", "journal", "list", "--limit", "1.5");
    REFUSES("--limit takes a whole number from 0, not '9223372036854775808'", "journal", "list",
            "-n", "9223372036854775808");
    REFUSES("--shard takes shards from 0 to 63 such as 0-3,17, not '64'", "journal", "list", "-s",
            "64");
    REFUSES("--since takes a time such as 2026-11-21T12:00:00Z, 2026-11-21 or -15m, not 'noon'",
            "journal", "list", "--since", "noon");
}

Test(ctl_command, refuses_too_few_and_too_many_words)
{
    REFUSES("'journal show' needs SHARD SEQ...", "journal", "show", "1");
    REFUSES("'order' takes ORDER_ID and not '2' too", "order", "1", "2");
    REFUSES("'shards' takes no argument, such as '7'", "shards", "7");
}

Test(ctl_command, refuses_more_words_than_it_keeps)
{
    const char *words[WORDS_MAX + 4] = {"journal", "show"};
    for (uint32_t i = 2; i <= WORDS_MAX; i++)
        words[i] = "1";
    cr_assert_eq(read_words(words), STATUS_USAGE);
    cr_assert_str_eq(why, "more than 64 words");
}

Test(ctl_command, every_row_of_the_tables_makes_sense)
{
    const struct command_row *c;
    const struct option_row *o;
    for (uint32_t i = 0; (c = command_at(i)) != NULL; i++) {
        cr_assert_leq(c->least, c->most, "%s", c->words);
        cr_assert_eq(c->sentence[strlen(c->sentence) - 1], '.', "%s", c->words);
        cr_assert_eq(*c->arguments == 0, c->most == 0, "%s", c->words);
        for (uint32_t k = 0; k < i; k++)
            cr_assert_str_neq(command_at(k)->words, c->words);
    }
    for (uint32_t i = 0; (o = option_at(i)) != NULL; i++) {
        cr_assert_eq(o->sentence[strlen(o->sentence) - 1], '.', "%s", o->key);
        for (uint32_t k = 0; k < i; k++) {
            cr_assert_str_neq(option_at(k)->key, o->key);
            cr_assert(o->letter == 0 || o->letter != option_at(k)->letter, "-%c", o->letter);
        }
    }
}

Test(ctl_command, a_word_is_an_id_or_is_complained_of)
{
    cr_redirect_stderr();
    cr_assert_eq(word_id("9223372036854775807", "order"), INT64_MAX);
    cr_assert_eq(word_id("0", "order"), 0);
    cr_assert_eq(word_id("9223372036854775808", "order"), 0);
    cr_assert_eq(word_id("7x", "order"), 0);
}

/* ---- Values -----------------------------------------------------------------------------------
 */

static int64_t
time_of(const char *text)
{
    int64_t time_us = -1;
    cr_assert(value_time(text, NOW_US, &time_us), "%s", text);
    return time_us;
}

Test(ctl_value, reads_times)
{
    cr_assert_eq(time_of("2026-11-21T12:00:00Z"), NOW_US);
    cr_assert_eq(time_of("2026-11-21t12:00:00z"), NOW_US);
    cr_assert_eq(time_of("2026-11-21 12:00:00.000001Z"), NOW_US + 1);
    cr_assert_eq(time_of("2026-11-21T12:00:00.5Z"), NOW_US + 500000);
    cr_assert_eq(time_of("2026-11-21T12:00:00.123456000Z"), NOW_US + 123456);
    cr_assert_eq(time_of("2026-11-21T14:30:00+02:30"), NOW_US);
    cr_assert_eq(time_of("2026-11-21T07:00:00-05:00"), NOW_US);
    cr_assert_eq(time_of("2026-11-21"), NOW_US - INT64_C(43200000000));
    cr_assert_eq(time_of("1970-01-01"), 0);
    cr_assert_eq(time_of("2000-02-29"), INT64_C(951782400000000));
    cr_assert_eq(time_of("9999-12-31T23:59:59.999999Z"), INT64_C(253402300799999999));
    cr_assert_eq(time_of("now"), NOW_US);
    cr_assert_eq(time_of("-90s"), NOW_US - 90000000);
    cr_assert_eq(time_of("-15m"), NOW_US - INT64_C(900000000));
    cr_assert_eq(time_of("-2h"), NOW_US - INT64_C(7200000000));
    cr_assert_eq(time_of("-7d"), NOW_US - INT64_C(604800000000));
}

Test(ctl_value, refuses_what_is_no_time)
{
    static const char *const wrong[] = {"",
                                        "2026",
                                        "2026-13-01",
                                        "2026-00-01",
                                        "2026-02-29",
                                        "2100-02-29",
                                        "1969-12-31",
                                        "2026-11-21T",
                                        "2026-11-31",
                                        "2026-11-21T12",
                                        "2026-11-21T12:00:00",
                                        "2026-11-21T24:00:00Z",
                                        "-",
                                        "-m",
                                        "-5",
                                        "2026-11-21T12:60:00Z",
                                        "-5w",
                                        "--5m",
                                        "-1.5h",
                                        "2026-11-21T12:00:60Z",
                                        "5m",
                                        "-99999999999d",
                                        "2026-11-21T12:00:00.",
                                        "2026-11-21T12:00:00.1234567Z",
                                        " now",
                                        "2026-11-21Z",
                                        "2026-11-21T12:00:00+",
                                        "2026-11-21T12:00:00.Z",
                                        "2026-1-21",
                                        "-5m ",
                                        "2026-11-21T12:00:00Z ",
                                        "2026-11-21T12:00:00+24:00"};
    int64_t time_us;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert_not(value_time(wrong[i], NOW_US, &time_us), "'%s'", wrong[i]);
}

Test(ctl_value, times_come_back_as_they_were_written)
{
    char text[VALUE_TIME_BYTES];
    uint64_t draw = 7;
    cr_assert_str_eq(value_time_text(NOW_US, text), "2026-11-21T12:00:00.000000Z");
    cr_assert_str_eq(value_time_text(0, text), "1970-01-01T00:00:00.000000Z");
    cr_assert_str_eq(value_time_text(-1, text), "1969-12-31T23:59:59.999999Z");
    for (int i = 0; i < 20000; i++) {
        draw = draw * 6364136223846793005u + 1442695040888963407u;
        int64_t time_us = (int64_t)((draw >> 5) % UINT64_C(253402300799999999));
        cr_assert_eq(time_of(value_time_text(time_us, text)), time_us, "%s", text);
    }
}

Test(ctl_value, reads_shards)
{
    bool shards[64];
    cr_assert(value_shards("0-3,17", shards));
    cr_assert(shards[0] && shards[1] && shards[2] && shards[3] && shards[17]);
    cr_assert(!shards[4] && !shards[16] && !shards[63]);
    cr_assert(value_shards("63", shards));
    cr_assert(shards[63] && !shards[0]);
    static const char *const wrong[] = {"",   ",",    "1,", ",1", "3-1",  "64", "0-64",
                                        "-1", "1--2", "1-", "a",  "1, 2", " 1", "001"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert_not(value_shards(wrong[i], shards), "'%s'", wrong[i]);
}

Test(ctl_value, reads_numbers)
{
    int64_t n;
    uint64_t hex;
    cr_assert(value_int("-9223372036854775807", -INT64_MAX, INT64_MAX, &n) && n == -INT64_MAX);
    cr_assert_not(value_int("-1", 0, 5, &n));
    cr_assert_not(value_int("6", 0, 5, &n));
    cr_assert_not(value_int("", 0, 5, &n));
    cr_assert_not(value_int("+5", 0, 5, &n));
    cr_assert_not(value_int("5 ", 0, 5, &n));
    cr_assert(value_hex("f3a87991dcabbdc7", &hex) && hex == 0xf3a87991dcabbdc7u);
    cr_assert(value_hex("FFFFFFFFFFFFFFFF", &hex) && hex == UINT64_MAX);
    cr_assert_not(value_hex("", &hex));
    cr_assert_not(value_hex("0x1", &hex));
    cr_assert_not(value_hex("00000000000000000", &hex));
}
