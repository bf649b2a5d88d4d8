/*
 * store_fake.h - the journal of a test: in memory, and only as fast and as reliable as it is told.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_STORE_FAKE_H
#define SCRIP_HOST_STORE_FAKE_H

#include "host/store.h"

/* Up from the start, with an empty journal. `watch` is copied and may be NULL. */
struct store *store_fake_open(const struct store_watch *watch);

/* Completes the oldest call with this outcome; STORE_DONE does it (an append whose numbers are
 * there already then gives STORE_TAKEN, one whose `after` is not there STORE_GAP), the others do
 * nothing. False when nothing is called. */
bool store_fake_step(struct store *s, enum store_outcome outcome);
/* Loses the connection: all calls are answered STORE_LOST, on_down is called. The first `keep`
 * appends in flight were done before, as far as they can be. */
void store_fake_break(struct store *s, uint32_t keep);
void store_fake_mend(struct store *s);
/* While present, lease_take gives epoch 0. */
void store_fake_other_owner(struct store *s, bool present);
/* From then on breaks its promise: an append is done whether its `after` is there or not. */
void store_fake_keep_gaps(struct store *s, bool kept);
/* Loses the record that was kept last, as a database does that is set back in time. */
void store_fake_forget(struct store *s);

uint32_t store_fake_count(const struct store *s);
/* NULL past the end. */
const struct journal_record *store_fake_at(const struct store *s, uint32_t index);
/* Calls that wait for store_fake_step(). */
uint32_t store_fake_calls(const struct store *s);

#endif
