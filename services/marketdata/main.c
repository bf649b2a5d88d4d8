/*
 * main.c - scrip-marketdata: the service's table for service_run().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/service.h"
#include "marketdata/config.h"
#include "marketdata/shell/serve.h"

#define CONFIG_DEF    "marketdata/config.def"
#define CONFIG_STRUCT marketdata_config
#define CONFIG_ROWS   marketdata_rows
#include "host/config_rows.h"

int
main(int argc, char **argv)
{
    static const struct service marketdata = {
        .name = "marketdata",
        .rows = marketdata_rows,
        .row_count = sizeof marketdata_rows / sizeof marketdata_rows[0],
        .config_size = sizeof(struct marketdata_config),
        .start = serve_start,
        .not_ready = serve_not_ready,
        .drain = serve_drain,
        .stop = serve_stop,
    };
    return service_run(&marketdata, argc, argv);
}
