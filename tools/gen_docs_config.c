/*
 * gen_docs_config.c - docs/config.md, from the services' config.def tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <string.h>

#include "gen_docs.h"
#include "host/config.h"

/* Only the texts of the rows matter here, so they are expanded without the structs. */
#define CONFIG_INT(key, fallback, min, max, unit, sentence)                                        \
    {#key, CONFIG_KIND_INT, 0, #fallback, #min, #max, unit, 0, sentence},
#define CONFIG_TEXT(key, fallback, flags, sentence)                                                \
    {#key, CONFIG_KIND_TEXT, 0, fallback, NULL, NULL, "", flags, sentence},
#define CONFIG_BOOL(key, fallback, sentence)                                                       \
    {#key, CONFIG_KIND_BOOL, 0, #fallback, NULL, NULL, "", 0, sentence},
#define CONFIG_DECIMAL(key, fallback, min, max, unit, sentence)                                    \
    {#key, CONFIG_KIND_DECIMAL, 0, fallback, min, max, unit, 0, sentence},

static const struct config_row common_rows[] = {
#include "host/host.def"
};
static const struct config_row gateway_rows[] = {
#include "gateway/config.def"
};
static const struct config_row ledger_rows[] = {
#include "ledger/config.def"
};
static const struct config_row matcher_rows[] = {
#include "matcher/config.def"
};
static const struct config_row marketdata_rows[] = {
#include "marketdata/config.def"
};
static const struct config_row bridge_rows[] = {
#include "exchange-bridge/config.def"
};

#define ROWS(rows) rows, sizeof(rows) / sizeof((rows)[0])

static const struct {
    const char *title;
    const struct config_row *rows;
    size_t row_count;
} tables[] = {
    {"every service", ROWS(common_rows)},  {"gateway", ROWS(gateway_rows)},
    {"ledger", ROWS(ledger_rows)},         {"matcher", ROWS(matcher_rows)},
    {"marketdata", ROWS(marketdata_rows)}, {"exchange-bridge", ROWS(bridge_rows)},
};

static const char opening[] =
    "Each setting may stand in the file given with `--config FILE` (`key = value` lines), in the\n"
    "environment as `SCRIP_<SERVICE>_<KEY>` in capitals with dashes as underscores, or be a flag\n"
    "`--key=value`. The later of these wins. An unknown key refuses to start and is named; "
    "`--help`\n"
    "of each service prints its table.\n";

static void
write_default(struct bytes *out, const struct config_row *row)
{
    if ((row->flags & CONFIG_NEEDED) != 0)
        doc_add(out, "must be given");
    else if (row->fallback[0] != 0)
        doc_add(out, "`%s`", row->fallback);
    if ((row->flags & CONFIG_SECRET) != 0)
        doc_add(out, "%ssecret", row->fallback[0] != 0 || (row->flags & CONFIG_NEEDED) ? ", " : "");
}

static void
write_range(struct bytes *out, const struct config_row *row)
{
    if (row->kind == CONFIG_KIND_BOOL)
        doc_add(out, "true or false");
    if (row->min != NULL)
        doc_add(out, "%s to %s", row->min, row->max);
    if (row->unit[0] != 0)
        doc_add(out, " %s", row->unit);
}

void
doc_config(struct bytes *out)
{
    doc_head(out, "Settings", "the config.def of each service and common/host/host.def");
    doc_add(out, "%s", opening);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        doc_add(out, "\n## %c%s\n\n", toupper((unsigned char)tables[i].title[0]),
                tables[i].title + 1);
        doc_add(out, "| key | default | values | |\n| --- | --- | --- | --- |\n");
        for (size_t k = 0; k < tables[i].row_count; k++) {
            const struct config_row *row = &tables[i].rows[k];
            doc_add(out, "| %s | ", row->key);
            write_default(out, row);
            doc_add(out, " | ");
            write_range(out, row);
            doc_add(out, " | ");
            doc_cell(out, row->sentence);
            doc_add(out, " |\n");
        }
    }
}
