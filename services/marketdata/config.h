/*
 * config.h - struct marketdata_config, from config.def.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_CONFIG_H
#define SCRIP_MARKETDATA_CONFIG_H

#define CONFIG_DEF    "marketdata/config.def"
#define CONFIG_STRUCT marketdata_config
#include "host/config_rows.h"

#endif
