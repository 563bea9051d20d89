/* SPDX-License-Identifier: MPL-2.0 */
/* Rows of the store as documents: one shape for the CLI, the daemon and every report. */
#include "reconciler/store/documents.h"

#include <string.h>

#include "model/error.h"
#include "model/invariant.h"
#include "model/json.h"
#include "model/kind.h"
#include "model/when.h"

struct value *revision_value(struct arena *arena, const struct revision *revision)
{
    struct value *value = value_map(arena);

    invariant(revision->commit && revision->state, "revision %lld is of no commit",
              (long long)revision->id);
    value_set_int(arena, value, "revision", revision->id);
    value_set_text(arena, value, "commit", revision->commit);
    value_set_text(arena, value, "parent", revision->parent[0] ? revision->parent : NULL);
    value_set_text(arena, value, "author", revision->author);
    value_set_text(arena, value, "subject", revision->subject);
    value_set_text(arena, value, "pushedBy", revision->pushed_by[0] ? revision->pushed_by : NULL);
    value_set_text(arena, value, "state", revision->state);
    value_set_text(arena, value, "message", revision->message[0] ? revision->message : NULL);
    value_set_text(arena, value, "at", when_rfc3339(arena, revision->at));
    value_set_text(arena, value, "convergedAt",
                   revision->converged_at > 0 ? when_rfc3339(arena, revision->converged_at) : NULL);
    value_set_int(arena, value, "resources", revision->resources);
    return value;
}

struct value *intent_value(struct arena *arena, const struct intent *intent)
{
    struct value *value = value_map(arena);

    invariant(intent->op && intent->uid && intent->state, "an intent of nobody is shown");
    value_set_text(arena, value, "op", intent->op);
    value_set_text(arena, value, "uid", intent->uid);
    value_set_int(arena, value, "epoch", (int64_t)intent->epoch);
    value_set_text(arena, value, "verb", intent->verb);
    value_set_text(arena, value, "plan", intent->plan);
    value_set_text(arena, value, "state", intent->state);
    value_set_int(arena, value, "attempts", intent->attempts);
    value_set_text(arena, value, "createdAt", when_rfc3339(arena, intent->created_at));
    value_set_text(arena, value, "finishedAt",
                   intent->finished_at > 0 ? when_rfc3339(arena, intent->finished_at) : NULL);
    value_set_text(arena, value, "error", intent->error && intent->error[0] ? intent->error : NULL);
    value_set(arena, value, "step", intent->step ? value_copy(arena, intent->step) : NULL);
    return value;
}

struct value *event_value(struct arena *arena, const struct event *event)
{
    struct value *value = value_map(arena);

    value_set_int(arena, value, "seq", event->seq);
    value_set_text(arena, value, "at", when_rfc3339_ms(arena, event->at_ms));
    value_set_text(arena, value, "type", event->type);
    value_set_text(arena, value, "text", event->text);
    value_set_text(arena, value, "uid", event->uid);
    value_set_text(arena, value, "kind", event->kind);
    value_set_text(arena, value, "project", event->project);
    value_set_text(arena, value, "name", event->name);
    value_set(arena, value, "data",
              event->data ? value_copy(arena, event->data) : value_map(arena));
    return value;
}

/* Values are kept as JSON text; what does not read as JSON is shown as it is. */
static struct value *json_value(struct arena *arena, const char *text)
{
    struct error ignored = ERROR_INIT;
    struct value *value;

    if (!text || !text[0])
        return value_null(arena);
    return json_read_own(arena, text, strlen(text), &value, &ignored) == 0
               ? value
               : value_text(arena, text);
}

struct value *drift_value(struct arena *arena, const struct drift_row *row)
{
    struct value *value = value_map(arena);
    struct value *healed = NULL;

    if (row->healed_at > 0) {
        healed = value_map(arena);
        value_set_text(arena, healed, "at", when_rfc3339(arena, row->healed_at));
        value_set_text(arena, healed, "by", row->healed_by);
        value_set_int(arena, healed, "after", row->healed_at - row->since);
    }
    value_set_text(arena, value, "kind", row->kind);
    value_set_text(arena, value, "project", row->project);
    value_set_text(arena, value, "name", row->name);
    value_set_text(arena, value, "uid", row->uid);
    value_set_text(arena, value, "path", row->path);
    value_set(arena, value, "desired", json_value(arena, row->desired));
    value_set(arena, value, "observed", json_value(arena, row->observed));
    value_set_text(arena, value, "since", when_rfc3339(arena, row->since));
    value_set_text(arena, value, "lastSeen", when_rfc3339(arena, row->last_seen));
    value_set_text(arena, value, "detectedBy", row->detected_by);
    value_set_text(arena, value, "cause", row->cause);
    value_set_text(arena, value, "disposition", row->disposition);
    value_set_text(arena, value, "reason", row->reason && row->reason[0] ? row->reason : NULL);
    value_set_int(arena, value, "count", row->count);
    value_set(arena, value, "healed", healed);
    return value;
}

const char *object_state(const struct known *row)
{
    const struct kind *kind = kind_find(row->kind);

    invariant(row->life != LIFE_GONE, "%s is gone, and its state is asked for", row->uid);
    if (row->life == LIFE_RELEASED)
        return "released";
    if (kind && !kind->driver && !kind->is_derived)
        return "recorded";
    if (!row->observed.known)
        return "unknown";
    if (row->observed.absent)
        return row->life == LIFE_NEW ? "pending" : "missing";
    return value_get_text(row->observed.status, "state", "present");
}
