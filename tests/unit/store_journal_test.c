/*
 * store_journal_test.c - group commit and output commit on the fake store, step by step.
 *
 * What is proved: nothing is released before the commit that covers it, releases keep their order,
 * and a commit whose outcome nobody knows is neither lost nor done twice.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "host/store_fake.h"
#include "ledger/core/ledger.h"
#include "ledger/shell/journal.h"

#define DELAY_US 2000
#define STALL_US 1000000

static struct store *store;
static struct journal *journal;
static int64_t now_us;
static char released[4096]; /* "r1 e7 ...": replies by corr, events by account */
static char fenced[128];

static void
on_reply(void *arg, uint32_t peer, const uint8_t *data, size_t length)
{
    (void)arg, (void)data, (void)length;
    size_t at = strlen(released);
    snprintf(released + at, sizeof released - at, "r%u ", peer);
}

static void
on_event(void *arg, uint64_t account_id, const uint8_t *data, size_t length)
{
    (void)arg, (void)data, (void)length;
    size_t at = strlen(released);
    snprintf(released + at, sizeof released - at, "e%d ", (int)account_id);
}

static void
on_fenced(void *arg, const char *why)
{
    (void)arg;
    snprintf(fenced, sizeof fenced, "%s", why);
}

static void
begin(void)
{
    store = store_fake_open(NULL);
    now_us = 1000;
    released[0] = fenced[0] = '\0';
    journal = journal_new(&(struct journal_options){
        .store = store,
        .records_max = 100,
        .bytes_max = 1 << 20,
        .held_max = 4 * LEDGER_OUT_MAX,
        .delay_us = DELAY_US,
        .stall_us = STALL_US,
        .on_reply = on_reply,
        .on_event = on_event,
        .on_fenced = on_fenced,
    });
}

static void
end(void)
{
    journal_destroy(&journal);
    store_close(&store);
}

TestSuite(store_journal, .init = begin, .fini = end);

static void
append(uint16_t shard)
{
    struct msg cmd = {.type = MSG_account_open, .corr = 5};
    cmd.account_open = (struct account_open){.account_id = 7, .user_id = 8};
    journal_append(journal, shard, &cmd, code_of("gateway-0"), now_us);
}

static void
reply(uint32_t peer)
{
    struct msg m = {.type = MSG_account_view, .corr = peer};
    m.account_view.account_id = 7;
    journal_reply(journal, peer, &m);
}

static void
event(uint64_t account_id)
{
    struct msg m = {.type = MSG_event_balance};
    m.event_balance.account_id = account_id;
    journal_event(journal, account_id, &m);
}

static void
turn(void)
{
    journal_turn(journal, now_us);
}

static void
turn_after(int64_t us)
{
    now_us += us;
    turn();
}

static void
expect_released(const char *what)
{
    cr_expect_str_eq(released, what);
    released[0] = '\0';
}

Test(store_journal, a_reply_leaves_only_with_its_commit)
{
    append(0);
    reply(1);
    turn();
    expect_released("");
    cr_expect_eq(store_fake_calls(store), 1);
    cr_expect(store_fake_step(store, STORE_DONE));
    expect_released("r1 ");
    cr_expect(journal_is_empty(journal));
    cr_expect_eq(journal_committed(journal, 0), 1);
}

Test(store_journal, what_rests_on_nothing_uncommitted_leaves_at_once)
{
    reply(1);
    event(7);
    expect_released("r1 e7 ");
}

Test(store_journal, a_read_waits_for_what_was_applied_before_it)
{
    append(0);
    reply(1);
    turn();   /* on its way */
    reply(2); /* a read behind it: same commit */
    append(0);
    reply(3);
    turn();   /* on its way, too */
    reply(4); /* a read behind both */
    append(0);
    reply(5);
    reply(6); /* a read behind all */
    expect_released("");
    store_fake_step(store, STORE_DONE);
    expect_released("r1 r2 ");
    store_fake_step(store, STORE_DONE);
    expect_released("r3 r4 ");
    turn();
    expect_released("");
    store_fake_step(store, STORE_DONE);
    expect_released("r5 r6 ");
}

Test(store_journal, two_batches_at_a_time_and_the_next_takes_all_that_came)
{
    for (uint32_t i = 1; i <= 9; i++) {
        append((uint16_t)(i % 3));
        reply(i);
        turn();
    }
    cr_expect_eq(store_fake_calls(store), 2);
    store_fake_step(store, STORE_DONE);
    expect_released("r1 ");
    turn();
    cr_expect_eq(store_fake_calls(store), 2);
    store_fake_step(store, STORE_DONE);
    expect_released("r2 ");
    turn();
    cr_expect_eq(store_fake_calls(store), 1);
    store_fake_step(store, STORE_DONE);
    expect_released("r3 r4 r5 r6 r7 r8 r9 ");
    cr_expect_eq(store_fake_count(store), 9);
}

