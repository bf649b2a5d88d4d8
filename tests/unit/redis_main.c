/*
 * redis_main.c - Criterion's main() of tests on a real Redis: skipped, loudly, without one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
    if (getenv("SCRIP_TEST_REDIS") == NULL) {
        fprintf(stderr, "SKIPPED: SCRIP_TEST_REDIS names no Redis server; ./scrip test does\n");
        return 77;
    }
    struct criterion_test_set *tests = criterion_initialize();
    int status = 0;
    if (criterion_handle_args(argc, argv, true))
        status = criterion_run_all_tests(tests) ? 0 : 1;
    criterion_finalize(tests);
    return status;
}
