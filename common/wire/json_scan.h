/*
 * json_scan.h - what json-c does not tell about a JSON text; private to wire/.
 *
 * json-c builds the tree, but it lets NaN and Infinity pass, clamps integers past 64 bits and
 * keeps only the last of two equal keys. One pass over the text before it finds these.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_WIRE_JSON_SCAN_H
#define SCRIP_WIRE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/code.h"

/*
 * false when a bare word is no JSON number, true, false or null, when a control character stands
 * where none may, or when containers nest deeper than depth_max. Balance and order of tokens are
 * json-c's to judge. *keys counts the object keys of the whole text.
 */
bool json_scan(const char *text, size_t length, int depth_max, size_t *keys);
/* The first key that the outermost object has twice, as written; "" when none is found. */
void json_scan_repeated(const char *text, size_t length, code_t *key);

#endif
