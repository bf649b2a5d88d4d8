/*
 * config.h - the settings of config.def as a struct.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CONFIG_H
#define SCRIP_BRIDGE_CONFIG_H

#define CONFIG_DEF    "exchange-bridge/config.def"
#define CONFIG_STRUCT bridge_config
#include "host/config_rows.h"

#endif
