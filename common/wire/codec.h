/*
 * codec.h - messages to bytes, to log lines and back, driven by the layouts of base/msg.h.
 *
 * Bytes: a frame is a sequence of msgpack arrays [type, corr, body]; body is a map of field tag
 * to value; records are maps, lists are arrays of maps, amounts are integers, zero fields are
 * left out. The first message of a frame is always MSG_frame.
 * Text: `order_place account_id=7 symbol=BTCUSDT quantity=0.50000000`, lists in brackets:
 * `fills=[{price=1.00000000 quantity=2.00000000} {...}]`; a text field is quoted when it has
 * blanks. A log line pastes into a scenario.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_WIRE_CODEC_H
#define SCRIP_WIRE_CODEC_H

#include "base/arena.h"
#include "base/msg.h"

#define FRAME_BYTES_MAX (4u << 20) /* a larger frame is refused unread */

/* A growing byte buffer. Grows by doubling up to its limit; reused between turns. */
struct bytes {
    uint8_t *data;
    size_t length, room;
};
void bytes_free(struct bytes *b);
void bytes_clear(struct bytes *b);
/* Makes room for `more` bytes; CHECKs that memory is there. */
void bytes_reserve(struct bytes *b, size_t more);
void bytes_add(struct bytes *b, const void *data, size_t length);

/* Appends one message. Never fails: structs built by our own code are always packable. */
void msg_pack(struct bytes *out, const struct msg *m);
/* The same from a body that is not in a struct msg. `body` points to a struct of that type. */
void msg_pack_body(struct bytes *out, enum msg_type type, uint64_t corr, const void *body);
/* Packs only the body's map: what the journal keeps. */
void msg_pack_payload(struct bytes *out, enum msg_type type, const void *body);

/* Packs one record, as it would stand in a message: what the tables keep in one column. */
void msg_pack_record(struct bytes *out, enum msg_record id, const void *record);

/*
 * Reads the message that starts at *at and moves *at behind it. Lists go into `lists`.
 * Refuses with WIRE_MALFORMED (not this layout, nesting or counts past their limits, a field out
 * of its kind's range, a CODE with a NUL, enum numbers not in the table), WIRE_TOO_LARGE (a list
 * past its max, or the arena is full), WIRE_UNKNOWN (type), FIELD_MISSING (REQ),
 * NUMBER_NOT_POSITIVE (POS). After WIRE_UNKNOWN *at stands behind the message, so that a reader
 * may skip it; after the others the frame is not to be read further.
 */
MUST_USE enum err msg_unpack(const uint8_t *data, size_t length, size_t *at, struct arena *lists,
                             struct msg *out);
/* Reads what msg_pack_payload wrote. */
MUST_USE enum err msg_unpack_payload(const uint8_t *data, size_t length, enum msg_type type,
                                     struct arena *lists, struct msg *out);

/* Reads what msg_pack_record wrote; the record has no lists. */
MUST_USE enum err msg_unpack_record(const uint8_t *data, size_t length, enum msg_record id,
                                    void *record);

/* Prints as one line without a newline; SEC fields as ***. Cuts at size; returns the length. */
size_t msg_print(const struct msg *m, char *out, size_t size);
/* As msg_print for any record or message body by its layout, fields only. */
size_t msg_print_body(const struct msg_layout *l, const void *body, char *out, size_t size);
/* Reads what msg_print wrote. On refusal *field names the culprit (lent, may be ""). */
MUST_USE enum err msg_read_text(const char *line, struct arena *lists, struct msg *out,
                                code_t *field);

#endif
