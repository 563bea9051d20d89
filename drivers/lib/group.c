/* SPDX-License-Identifier: MPL-2.0 */
#include "drivers/lib/group.h"

#include <string.h>
#include "drivers/lib/callback.h"
#include "model/arena.h"

enum {
    GROUP_MAX = 512,  /* steps of one process */
    ALONE_MS = 60000, /* for how long after a group died its kind goes one by one */
};

static bool uid_is_busy(const struct spinel_host *host, const struct call *call)
{
    for (const struct call *other = host->calls; other != call; other = other->next)
        if (other->kind == CALL_APPLY && strcmp(other->op.uid, call->op.uid) == 0)
            return true;
    return false;
}

static bool is_of_group(const struct call *call, const char *group)
{
    return call->group && group && strcmp(call->group, group) == 0;
}

static bool group_is_busy(const struct spinel_host *host, const char *group)
{
    for (const struct call *call = host->calls; call; call = call->next)
        if (call->state != CALL_WAITING && is_of_group(call, group))
            return true;
    return false;
}

/* Of a busy group hundreds may wait and be asked at each turn: what answers at once is asked first,
 * since whoever runs stands before them. */
bool call_may_start(const struct spinel_host *host, const struct call *call)
{
    return call->state == CALL_WAITING &&
           (call->kind != CALL_APPLY ||
            (!group_is_busy(host, call->group) && !uid_is_busy(host, call)));
}

void group_gather(const struct spinel_host *host, struct call *first, int64_t now_ms)
{
    size_t room = 0, most = host->driver->group_max ? host->driver->group_max : GROUP_MAX;
    if (!first->group || now_ms < host->alone_until_ms)
        return;
    for (const struct call *call = first; call; call = call->next)
        room += is_of_group(call, first->group);
    first->members = arena_array(first->arena, room, sizeof(struct call *));
    for (struct call *call = first; call && first->member_count < most; call = call->next)
        if (is_of_group(call, first->group) && call_may_start(host, call))
            first->members[first->member_count++] = call;
}

bool group_outcome(const struct call *first, const struct outcome *outcome)
{
    if (outcome->member >= first->member_count)
        return false;
    struct call *member = first->members[outcome->member];
    if (member->is_answered)
        return false;
    member->is_answered = outcome->err.code == ERR_NONE;
    if (member->is_answered)
        applied_write(&member->answer, &member->op);
    else if (member->err.code == ERR_NONE)
        member->err = outcome->err;
    return true;
}

void group_explain(struct spinel_host *host, const struct call *first, int64_t now_ms)
{
    const struct call *cause = NULL;
    bool is_wanted = false;
    for (size_t i = 0; i < first->member_count; i++) {
        const struct call *call = first->members[i];
        is_wanted |= call->state == CALL_DYING;
        if (!cause && call->state == CALL_DYING && call->err.code != ERR_NONE)
            cause = call;
    }
    for (size_t i = 0; i < first->member_count; i++) {
        struct call *call = first->members[i];
        if (call->is_answered || call->err.code != ERR_NONE)
            continue;
        if (cause)
            error_set(&call->err, ERR_BUSY, "ended with %s %s, which it was carried out with: %s",
                      cause->op.kind, cause->op.name, cause->err.message);
        if (!is_wanted)
            host->alone_until_ms = now_ms + ALONE_MS;
    }
}

void group_part(struct spinel_host *host, const struct call *call, int64_t now_ms)
{
    if (call->group)
        host->alone_until_ms = now_ms + ALONE_MS;
}
