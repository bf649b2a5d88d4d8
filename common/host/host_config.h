/*
 * host_config.h - the settings of host.def as a struct; filled by service_run().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_HOST_CONFIG_H
#define SCRIP_HOST_HOST_CONFIG_H

#define CONFIG_DEF    "host/host.def"
#define CONFIG_STRUCT host_config
#include "host/config_rows.h"

#endif
