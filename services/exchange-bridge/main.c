/*
 * main.c - scrip-bridge: the service's table for service_run().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/config.h"
#include "exchange-bridge/shell/serve.h"
#include "host/service.h"

#define CONFIG_DEF    "exchange-bridge/config.def"
#define CONFIG_STRUCT bridge_config
#define CONFIG_ROWS   bridge_rows
#include "host/config_rows.h"

int
main(int argc, char **argv)
{
    static const struct service bridge = {
        .name = "bridge",
        .rows = bridge_rows,
        .row_count = sizeof bridge_rows / sizeof bridge_rows[0],
        .config_size = sizeof(struct bridge_config),
        .keeps_secrets = true,
        .start = serve_start,
        .not_ready = serve_not_ready,
        .drain = serve_drain,
        .stop = serve_stop,
    };
    return service_run(&bridge, argc, argv);
}
