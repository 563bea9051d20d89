/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Back-off of objects. A step that failed is tried again after 1 s, 2 s, 4 s ...
 * up to 5 min, with jitter, and for ever; a new target starts afresh. A step that
 * was confirmed and is planned again at once in the same form (the driver's world
 * does not keep what it says) backs off in the same way, so that nothing can turn
 * into a hot loop. A refusal that only a new manifest can cure waits for one, or
 * for the slow resync, because what lacked on the machine may have come.
 */
#include "reconciler/engine/core_state.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "model/invariant.h"

enum { BACKOFF_FIRST_MS = 1000, BACKOFF_LAST_MS = 300000 };

int64_t backoff_ms(struct core *core, unsigned attempts)
{
    unsigned doublings = attempts > 0 ? attempts - 1 : 0;
    int64_t pause = doublings >= 9 ? BACKOFF_LAST_MS : (int64_t)BACKOFF_FIRST_MS << doublings;
    if (pause > BACKOFF_LAST_MS)
        pause = BACKOFF_LAST_MS;
    uint16_t dice = 0;
    core->env->random(core->env->context, &dice, sizeof dice);
    pause = pause - pause / 8 + pause / 4 * dice / UINT16_MAX; /* seven to nine eighths */
    invariant(pause >= BACKOFF_FIRST_MS / 2 && pause <= 2 * BACKOFF_LAST_MS,
              "a back-off of %lld ms after %u attempts", (long long)pause, attempts);
    return pause;
}

struct retry *retry_find(struct core *core, const char *uid)
{
    struct retry *retry;
    HASH_FIND_STR(core->retries, uid, retry);
    return retry;
}

/* After any change of what is awaited of it: each turn walks those that are, and not all. */
static void retry_await(struct core *core, struct retry *retry)
{
    bool is_awaited = retry->holds_up && !retry->is_due_marked;
    if (is_awaited && !retry->is_awaited)
        DL_APPEND(core->awaited, retry);
    if (!is_awaited && retry->is_awaited)
        DL_DELETE(core->awaited, retry);
    retry->is_awaited = is_awaited;
    invariant(!core->awaited || core->awaited->is_awaited,
              "what is awaited begins with %s, which is not",
              core->awaited ? core->awaited->uid : "");
}

static struct retry *retry_get(struct core *core, const char *uid, const char *what)
{
    struct retry *retry = retry_find(core, uid);
    invariant(uid[0] && strlen(uid) < sizeof retry->uid, "back-off of uid '%.80s'", uid);
    invariant(what[0] && strlen(what) < sizeof retry->what, "back-off of %s for '%.80s'", uid,
              what);
    if (!retry) {
        retry = memory_need(calloc(1, sizeof *retry));
        strncpy(retry->uid, uid, sizeof retry->uid - 1);
        HASH_ADD_STR(core->retries, uid, retry);
    }
    if (strcmp(retry->what, what)) {
        retry->attempts = 0;
        strncpy(retry->what, what, sizeof retry->what - 1);
    }
    invariant(retry->attempts < UINT_MAX, "%s was tried %u times", uid, retry->attempts);
    retry->attempts++;
    retry->is_due_marked = false;
    return retry;
}

static void retry_drop(struct core *core, struct retry *retry)
{
    HASH_DEL(core->retries, retry);
    retry->holds_up = false;
    retry_await(core, retry);
    invariant(!retry->is_awaited, "%s is forgotten while it is awaited", retry->uid);
    free(retry);
}

/* What failed may have come half way, and others may have gone on meanwhile: a plan that was made
 * before the object was looked at again does not know. */
static bool awaits_look(struct core *core, const struct retry *retry)
{
    const struct seen *seen = seen_find(core, retry->uid);
    return retry->is_due_marked && seen && seen->is_dirty &&
           seen_rare(seen)->looked < retry->due_notice;
}

bool retry_blocks(struct core *core, const char *uid, const char *what)
{
    struct retry *retry = retry_find(core, uid);
    if (!retry || strcmp(retry->what, what))
        return false;
    if (retry->not_before_ms <= core->env->mono_ms(core->env->context) && !awaits_look(core, retry))
        return false;
    retry->holds_up = true;
    retry_await(core, retry);
    return true;
}

int64_t retry_failed(struct core *core, const char *uid, const char *what, bool until_target)
{
    struct retry *retry = retry_get(core, uid, what);
    int64_t pause = until_target ? core->config.resync_ms : backoff_ms(core, retry->attempts);
    invariant(pause > 0, "%s is tried again after %lld ms", uid, (long long)pause);
    invariant(retry->attempts > 0 && !retry->is_due_marked, "%s failed, and was not tried", uid);
    retry->until_target = until_target;
    retry->holds_up = true;
    retry->not_before_ms = core->env->mono_ms(core->env->context) + pause;
    retry_await(core, retry);
    return pause;
}

void retry_confirmed(struct core *core, const char *uid, const char *what)
{
    struct retry *retry = retry_get(core, uid, what);
    retry->until_target = retry->holds_up = false;
    retry->not_before_ms =
        core->env->mono_ms(core->env->context) + backoff_ms(core, retry->attempts);
    invariant(retry->not_before_ms > core->env->mono_ms(core->env->context),
              "%s may be done again at once", uid);
    retry_await(core, retry);
}

void retries_settle(struct core *core)
{
    struct retry *retry, *next;
    HASH_ITER(hh, core->retries, retry, next)
        if (!task_of_uid(core, retry->uid) && !plan_runs(core, retry->uid))
            retry_drop(core, retry);
}

void retries_reset(struct core *core)
{
    struct retry *retry, *next;
    HASH_ITER(hh, core->retries, retry, next)
        retry_drop(core, retry);
    rooms_reset(core);
}

void retries_wake(struct core *core)
{
    int64_t now = core->env->mono_ms(core->env->context);
    struct retry *retry, *next;
    DL_FOREACH_SAFE(core->awaited, retry, next) {
        invariant(retry->is_awaited && retry->holds_up, "%s is awaited, and holds nothing up",
                  retry->uid);
        if (retry->not_before_ms > now)
            continue;
        retry->is_due_marked = true;
        retry_await(core, retry);
        seen_mark_dirty(core, NULL, retry->uid, NULL);
        retry->due_notice = core->notices;
    }
}

int64_t retries_next_ms(const struct core *core)
{
    int64_t soonest = INT64_MAX;
    for (const struct retry *retry = core->awaited; retry; retry = retry->next)
        if (retry->not_before_ms < soonest)
            soonest = retry->not_before_ms;
    return soonest;
}
