/*
 * config_rows.h - turns a service's config.def into its struct and its rows. Included on purpose
 * more than once; it has no include guard.
 *
 * services/ledger/config.def, alphabetical by key; units and sentences are strings:
 *     CONFIG_TEXT(database, "", CONFIG_SECRET | CONFIG_NEEDED, "Connection of the journal.")
 *     CONFIG_DECIMAL(maker_fee, "0.001", "0", "0.1", "of the amount", "Fee of resting orders.")
 *     CONFIG_INT(orders_max, 1000000, 1, 100000000, "orders", "Open orders at most.")
 *     CONFIG_BOOL(verify_on_start, true, "Walk the books before serving.")
 *
 * In the service's own header, the struct: int64_t, const char *, bool and int64_t members.
 *     #define CONFIG_DEF    "ledger/config.def"
 *     #define CONFIG_STRUCT ledger_config
 *     #include "host/config_rows.h"
 *
 * In main.c, after that header, the rows: static const struct config_row ledger_config_rows[].
 *     #define CONFIG_DEF    "ledger/config.def"
 *     #define CONFIG_STRUCT ledger_config
 *     #define CONFIG_ROWS   ledger_config_rows
 *     #include "host/config_rows.h"
 *
 * Numbers are plain literals (no expressions): they are also the texts of --help. The common keys
 * of host/host.def are added by service_run() and must not be repeated.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/config.h"

#include <stdbool.h>

#ifndef CONFIG_ROWS

struct CONFIG_STRUCT {
#define CONFIG_INT(key, fallback, min, max, unit, sentence)     int64_t key;
#define CONFIG_TEXT(key, fallback, flags, sentence)             const char *key;
#define CONFIG_BOOL(key, fallback, sentence)                    bool key;
#define CONFIG_DECIMAL(key, fallback, min, max, unit, sentence) int64_t key;
#include CONFIG_DEF
};

#else

#define CONFIG_INT(key, fallback, min, max, unit, sentence)                                        \
    {#key, CONFIG_KIND_INT, offsetof(struct CONFIG_STRUCT, key), #fallback, #min, #max, unit,      \
     0,    sentence},
#define CONFIG_TEXT(key, fallback, flags, sentence)                                                \
    {#key,  CONFIG_KIND_TEXT, offsetof(struct CONFIG_STRUCT, key), fallback, NULL, NULL, "",       \
     flags, sentence},
#define CONFIG_BOOL(key, fallback, sentence)                                                       \
    {#key, CONFIG_KIND_BOOL, offsetof(struct CONFIG_STRUCT, key), #fallback, NULL, NULL, "",       \
     0,    sentence},
#define CONFIG_DECIMAL(key, fallback, min, max, unit, sentence)                                    \
    {                                                                                              \
        #key,                                                                                      \
        CONFIG_KIND_DECIMAL,                                                                       \
        offsetof(struct CONFIG_STRUCT, key),                                                       \
        fallback,                                                                                  \
        min,                                                                                       \
        max,                                                                                       \
        unit,                                                                                      \
        0,                                                                                         \
        sentence},
static const struct config_row CONFIG_ROWS[] __attribute__((unused)) = {
#include CONFIG_DEF
};

#endif

#undef CONFIG_INT
#undef CONFIG_TEXT
#undef CONFIG_BOOL
#undef CONFIG_DECIMAL
#undef CONFIG_DEF
#undef CONFIG_STRUCT
#undef CONFIG_ROWS
