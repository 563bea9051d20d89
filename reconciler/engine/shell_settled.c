/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A plan without looking, while there is nothing to plan. When the core has said "converged" and
 * its plan had not a line in it, it leaves a fact: the commit, and the digest of the world. The
 * fact is gone with the first row of an object that is written after it (a trigger of the
 * schema, so no writer can forget), and counts only for the program, the kinds and the limits
 * that it was made by. What is left is the commit: it must be the same one, or have the same
 * manifests. Then the plan is that one again. tests/e2e/settled.bats compares it with the plan
 * made in full, over random histories.
 */
#include "reconciler/engine/shell_state.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "model/json.h"
#include "model/kind.h"

const char *shell_made_by(struct arena *arena, const struct site *site)
{
    struct stat st;
    if (stat("/proc/self/exe", &st) < 0)
        return NULL;
    return arena_printf(
        arena, "%jx.%jx.%jx %s %s %lld %lld", (uintmax_t)st.st_ino, (uintmax_t)st.st_size,
        (uintmax_t)st.st_mtim.tv_sec * 1000000000 + (uintmax_t)st.st_mtim.tv_nsec, kinds_digest(),
        site->repository.subdir, (long long)site->repository.max_files,
        (long long)site->repository.max_bytes);
}

const struct value *shell_settled_read(const struct site *site, struct store *store,
                                       struct arena *arena)
{
    struct error ignored = ERROR_INIT;
    const char *text = NULL, *made_by = shell_made_by(arena, site);
    struct value *settled = NULL;
    if (!made_by || store_fact_get(store, arena, "settled", &text, &ignored) < 0 || !text ||
        json_read(arena, text, strlen(text), &settled, &ignored) < 0)
        return NULL;
    return strcmp(value_get_text(settled, "by", ""), made_by) == 0 ? settled : NULL;
}

static bool is_same_commit(struct shell *shell, const char *settled, const char *wanted)
{
    struct error ignored = ERROR_INIT;
    return strcmp(settled, wanted) == 0 ||
           source_same_manifests(shell->source, settled, wanted, &ignored) > 0;
}

int shell_settled(struct shell *shell, struct arena *arena, const char *commit,
                  struct value **document)
{
    struct error ignored = ERROR_INIT;
    char head[65];
    const struct value *settled = shell_settled_read(shell->site, shell->store, arena);
    if (!settled || (!commit && source_head(shell->source, head, &ignored) < 0))
        return 0;
    if (!commit)
        commit = head;
    if (!is_same_commit(shell, value_get_text(settled, "commit", ""), commit))
        return 0;
    const struct plan *plan =
        plan_settled(arena, commit, "", (size_t)value_get_int(settled, "resources", 0),
                     value_get_text(settled, "world", ""), value_get_int(settled, "observedAt", 0));
    *document = plan_value(arena, plan);
    return 1;
}
