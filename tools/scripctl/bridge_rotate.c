/*
 * bridge_rotate.c - `scripctl bridge rotate`: has a bridge seal all exchange keys by the newest
 * master key. It sees no key and no secret itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/command.h"
#include "scripctl/question.h"

static void
put_rotated(const struct call *c, const struct bridge_rotated *r)
{
    out_table(c->out, "rotated> current> unreadable> key_id");
    out_uint(c->out, r->rotated);
    out_uint(c->out, r->current);
    out_uint(c->out, r->unreadable);
    out_text(c->out, r->key_id.text);
    out_row_end(c->out);
    if (r->unreadable > 0)
        out_say(c->out, "Keys that no master key opens stay as they are: give the bridge the "
                        "master key back, or have their owners store them again.");
    else if (c->o.dry_run)
        out_say(c->out, "Nothing was changed.");
    else
        out_say(c->out, "All keys are sealed by the newest master key: the older ones may go.");
}

static enum status
take_answer(const struct call *c, const struct msg *answer)
{
    if (answer->type == MSG_refused)
        return refuse(c, STATUS_NO, err_name(answer->refused.error), "%s",
                      err_sentence(answer->refused.error));
    if (answer->type != MSG_bridge_rotated)
        return refuse(c, STATUS_FAILED, "BRIDGE_UNREACHABLE", "it answered something else: %s",
                      msg_layout(answer->type)->name);
    put_rotated(c, &answer->bridge_rotated);
    return answer->bridge_rotated.unreadable > 0 ? STATUS_NO : STATUS_OK;
}

enum status
bridge_rotate(const struct call *c)
{
    char why[WHY_BYTES] = "";
    const char *endpoint = c->o.bridge;
    if (endpoint == NULL || endpoint[0] == '\0')
        return refuse(c, STATUS_USAGE, "NO_ENDPOINT",
                      "--bridge or SCRIPCTL_BRIDGE says where a bridge answers, such as "
                      "tcp://127.0.0.1:7501");
    struct question *q = question_open(endpoint, why);
    struct msg m = {.type = MSG_bridge_rotate, .bridge_rotate = {.dry_run = c->o.dry_run}};
    const struct msg *answer = q == NULL ? NULL : question_ask(q, &m, why);
    enum status status = answer != NULL ? take_answer(c, answer)
                                        : refuse(c, STATUS_FAILED, "BRIDGE_UNREACHABLE", "%s", why);
    question_close(&q);
    return status;
}
