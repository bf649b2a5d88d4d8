/*
 * source.h - opening what a command reads, by --database and --archive.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_SOURCE_H
#define SCRIPCTL_SOURCE_H

#include "scripctl/command.h"
#include "scripctl/records.h"

/* NULL when there is nothing to read: that was refused, with *status. */
struct records *source_open(const struct call *c, enum status *status);
/* Refuses with why the last read failed. */
enum status source_failed(const struct call *c, const struct records *r);

#endif
