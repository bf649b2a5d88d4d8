/*
 * symbols.h - which symbols there are, and their rules: the file's, the exchange's over them, and
 * what was added and removed while the process ran.
 *
 * A change is of one source and one symbol, and wins over the source's own list. A symbol that was
 * removed, and that no source is to give, keeps its rules: they say that it does not trade.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_SYMBOLS_H
#define SCRIP_MARKETDATA_SYMBOLS_H

#include "base/msg.h"
#include "marketdata/core/spec.h"

#define SYMBOL_CHANGES_MAX 8192u

struct symbol_change {
    code_t symbol;
    uint32_t source; /* its place in the configuration */
    bool is_removed;
    bool is_own;  /* made in this process, and not read from the database */
    bool is_kept; /* the database has it */
    bool is_out;  /* removed: from the cache too */
    int64_t changed_us;
};

struct symbols {
    const struct spec *specs; /* of the sources */
    uint32_t spec_count;
    struct symbol_rules *file, *told; /* by name; `told` by exchanges */
    uint32_t file_count, told_count;
    struct symbol_rules *merged[2]; /* the one at `at` is in use */
    struct symbol_rules *making;
    uint32_t at, count;
    uint64_t version; /* rises with every change of `merged`, over a restart too */
    struct symbol_change *changes;
    uint32_t changes_count, changes_max;
};

/* Reads the file; versions begin at `first_version`. Logs why not. `specs` is borrowed. */
MUST_USE enum err symbols_open(struct symbols *s, const char *rules_file, const struct spec *specs,
                               uint32_t spec_count, uint64_t first_version);
void symbols_close(struct symbols *s);

/* The rules of all symbols, by name. */
const struct symbol_rules *symbols_rules(const struct symbols *s, uint32_t *count);
/* An exchange tells rules; those of symbols that nobody `wants` are left out. Gives whether one of
 * them is news. */
bool symbols_hear(struct symbols *s, const struct symbol_rules *rules, uint32_t count,
                  bool (*wants)(const void *arg, code_t symbol), const void *arg);
/* Makes the list anew. Gives whether it differs: then it has a new version, and stands beside the
 * last one, which is as it was until the next time; or, with `in_place`, where that was. */
bool symbols_merge(struct symbols *s, bool in_place);

/* The change of a symbol at a source, NULL when there is none. */
struct symbol_change *symbols_change(const struct symbols *s, uint32_t source, code_t symbol);
/* Sets it; NULL when there is no room for another. */
struct symbol_change *symbols_set(struct symbols *s, uint32_t source, code_t symbol,
                                  bool is_removed, int64_t now_us);
void symbols_forget(struct symbols *s, struct symbol_change *c);
/* Whether it was removed from this source. */
bool symbols_are_barred(const struct symbols *s, uint32_t source, code_t symbol);
/* The source that is to give it, because it names it or because it was added to it; UINT32_MAX when
 * none is. (One that names none gives what comes.) */
uint32_t symbols_source(const struct symbols *s, code_t symbol);
/* Whether it is a name that a symbol can have: capital letters, digits and _. */
bool symbols_name_valid(code_t symbol);

#endif
