/*
 * prefault.h - makes memory before it is written, on a thread of its own.
 *
 * The first write to a huge page waits for the kernel to find and clear it: a tenth of a
 * millisecond, or six in a virtual machine whose host has to find it, too. Whoever knows what it
 * will write next has it made while it works on. Content never changes; what the kernel cannot do
 * is left as it was.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_PREFAULT_H
#define SCRIP_HOST_PREFAULT_H

#include <stddef.h>

struct prefault;

struct prefault *prefault_new(void);
/* Waits for the range being made; what was asked for beyond it is forgotten. */
void prefault_end(struct prefault **p);

/* Asks for whole pages of a mapping, and returns at once. Forgotten when too many wait. */
void prefault_ask(struct prefault *p, void *at, size_t bytes);

#endif