Test(store_journal, a_batch_nobody_waits_for_waits_for_company)
{
    append(0);
    event(7);
    turn();
    turn_after(DELAY_US - 1);
    cr_expect_eq(store_fake_calls(store), 0);
    cr_expect_eq(journal_wake_us(journal), 1000 + DELAY_US);
    turn_after(1);
    cr_expect_eq(store_fake_calls(store), 1);
    store_fake_step(store, STORE_DONE);
    expect_released("e7 ");
}

Test(store_journal, a_reply_ends_the_wait)
{
    append(0);
    turn();
    cr_expect_eq(store_fake_calls(store), 0);
    append(0);
    reply(1);
    turn();
    cr_expect_eq(store_fake_calls(store), 1);
    store_fake_step(store, STORE_DONE);
    cr_expect_eq(store_fake_count(store), 2);
}

Test(store_journal, sequence_and_hash_run_on_per_shard)
{
    struct journal_hasher *h = journal_hasher_new();
    uint8_t before[3][HASH_BYTES] = {{0}}, hash[HASH_BYTES];
    for (uint16_t i = 0; i < 12; i++) {
        append((uint16_t)(i % 3));
        reply(1);
        turn();
        store_fake_step(store, STORE_DONE);
    }
    for (uint32_t i = 0; i < 12; i++) {
        const struct journal_record *r = store_fake_at(store, i);
        cr_assert_eq(r->seq, i / 3 + 1);
        journal_hash(h, before[r->shard], r, hash);
        cr_assert_arr_eq(hash, r->hash, HASH_BYTES);
        memcpy(before[r->shard], hash, HASH_BYTES);
    }
    journal_hasher_destroy(&h);
}

/* What an anchor may vouch for. */
Test(store_journal, the_hash_of_what_is_committed_stays_behind_the_head)
{
    uint8_t hash[HASH_BYTES], head[HASH_BYTES], nothing[HASH_BYTES] = {0};
    append(2);
    append(2);
    reply(1);
    turn();
    journal_committed_hash(journal, 2, hash);
    cr_expect_arr_eq(hash, nothing, HASH_BYTES);
    cr_expect(store_fake_step(store, STORE_DONE));
    journal_committed_hash(journal, 2, hash);
    cr_expect_arr_eq(hash, store_fake_at(store, 1)->hash, HASH_BYTES);
    append(2);
    journal_committed_hash(journal, 2, hash);
    journal_head_hash(journal, 2, head);
    cr_expect_arr_eq(hash, store_fake_at(store, 1)->hash, HASH_BYTES);
    cr_expect_arr_neq(head, hash, HASH_BYTES);
    journal_set_head(journal, 2, 9, head);
    journal_committed_hash(journal, 2, hash);
    cr_expect_arr_eq(hash, head, HASH_BYTES);
}

Test(store_journal, lost_but_kept_is_found_and_released_once)
{
    append(2);
    reply(1);
    turn();
    store_fake_break(store, 1);
    cr_expect_not(journal_is_writable(journal, now_us));
    turn();
    expect_released("");
    store_fake_mend(store);
    turn(); /* asks */
    cr_expect_eq(journal_state_now(journal), JOURNAL_ASKING);
    store_fake_step(store, STORE_DONE);
    expect_released("r1 ");
    turn();
    cr_expect_eq(store_fake_calls(store), 0);
    cr_expect_eq(store_fake_count(store), 1);
    cr_expect(journal_is_writable(journal, now_us));
}

Test(store_journal, lost_and_gone_is_sent_again)
{
    append(2);
    append(3);
    reply(1);
    turn();
    store_fake_break(store, 0);
    append(2);
    reply(2);
    turn();
    store_fake_mend(store);
    turn();
    store_fake_step(store, STORE_DONE); /* asked: absent */
    expect_released("");
    turn();
    store_fake_step(store, STORE_DONE); /* sent again */
    expect_released("r1 ");
    turn();
    store_fake_step(store, STORE_DONE);
    expect_released("r2 ");
    cr_expect_eq(store_fake_count(store), 3);
}

/* ---- Two batches on their way, and the first of them fails -------------------------------- */

static void
send_two(void)
{
    append(2);
    append(3);
    reply(1);
    turn();
    append(2);
    reply(2);
    turn();
    append(3);
    reply(3);
    turn();
    cr_expect_eq(store_fake_calls(store), 2); /* the third waits */
}

