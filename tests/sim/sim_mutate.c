/*
 * sim_mutate.c - the mutations that stand in for functions of the product: what leaves before its
 * commit, what is journaled wrongly, what the cores do wrong.
 *
 * The linker gives the product's calls of these functions to the ones here (--wrap). Other
 * mutations are where the simulation does the same thing right: sim_bus.c, sim_store.c,
 * sim_parts.c, sim_gateway.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "sim/sim.h"

#define SIM_NAME(name, sentence) #name,
const char *const sim_mutation_names[] = {SIM_MUTATIONS(SIM_NAME)};
#undef SIM_NAME
#define SIM_SENTENCE(name, sentence) sentence,
const char *const sim_mutation_sentences[] = {SIM_MUTATIONS(SIM_SENTENCE)};
#undef SIM_SENTENCE

static struct sim *sim;
static struct bytes early; /* what leaves before its time */

void
sim_mutate(struct sim *s)
{
    sim = s;
}

static enum sim_mutation
mutation(void)
{
    return sim != NULL ? sim->mutation : SIM_none;
}

void __real_journal_reply(struct journal *j, uint32_t peer, const struct msg *m);
void __wrap_journal_reply(struct journal *j, uint32_t peer, const struct msg *m);
void __real_journal_event(struct journal *j, uint64_t account_id, const struct msg *m);
void __wrap_journal_event(struct journal *j, uint64_t account_id, const struct msg *m);
void __real_journal_bridge(struct journal *j, const struct msg *m);
void __wrap_journal_bridge(struct journal *j, const struct msg *m);
void __real_journal_append(struct journal *j, uint16_t shard, const struct msg *cmd, code_t source,
                           int64_t now_us);
void __wrap_journal_append(struct journal *j, uint16_t shard, const struct msg *cmd, code_t source,
                           int64_t now_us);
void __real_pair_decided(struct match *m, uint32_t record);
void __wrap_pair_decided(struct match *m, uint32_t record);
int64_t __real_spent_printed(struct spent_list *l, enum side side, int64_t price, int64_t time_us,
                             int64_t quantity);
int64_t __wrap_spent_printed(struct spent_list *l, enum side side, int64_t price, int64_t time_us,
                             int64_t quantity);
money_t __real_order_need(const struct ledger_order *o);
money_t __wrap_order_need(const struct ledger_order *o);

/* ---- What leaves ----------------------------------------------------------------------------- */

void
__wrap_journal_reply(struct journal *j, uint32_t peer, const struct msg *m)
{
    if (mutation() == SIM_answers_twice && sim_chance(sim, 20))
        __real_journal_reply(j, peer, m);
    if (mutation() != SIM_replies_early) {
        __real_journal_reply(j, peer, m);
        return;
    }
    bytes_clear(&early);
    msg_pack(&early, m);
    take_reply(sim->running->serve, peer, early.data, early.length);
}

void
__wrap_journal_event(struct journal *j, uint64_t account_id, const struct msg *m)
{
    if (mutation() != SIM_events_early) {
        __real_journal_event(j, account_id, m);
        return;
    }
    bytes_clear(&early);
    msg_pack(&early, m);
    take_event(sim->running->serve, account_id, early.data, early.length);
}

void
__wrap_journal_bridge(struct journal *j, const struct msg *m)
{
    if (mutation() != SIM_places_early) {
        __real_journal_bridge(j, m);
        return;
    }
    bytes_clear(&early);
    msg_pack(&early, m);
    take_order(sim->running->serve, early.data, early.length);
}

void
__wrap_journal_append(struct journal *j, uint16_t shard, const struct msg *cmd, code_t source,
                      int64_t now_us)
{
    if (sim != NULL)
        sim_edge(sim);
    if (mutation() == SIM_record_forgotten && sim_chance(sim, 10))
        return;
    __real_journal_append(j, shard, cmd, source, now_us);
    if (sim != NULL)
        sim_edge(sim);
}

/* No mutation: a ledger makes room for a quarter of a million followers and for many real orders,
 * and few of them come. */
void __real_map_init(struct map *m, uint32_t max, void *bytes);
void __wrap_map_init(struct map *m, uint32_t max, void *bytes);

void
__wrap_map_init(struct map *m, uint32_t max, void *bytes)
{
    __real_map_init(m, max > 60000 ? 4096 : max, bytes);
}

/* ---- The cores ------------------------------------------------------------------------------- */

void
__wrap_pair_decided(struct match *m, uint32_t record)
{
    if (mutation() != SIM_sibling_kept)
        __real_pair_decided(m, record);
}

int64_t
__wrap_spent_printed(struct spent_list *l, enum side side, int64_t price, int64_t time_us,
                     int64_t quantity)
{
    return mutation() != SIM_prints_twice ? __real_spent_printed(l, side, price, time_us, quantity)
                                          : 0;
}

money_t
__wrap_order_need(const struct ledger_order *o)
{
    money_t need = __real_order_need(o);
    if (mutation() == SIM_holds_more && o->contingency == CONTINGENCY_OCO)
        need.v++;
    return need;
}
