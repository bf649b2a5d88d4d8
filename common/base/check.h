/*
 * check.h - broken assumptions stop the process, in release builds too.
 *
 * CHECK is for what cannot happen unless Scrip itself is wrong. Whatever a user, a peer
 * or a file can cause is an `enum err` instead (err.h); no outside byte may reach a CHECK.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BASE_CHECK_H
#define SCRIP_BASE_CHECK_H

#define MUST_USE     __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Writes "CHECK failed: file:line: text" to standard error and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *text);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            check_failed(__FILE__, __LINE__, #condition);                                          \
    } while (0)

#endif