/* Completes what is called, turn by turn, until nothing is left to do. */
static void
complete_all(void)
{
    turn();
    while (store_fake_step(store, STORE_DONE))
        turn_after(200000);
}

static void
expect_journal(void)
{
    const uint16_t shards[] = {2, 3, 2, 3};
    cr_assert_eq(store_fake_count(store), 4);
    for (uint32_t i = 0; i < 4; i++) {
        cr_expect_eq(store_fake_at(store, i)->shard, shards[i]);
        cr_expect_eq(store_fake_at(store, i)->seq, i / 2 + 1);
    }
    cr_expect(journal_is_empty(journal));
}

Test(store_journal, behind_a_refused_batch_the_second_never_commits)
{
    send_two();
    store_fake_step(store, STORE_REFUSED);
    turn_after(1000000);
    cr_expect_eq(store_fake_calls(store), 1); /* nothing is sent before the second is answered */
    store_fake_step(store, STORE_DONE);       /* as far as it can be: there would be a gap */
    expect_released("");
    cr_expect_eq(store_fake_count(store), 0);
    cr_expect_not(journal_is_writable(journal, now_us));
    turn();
    cr_expect_eq(store_fake_calls(store), 2); /* both again */
    complete_all();
    expect_released("r1 r2 r3 ");
    expect_journal();
}

Test(store_journal, a_refusal_of_the_second_leaves_the_first_alone)
{
    send_two();
    store_fake_step(store, STORE_DONE);
    expect_released("r1 ");
    store_fake_step(store, STORE_REFUSED);
    turn();
    cr_expect_eq(store_fake_calls(store), 0);
    turn_after(1000000);
    cr_expect_eq(store_fake_calls(store), 1);
    complete_all();
    expect_released("r2 r3 ");
    expect_journal();
}

Test(store_journal, lost_again_and_again_it_is_sent_until_it_is_there)
{
    append(2);
    reply(1);
    turn();
    for (int i = 0; i < 10; i++) {
        store_fake_break(store, 0);
        store_fake_mend(store);
        turn(); /* asks */
        store_fake_step(store, STORE_DONE);
        turn(); /* it is not there: sent again */
    }
    cr_expect_str_empty(fenced);
    store_fake_step(store, STORE_DONE);
    expect_released("r1 ");
    cr_expect_eq(store_fake_count(store), 1);
}

Test(store_journal, lost_with_two_on_their_way_neither_was_done)
{
    send_two();
    store_fake_break(store, 0);
    store_fake_mend(store);
    turn(); /* asks for the first */
    store_fake_step(store, STORE_DONE);
    turn();
    cr_expect_eq(store_fake_calls(store), 2);
    expect_released("");
    complete_all();
    expect_released("r1 r2 r3 ");
    expect_journal();
}

Test(store_journal, lost_with_two_on_their_way_the_first_was_done)
{
    send_two();
    store_fake_break(store, 1);
    store_fake_mend(store);
    turn();
    store_fake_step(store, STORE_DONE); /* asked: there */
    expect_released("r1 ");
    turn();
    cr_expect_eq(journal_state_now(journal), JOURNAL_ASKING); /* for the second */
    store_fake_step(store, STORE_DONE);
    expect_released("");
    complete_all();
    expect_released("r2 r3 ");
    expect_journal();
}

Test(store_journal, lost_with_two_on_their_way_both_were_done)
{
    send_two();
    store_fake_break(store, 2);
    cr_expect_eq(store_fake_count(store), 3);
    store_fake_mend(store);
    turn();
    store_fake_step(store, STORE_DONE);
    expect_released("r1 ");
    turn();
    store_fake_step(store, STORE_DONE);
    expect_released("r2 ");
    complete_all();
    expect_released("r3 ");
    expect_journal();
}

/* The first was sent twice, and the old sending is found in the journal; the second is new. */
Test(store_journal, behind_a_batch_that_was_there_already_the_second_waits_for_the_answer)
{
    append(2);
    reply(1);
    turn();
    store_fake_break(store, 0);
    store_fake_mend(store);
    turn();
    store_fake_step(store, STORE_DONE); /* asked: absent */
    append(2);
    reply(2);
    turn(); /* the first again */
    turn(); /* the second behind it */
    cr_expect_eq(store_fake_calls(store), 2);
    store_fake_step(store, STORE_TAKEN);
    store_fake_step(store, STORE_GAP);
    turn();
    store_fake_step(store, STORE_DONE); /* asked: absent still */
    complete_all();
    expect_released("r1 r2 ");
    cr_expect_eq(store_fake_count(store), 2);
}

