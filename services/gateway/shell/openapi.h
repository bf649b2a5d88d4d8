/*
 * openapi.h - the OpenAPI 3 description, written from the routes and the messages' layouts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_OPENAPI_H
#define SCRIP_GATEWAY_SHELL_OPENAPI_H

#include "gateway/shell/route.h"
#include "wire/codec.h"

void openapi_write(const struct routes *routes, struct bytes *out);

/* ---- openapi_audit.c ---- */

/* Each with a comma behind it. */
extern const char openapi_audit_schemas[];
void openapi_audit_parameters(const struct route *r, struct bytes *out);

#endif
