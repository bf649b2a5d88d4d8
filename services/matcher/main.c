/*
 * main.c - scrip-matcher: a name, a table of settings, four functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/shell/serve.h"

#define CONFIG_DEF    "matcher/config.def"
#define CONFIG_STRUCT matcher_config
#define CONFIG_ROWS   matcher_rows
#include "host/config_rows.h"

int
main(int argc, char **argv)
{
    static const struct service matcher = {
        .name = "matcher",
        .rows = matcher_rows,
        .row_count = sizeof matcher_rows / sizeof matcher_rows[0],
        .config_size = sizeof(struct matcher_config),
        .start = serve_start,
        .not_ready = serve_not_ready,
        .stop = serve_stop,
    };
    return service_run(&matcher, argc, argv);
}
