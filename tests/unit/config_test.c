/*
 * config_test.c - sources and their order, and every refusal of the configuration engine.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIG_DEF    "../tests/unit/config_test.def"
#define CONFIG_STRUCT test_config
#include "host/config_rows.h"

#define CONFIG_DEF    "../tests/unit/config_test.def"
#define CONFIG_STRUCT test_config
#define CONFIG_ROWS   test_rows
#include "host/config_rows.h"

#define ROW_COUNT (sizeof test_rows / sizeof test_rows[0])

static struct test_config config;
static char errors[4096];

/* Reads with these flags, ended by NULL; what was said goes to `errors`. */
static enum err
read_flags(const char *const *flags)
{
    char *argv[16] = {(char *)"scrip-test-svc"};
    int argc = 1;
    while (flags[argc - 1] != NULL) {
        argv[argc] = (char *)flags[argc - 1];
        argc++;
    }
    memset(errors, 0, sizeof errors);
    FILE *f = fmemopen(errors, sizeof errors - 1, "w");
    enum err e = config_read("test-svc", test_rows, ROW_COUNT, &config, argc, argv, f);
    fclose(f);
    return e;
}

#define READ(...) read_flags((const char *const[]){__VA_ARGS__, NULL})

static void
refused(enum err e, enum err expected, const char *said)
{
    cr_assert_eq(e, expected, "%s: %s", said, errors);
    cr_assert_not_null(strstr(errors, said), "expected `%s`, was `%s`", said, errors);
}

static char path[] = "/tmp/scrip-config-test-XXXXXX";

