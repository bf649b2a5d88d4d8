/*
 * gw_client.h - a client of few words for the gateway of gw_stage.c: raw bytes out, one reply in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_GW_CLIENT_H
#define SCRIP_TESTS_GW_CLIENT_H

#include <stddef.h>

/* The last reply, whole, and where its body begins. */
extern char reply[];
extern const char *reply_body;

/* A new connection. */
int dial(void);
void say(int fd, const char *bytes, size_t length);
void say_text(int fd, const char *text);
/* Reads one reply into `reply`; its status, 0 at the end of the connection. */
int hear(int fd);
/* The same for an answer to HEAD, which has no body to wait for. */
int hear_head(int fd);
int ask_on(int fd, const char *method, const char *path, const char *token, const char *body);
/* The same on a connection of its own. */
int ask(const char *method, const char *path, const char *token, const char *body);
/* Status and a text in the body. */
void expect(int status, int wanted, const char *code);
/* A text member of the last reply's body. */
void member(const char *name, char *out, size_t size);
/* A new user, whose account the ledger does not open: it is away. */
void sign_in(const char *name, char token[1024], char refresh[128]);

/* ---- WebSockets ---- */

/* A connection that has asked for the upgrade; hear() has the answer. */
int stream_open(const char *path);
void stream_say(int fd, const char *text);
/* The next frame as text, in `reply`; its first byte. */
int stream_hear(int fd);
/* Sends the token in one frame of more than 125 bytes, and hears the answer. */
void stream_auth(int fd, const char *token);

#endif
