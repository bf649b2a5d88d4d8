/*
 * rules_fuzz.c - exchangeInfo files: refused with a sentence, or symbols that are found again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "fuzz.h"
#include "market/rules.h"

#define SYMBOLS 16

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct symbol_rules rules[SYMBOLS];
    uint32_t count = 0;
    char why[RULES_WHY_BYTES] = "";
    if (rules_read((const char *)data, size, rules, SYMBOLS, &count, why) != OK) {
        CHECK(why[0] != 0 && strnlen(why, sizeof(why)) < sizeof(why));
        return 0;
    }
    CHECK(count >= 1 && count <= SYMBOLS);
    for (uint32_t i = 0; i < count; i++)
        CHECK(rules_find(rules, count, rules[i].symbol) == &rules[i]);
    return 0;
}