static void
file_write(const char *text)
{
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void
file_remove(void)
{
    unlink(path);
}

TestSuite(config, .fini = file_remove);

Test(config, defaults_fill_every_key)
{
    cr_assert_eq(READ("--database=x"), OK, "%s", errors);
    cr_assert_str_eq(config.database, "x");
    cr_assert_eq(config.fee_rate, 100000);
    cr_assert_str_eq(config.label, "none");
    cr_assert_eq(config.orders_max, 1000);
    cr_assert(config.verify);
}

Test(config, later_sources_win)
{
    file_write("# a file\n"
               "database = host=/run user=scrip   # a comment\n"
               "\n"
               "orders_max=1\n"
               "  label =  from file \n"
               "fee_rate = 0.05\n"
               "verify = off");
    setenv("SCRIP_TEST_SVC_LABEL", "from environment", 1);
    setenv("SCRIP_TEST_SVC_ORDERS_MAX", "2", 1);
    cr_assert_eq(READ("--orders-max=3", "--config", path), OK, "%s", errors);
    cr_assert_str_eq(config.database, "host=/run user=scrip");
    cr_assert_str_eq(config.label, "from environment");
    cr_assert_eq(config.orders_max, 3);
    cr_assert_eq(config.fee_rate, 5000000);
    cr_assert_not(config.verify);
}

Test(config, a_needed_key_must_be_set)
{
    refused(READ("--verify=true"), ERR_CONFIG_BAD_VALUE, "database");
    refused(READ("--database="), ERR_CONFIG_BAD_VALUE, "must not be empty");
}

Test(config, unknown_keys_are_refused_and_named)
{
    refused(READ("--database=x", "--colour=red"), ERR_CONFIG_UNKNOWN_KEY,
            "flags: there is no setting colour");
    setenv("SCRIP_TEST_SVC_COLOUR", "red", 1);
    refused(READ("--database=x"), ERR_CONFIG_UNKNOWN_KEY, "SCRIP_TEST_SVC_COLOUR");
    unsetenv("SCRIP_TEST_SVC_COLOUR");
    setenv("SCRIP_TEST_OTHER", "another service's", 1);
    cr_assert_eq(READ("--database=x"), OK, "%s", errors);
    file_write("database = x\ncolour = red\n");
    char said[128];
    snprintf(said, sizeof said, "%s:2: there is no setting colour", path);
    refused(READ("--config", path), ERR_CONFIG_UNKNOWN_KEY, said);
}

Test(config, values_out_of_range_name_key_value_limits_and_source)
{
    refused(READ("--database=x", "--orders_max=0"), ERR_CONFIG_BAD_VALUE,
            "flags: orders_max = 0 is refused: it takes an integer from 1 to 100000 orders");
    refused(READ("--database=x", "--orders_max=100001"), ERR_CONFIG_BAD_VALUE, "100001");
    setenv("SCRIP_TEST_SVC_FEE_RATE", "0.10000001", 1);
    refused(READ("--database=x"), ERR_CONFIG_BAD_VALUE,
            "environment SCRIP_TEST_SVC_FEE_RATE: fee_rate = 0.10000001 is refused: it takes a "
            "decimal from 0 to 0.1 of the amount");
}

Test(config, values_of_the_wrong_kind_are_refused)
{
    static const char *const flags[] = {
        "--orders_max=",
        "--orders_max=1.5",
        "--orders_max=0x10",
        "--orders_max=+1",
        "--orders_max= 7",
        "--orders_max=7 ",
        "--orders_max=1e3",
        "--orders_max=-",
        "--orders_max=99999999999999999999",
        "--fee_rate=1e-3",
        "--fee_rate=",
        "--fee_rate=NaN",
        "--fee_rate=0.000000001",
        "--fee_rate=-0.1",
        "--verify=maybe",
        "--verify=",
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        cr_assert_eq(READ("--database=x", flags[i]), ERR_CONFIG_BAD_VALUE, "%s", flags[i]);
}

Test(config, flags_of_another_form_are_refused)
{
    refused(READ("database=x"), ERR_CONFIG_UNKNOWN_KEY, "is not --key=value");
    refused(READ("database=password"), ERR_CONFIG_UNKNOWN_KEY, "database is not --key=value");
    cr_assert_null(strstr(errors, "password"), "what stands behind the = may be secret");
    refused(READ("--database"), ERR_CONFIG_UNKNOWN_KEY, "is not --key=value");
    refused(READ("--config"), ERR_CONFIG_BAD_VALUE, "needs a file name");
    refused(READ("--config=a", "--config=b"), ERR_CONFIG_BAD_VALUE, "given twice");
    refused(READ("--config=/nonexistent/file"), ERR_CONFIG_BAD_VALUE, "cannot be read");
}

Test(config, lines_of_another_form_are_refused)
{
    file_write("database x\n");
    refused(READ("--config", path), ERR_CONFIG_BAD_VALUE, ":1: a line is not `key = value`");
}

Test(config, a_key_twice_in_the_file_is_refused)
{
    file_write("label = a\nlabel = b\n");
    refused(READ("--config", path), ERR_CONFIG_BAD_VALUE, ":2: label is set twice");
}

Test(config, a_secret_is_never_printed)
{
    char text[1024] = "";
    cr_assert_eq(READ("--database=password=hunter2", "--label=shown"), OK);
    FILE *f = fmemopen(text, sizeof text, "w");
    config_print(test_rows, ROW_COUNT, &config, f);
    fclose(f);
    cr_assert_str_eq(text, "database = ***\n"
                           "fee_rate = 0.001\n"
                           "label = shown\n"
                           "orders_max = 1000\n"
                           "verify = true\n");
}

Test(config, the_rows_make_a_table_for_the_documentation)
{
    char text[2048] = "";
    FILE *f = fmemopen(text, sizeof text, "w");
    config_markdown(test_rows, ROW_COUNT, f);
    fclose(f);
    cr_assert_not_null(strstr(text, "| `database` | text | must be set |  | Where the journal is. "
                                    "Secret: never printed. |\n"));
    cr_assert_not_null(
        strstr(text, "| `orders_max` | integer | `1000` | 1 to 100000 orders | Open orders "));
}

/* --help and --version end the process: so they are asked in another one. */
static void
ask(const char *flag, const char *expected)
{
    int fds[2];
    char text[4096] = "";
    cr_assert_eq(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(fds[1], STDOUT_FILENO);
        (void)!READ(flag);
        _exit(9);
    }
    close(fds[1]);
    size_t length = 0;
    ssize_t n;
    while ((n = read(fds[0], text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)n;
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_assert_not_null(strstr(text, expected), "%s", text);
    close(fds[0]);
}

Test(config, help_and_version_answer_and_end)
{
    ask("--help", "  --orders_max=integer\n      Open orders at most.\n"
                  "      Default 1000. From 1 to 100000 orders.\n");
    ask("--help", "SCRIP_TEST_SVC_KEY");
    ask("--version", "scrip-test-svc ");
}
