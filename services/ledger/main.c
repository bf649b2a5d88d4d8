/*
 * main.c - scrip-ledger: a name, a table of settings, four functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/serve.h"

#define CONFIG_DEF    "ledger/config.def"
#define CONFIG_STRUCT ledger_config
#define CONFIG_ROWS   ledger_config_rows
#include "host/config_rows.h"

int
main(int argc, char **argv)
{
    const struct service ledger = {
        .name = "ledger",
        .rows = ledger_config_rows,
        .row_count = sizeof ledger_config_rows / sizeof ledger_config_rows[0],
        .config_size = sizeof(struct ledger_config),
        .start = serve_start,
        .not_ready = serve_not_ready,
        .drain = serve_drain,
        .stop = serve_stop,
    };
    return service_run(&ledger, argc, argv);
}
