/*
 * config.h - one table per service gives the struct, the parser, --help and docs/config.md.
 *
 * A service writes services/<name>/config.def with rows
 *     CONFIG_INT(key, default, min, max, unit, sentence)
 *     CONFIG_TEXT(key, default, flags, sentence)          flags: 0, CONFIG_SECRET, CONFIG_NEEDED
 *     CONFIG_BOOL(key, default, sentence)
 *     CONFIG_DECIMAL(key, "default", "min", "max", unit, sentence)      int64 of 10^-8
 * alphabetical by key, and expands it with config_rows.h into `struct <name>_config` and its rows.
 * Later sources win: defaults, the file given with --config FILE, the environment
 * (SCRIP_<SERVICE>_<KEY>, dashes as underscores), flags (--key=value). An unknown key in the file
 * or among the flags, or an unknown SCRIP_<SERVICE>_ variable, refuses to start and names it.
 * Common rows (name, probe_endpoint, log_level ...) are in common/host/host.def.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_CONFIG_H
#define SCRIP_HOST_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum config_kind { CONFIG_KIND_INT, CONFIG_KIND_TEXT, CONFIG_KIND_BOOL, CONFIG_KIND_DECIMAL };
enum config_flag { CONFIG_SECRET = 1, CONFIG_NEEDED = 2 };

struct config_row {
    const char *key;
    enum config_kind kind;
    size_t offset;         /* int64_t, const char *, bool or int64_t in the struct */
    const char *fallback;  /* the default as text */
    const char *min, *max; /* as text; NULL = none */
    const char *unit;
    int flags;
    const char *sentence;
};

/*
 * Fills `config` from all sources. Returns CONFIG_UNKNOWN_KEY or CONFIG_BAD_VALUE after printing
 * the reason to `errors`. Texts are owned by the config until the process ends.
 * --help prints the table to standard output and exits 0; --version likewise.
 */
MUST_USE enum err config_read(const char *service, const struct config_row *rows, size_t row_count,
                              void *config, int argc, char **argv, FILE *errors);
/* One line per setting, secrets as ***. */
void config_print(const struct config_row *rows, size_t row_count, const void *config, FILE *to);
/* The rows as a Markdown table, for docs/config.md. */
void config_markdown(const struct config_row *rows, size_t row_count, FILE *to);

#endif
