/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A plan of what a commit changes, while nothing else is to be planned. It starts from the fact
 * that the rack was found to be as declared (shell_settled.c), and plans the part of it that the
 * commit concerns (part.h). Everything is read in one snapshot, so that the fact and what it is
 * about are of one moment. What the part cannot tell is left to the plan of the whole.
 */
#include "reconciler/engine/shell_state.h"

#include <string.h>
#include "reconciler/engine/part.h"

/* The document, or NULL if the whole has to be planned. */
static struct value *part_plan(struct shell *shell, struct arena *arena, const struct part *part,
                               const struct part_world *world, const char *commit)
{
    struct error ignored = ERROR_INIT;
    struct core *reader = NULL;
    if (shell_reader(shell, arena, &reader, &ignored) < 0)
        return NULL;
    const struct plan *plan = core_plan_part(reader, arena, part, world, commit, &ignored);
    struct value *document = plan && part_covers(part, plan) ? plan_value(arena, plan) : NULL;
    core_free(reader);
    return document;
}

/* The part lives in an arena of its own; the document is copied out of it. */
static struct value *change_plan(struct shell *shell, struct arena *arena,
                                 const struct value *settled, const char *commit,
                                 const struct plan *now)
{
    struct arena *scratch = arena_new();
    struct value *document = NULL;
    struct part part;
    struct part_source source = {shell->source, shell->store, value_get_text(settled, "by", "")};
    const struct part_ask ask = {
        .reader = &part_reader_source,
        .context = &source,
        .store = shell->store,
        .from = value_get_text(settled, "commit", ""),
        .declared = (size_t)value_get_int(settled, "resources", 0),
        .to = commit,
        .max_files = shell->site->repository.max_files,
        .max_bytes = source_room(shell->source),
    };
    const struct part_world world = {
        .digest = value_get_text(settled, "world", ""),
        .observed_at = now ? now->observed_at : value_get_int(settled, "observedAt", 0),
        .live = (int64_t)ask.declared,
    };
    if (part_make(scratch, &ask, &part)) {
        document = part_plan(shell, scratch, &part, &world, commit);
        if (document)
            document = value_copy(arena, document);
        part_free(&part);
    }
    arena_free(scratch);
    return document;
}

/* Who has a plan of the whole knows whether the fact still tells what it sees. */
static bool is_settled(const struct value *settled, const struct plan *now)
{
    return settled && (!now || (now->step_count == 0 && now->unknown == 0 &&
                                strcmp(now->world, value_get_text(settled, "world", "")) == 0));
}

int shell_change(struct shell *shell, struct arena *arena, const char *commit,
                 const struct plan *now, struct value **document)
{
    struct error ignored = ERROR_INIT;
    char head[65];
    if ((!commit && source_head(shell->source, head, &ignored) < 0) ||
        store_in_batch(shell->store) || store_snapshot_begin(shell->store, &ignored) < 0)
        return 0;
    const struct value *settled = shell_settled_read(shell->site, shell->store, arena);
    struct value *made = is_settled(settled, now)
                             ? change_plan(shell, arena, settled, commit ? commit : head, now)
                             : NULL;
    store_snapshot_end(shell->store);
    if (!made)
        return 0;
    *document = made;
    return 1;
}
