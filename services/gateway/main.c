/*
 * main.c - scrip-gateway: HTTP and WebSockets in, messages to the other services out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/shell.h"

#define CONFIG_DEF    "gateway/config.def"
#define CONFIG_STRUCT gateway_config
#define CONFIG_ROWS   gateway_config_rows
#include "host/config_rows.h"

int
main(int argc, char **argv)
{
    const struct service gateway = {
        .name = "gateway",
        .rows = gateway_config_rows,
        .row_count = sizeof gateway_config_rows / sizeof gateway_config_rows[0],
        .config_size = sizeof(struct gateway_config),
        .keeps_secrets = true,
        .start = shell_start,
        .not_ready = shell_not_ready,
        .drain = shell_drain,
        .stop = shell_stop,
    };
    return service_run(&gateway, argc, argv);
}
