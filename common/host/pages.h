/*
 * pages.h - memory for the pools of a core: one large zeroed block straight from the kernel.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_PAGES_H
#define SCRIP_HOST_PAGES_H

#include <stddef.h>

/* Zeroed, at a huge page's boundary, and in huge pages where the kernel grants them: pools are read
 * at random, and most of what that costs is finding the page. Takes memory only where it is
 * written. NULL when there is no room. */
void *pages_take(size_t bytes);
/* `bytes` as taken. NULL is fine. */
void pages_give(void *at, size_t bytes);

#endif
