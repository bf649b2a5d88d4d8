/*
 * check.c - the last words of a process whose own assumption broke.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void
check_failed(const char *file, int line, const char *text)
{
    fprintf(stderr, "CHECK failed: %s:%d: %s\n", file, line, text);
    fflush(stderr);
    abort();
}