Test(store_journal, a_deposed_writer_with_two_on_their_way_releases_nothing)
{
    send_two();
    store_fake_step(store, STORE_FENCED);
    cr_expect_str_not_empty(fenced);
    fenced[0] = '\0';
    store_fake_step(store, STORE_FENCED);
    cr_expect_str_empty(fenced); /* said once */
    turn_after(1000000);
    cr_expect_eq(store_fake_calls(store), 0);
    expect_released("");
    cr_expect_eq(store_fake_count(store), 0);
}

Test(store_journal, a_journal_that_lost_what_was_committed_ends_it)
{
    send_two();
    store_fake_step(store, STORE_DONE);
    expect_released("r1 ");
    store_fake_step(store, STORE_GAP);
    cr_expect_str_not_empty(fenced);
    expect_released("");
}

Test(store_journal, sent_again_while_the_first_attempt_commits_after_all)
{
    append(2);
    reply(1);
    turn();
    /* The old session's transaction commits after we asked: the numbers are taken, by us. */
    store_fake_break(store, 1);
    store_fake_mend(store);
    turn();
    store_fake_step(store, STORE_LOST); /* the question was lost, too */
    now_us += 200000;
    turn();
    store_fake_step(store, STORE_DONE);
    expect_released("r1 ");
    cr_expect_eq(store_fake_count(store), 1);
}

Test(store_journal, another_record_in_our_place_ends_it)
{
    append(2);
    reply(1);
    turn();
    store_fake_step(store, STORE_DONE);
    released[0] = '\0';
    /* A second writer that believes to be at the same place. */
    const uint8_t zero[HASH_BYTES] = {0};
    journal_set_head(journal, 2, 0, zero);
    now_us += 5;
    append(2);
    reply(2);
    turn();
    store_fake_step(store, STORE_DONE); /* taken */
    turn();
    store_fake_step(store, STORE_DONE); /* asked: another */
    expect_released("");
    cr_expect_str_not_empty(fenced);
    cr_expect_eq(journal_state_now(journal), JOURNAL_FENCED);
}

Test(store_journal, a_refusal_is_retried_and_shuts_the_door_meanwhile)
{
    append(2);
    reply(1);
    turn();
    store_fake_step(store, STORE_REFUSED);
    cr_expect_not(journal_is_writable(journal, now_us));
    turn();
    cr_expect_eq(store_fake_calls(store), 0);
    cr_expect_gt(journal_wake_us(journal), now_us);
    now_us = journal_wake_us(journal);
    turn();
    store_fake_step(store, STORE_DONE);
    expect_released("r1 ");
    cr_expect(journal_is_writable(journal, now_us));
}

Test(store_journal, a_deposed_writer_releases_nothing)
{
    append(2);
    reply(1);
    turn();
    store_fake_step(store, STORE_FENCED);
    cr_expect_str_not_empty(fenced);
    turn_after(1000000);
    cr_expect_eq(store_fake_calls(store), 0);
    expect_released("");
}

Test(store_journal, a_commit_that_hangs_shuts_the_door)
{
    append(0);
    reply(1);
    turn();
    cr_expect(journal_is_writable(journal, now_us));
    cr_expect_not(journal_is_writable(journal, now_us + STALL_US));
    store_fake_step(store, STORE_DONE);
    cr_expect(journal_is_writable(journal, now_us + STALL_US));
}

Test(store_journal, a_full_batch_says_so_before_it_is_full)
{
    for (uint32_t i = 1; i <= STORE_APPENDS_MAX; i++) {
        append(0);
        reply(i);
        turn(); /* on its way, and stays there */
    }
    uint32_t taken = 0;
    while (journal_has_room(journal)) {
        append(0);
        taken++;
    }
    cr_expect_eq(taken, 100);
    cr_expect(journal_is_crowded(journal));
    store_fake_step(store, STORE_DONE);
    turn();
    cr_expect(journal_has_room(journal));
    while (store_fake_step(store, STORE_DONE))
        ;
    cr_expect_eq(store_fake_count(store), 100 + STORE_APPENDS_MAX);
}

Test(store_journal, reads_behind_a_hanging_commit_are_bounded_too)
{
    append(0);
    reply(1);
    turn();
    uint32_t held = 0;
    while (journal_has_room(journal)) {
        reply(2);
        held++;
    }
    cr_expect_leq(held, 4 * LEDGER_OUT_MAX - LEDGER_OUT_MAX);
    cr_expect_gt(held, LEDGER_OUT_MAX);
}
