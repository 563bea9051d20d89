/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a push would lead to, by the part that it changes. Its commit is in no repository yet: what
 * it changes comes with the question, and all else is as the target has it.
 *
 * A fast path: it answers while the rack is at rest, and leaves a commit with a problem, and
 * whatever a part cannot tell, to the plan of the whole.
 */
#include "reconciler/engine/shell_state.h"

#include <string.h>
#include "model/arena.h"
#include "reconciler/engine/part.h"

struct push {
    struct part_source from;
    const char *base; /* the target */
    const struct changed *changes;
    size_t count;
};

static bool has_keys(void *context, const char *commit, int64_t *files)
{
    const struct push *push = context;
    return part_reader_source.has_keys((void *)(size_t)&push->from, commit, files);
}

/* As they were asked about, with what the target has under their names. */
static int changes(void *context, struct arena *arena, const char *from, const char *to,
                   struct changed **out, size_t *count, struct report *report, struct error *err)
{
    const struct push *push = context;
    struct changed *copies = arena_array(arena, push->count + 1, sizeof *copies);
    (void)to;
    (void)report;
    for (size_t i = 0; i < push->count; i++) {
        copies[i] = push->changes[i];
        copies[i].blob = copies[i].data ? "" : NULL;
        if (source_blob(push->from.source, arena, from, copies[i].path, &copies[i].was, err) < 0)
            return err->code;
    }
    *out = copies;
    *count = push->count;
    return 0;
}

static int manifest(void *context, const char *commit, const char *path,
                    struct set_builder *builder, struct report *report, int64_t *bytes,
                    struct error *err)
{
    const struct push *push = context;
    (void)commit; /* of those that it does not change */
    return source_manifest(push->from.source, push->base, path, builder, report, bytes, err);
}

static int blob(void *context, const char *id, const char *path, struct set_builder *builder,
                struct report *report, int64_t *bytes, struct error *err)
{
    const struct push *push = context;
    return source_manifest_blob(push->from.source, id, path, builder, report, bytes, err);
}

static const struct part_reader push_reader = {has_keys, changes, manifest, blob};

const struct plan *shell_push_plan(struct shell *shell, struct arena *arena, const char *base,
                                   const char *commit, const struct changed *changes, size_t count)
{
    struct error ignored = ERROR_INIT;
    const char *made_by = shell_made_by(arena, shell->site);
    if (!base || !made_by || !core_is_at_rest(shell->core) ||
        strcmp(base, core_commit(shell->core)) != 0)
        return NULL;
    struct push push = {{shell->source, shell->store, made_by}, base, changes, count};
    const struct part_ask ask = {
        .reader = &push_reader,
        .context = &push,
        .store = shell->store,
        .from = base,
        .declared = core_plan(shell->core)->resources,
        .to = commit,
        .max_files = shell->site->repository.max_files,
        .max_bytes = source_room(shell->source),
    };
    struct part part;
    if (!part_make(arena, &ask, &part))
        return NULL;
    const struct plan *plan = core_plan_change(shell->core, arena, &part, commit, &ignored);
    if (plan && !part_covers(&part, plan))
        plan = NULL;
    part_free(&part);
    return plan;
}
