/*
 * gen_docs.h - one function per generated document, and what they share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TOOLS_GEN_DOCS_H
#define SCRIP_TOOLS_GEN_DOCS_H

#include "wire/codec.h"

/* At most 4095 characters a call. */
void doc_add(struct bytes *out, const char *format, ...) PRINTF(2, 3);
void doc_head(struct bytes *out, const char *title, const char *source);
void doc_cell(struct bytes *out, const char *text);

void doc_protocol(struct bytes *out);
void doc_errors(struct bytes *out);
void doc_config(struct bytes *out);

#endif
