/*
 * config.h - the gateway's settings as a struct, from config.def.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_CONFIG_H
#define SCRIP_GATEWAY_SHELL_CONFIG_H

#include <stddef.h>

#define CONFIG_DEF    "gateway/config.def"
#define CONFIG_STRUCT gateway_config
#include "host/config_rows.h"

#endif
