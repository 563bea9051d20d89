/* SPDX-License-Identifier: MPL-2.0 */
/* Documents that the daemon makes from what it knows now: status and drift. */
#include <stdlib.h>
#include <string.h>
#include "model/kind.h"
#include "model/sort.h"
#include "model/when.h"
#include "reconciler/engine/unseen.h"
#include "reconciler/server/server.h"
#include "reconciler/store/documents.h"

/* ---- status ------------------------------------------------------------------------- */

enum mark { MARK_PENDING, MARK_DRIFTING, MARK_HELD };

static enum mark step_mark(const struct step *step)
{
    if (step->disposition == HELD)
        return MARK_HELD;
    return step->cause == CAUSE_DRIFT ? MARK_DRIFTING : MARK_PENDING;
}

/* A derived step counts for its owner, and an owner counts once, by its worst mark. */
static const struct resource *step_owner(const struct step *step)
{
    const struct resource *resource = step->resource;
    return resource && resource->owner ? resource->owner : resource;
}

struct touched {
    const struct resource *owner; /* NULL: no longer declared */
    enum mark mark;
};

/* By owner, and the worst mark of one first. */
static int touched_order(const void *left, const void *right)
{
    const struct touched *a = left, *b = right;
    if (a->owner != b->owner)
        return (uintptr_t)a->owner < (uintptr_t)b->owner ? -1 : 1;
    return (a->mark < b->mark) - (a->mark > b->mark);
}

static struct touched *touched_find(struct arena *arena, const struct plan *plan, size_t *count)
{
    struct touched *touched = arena_array(arena, plan->step_count + 1, sizeof(*touched));
    *count = 0;
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        const struct resource *owner = step_owner(step);
        if ((owner || !step->kind->is_derived) && step->disposition != IGNORED)
            touched[(*count)++] = (struct touched){owner, step_mark(step)};
    }
    qsort(touched, *count, sizeof(*touched), touched_order);
    return touched;
}

static struct value *resources_count(struct arena *arena, const struct plan *plan)
{
    static const char *const names[] = {"pending", "drifting", "held"};
    struct value *counts = value_map(arena);
    int64_t marks[3] = {0}, declared = 0, total = plan ? (int64_t)plan->resources : 0;
    size_t count = 0;
    const struct touched *touched = plan ? touched_find(arena, plan, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        const struct resource *owner = touched[i].owner;
        if (owner && i > 0 && touched[i - 1].owner == owner)
            continue;
        marks[touched[i].mark]++;
        declared += owner != NULL;
    }
    value_set_int(arena, counts, "total", total);
    value_set_int(arena, counts, "true", total > declared ? total - declared : 0);
    for (int i = 0; i < 3; i++)
        value_set_int(arena, counts, names[i], marks[i]);
    return counts;
}

/* [{"uid","kind",...}] of what nobody could look at and nothing is planned for. */
static struct value *unknown_find(struct arena *arena, struct core *core)
{
    const struct plan *plan = core_plan(core);
    struct value *found = value_list(arena);
    if (!plan || !plan->unknown)
        return found;
    const struct value *unseen = core_unseen(core, arena);
    const char **touched = arena_array(arena, plan->step_count + 1, sizeof *touched);
    for (size_t i = 0; i < plan->step_count; i++)
        touched[i] = plan->steps[i].uid;
    qsort(touched, plan->step_count, sizeof *touched, text_order);
    for (size_t i = 0; i < unseen->count; i++) {
        const char *uid = value_get_text(unseen->items[i], "uid", "");
        if (!bsearch(&uid, touched, plan->step_count, sizeof *touched, text_order))
            value_append(arena, found, unseen->items[i]);
    }
    return found;
}

/* It is not true: nobody knows. */
static void unknown_count(struct arena *arena, struct core *core, struct value *counts)
{
    const struct plan *plan = core_plan(core);
    int64_t is_true = value_get_int(counts, "true", 0);
    size_t touched_count, owners = 0;
    if (!plan || !plan->unknown)
        return;
    const struct touched *touched = touched_find(arena, plan, &touched_count);
    const char **labels = arena_array(arena, touched_count + 1, sizeof *labels);
    for (size_t i = 0; i < touched_count; i++)
        if (touched[i].owner)
            labels[owners++] = identity_label(arena, touched[i].owner->kind->name,
                                              touched[i].owner->project, touched[i].owner->name);
    int64_t count = unseen_count(arena, unknown_find(arena, core), labels, owners);
    value_set_int(arena, counts, "true", is_true > count ? is_true - count : 0);
    value_set_int(arena, counts, "unknown", count);
}

enum { PROBLEMS_MAX = 20, STEPS_ASKED = 1000 };

static void problem_add(struct arena *arena, struct value *problems, const struct step *step,
                        const struct intent *intent)
{
    struct value *problem = value_append(arena, problems, value_map(arena));
    value_set_text(arena, problem, "uid", step->uid);
    value_set_text(arena, problem, "kind", step->kind->name);
    value_set_text(arena, problem, "project", step->project);
    value_set_text(arena, problem, "name", step->name);
    value_set_text(arena, problem, "verb", intent->verb);
    value_set_text(arena, problem, "message", intent->error);
    value_set_text(arena, problem, "nextTry",
                   intent->not_before ? when_rfc3339(arena, intent->not_before) : NULL);
}

/* What is still to be done and failed when it was tried last: the newest intent of its uid. */
static struct value *step_problems(const struct server *server, struct arena *arena)
{
    const struct plan *plan = core_plan(server->shell->core);
    struct value *problems = value_list(arena);
    struct error ignored = ERROR_INIT;
    struct intent *intents = NULL;
    size_t count = 0;
    size_t steps = plan ? plan->step_count : 0;
    for (size_t i = 0; i < steps && i < STEPS_ASKED && problems->count < PROBLEMS_MAX; i++) {
        const struct step *step = &plan->steps[i];
        if (step->disposition != RUN)
            continue;
        if (store_intents(server->shell->store, arena, step->uid, (struct page){.limit = 1},
                          &intents, &count, &ignored) == 0 &&
            count == 1 && intents[0].error[0])
            problem_add(arena, problems, step, &intents[0]);
    }
    return problems;
}

struct value *marks_report(struct server *server, struct arena *arena)
{
    static const char *const names[] = {"pending", "drifting", "held"};
    const struct plan *plan = server->loading ? NULL : core_plan(server->shell->core);
    struct value *marks = value_map(arena);
    for (size_t i = 0; plan && i < plan->step_count; i++)
        if (plan->steps[i].disposition != IGNORED)
            value_push(arena, marks, plan->steps[i].uid,
                       value_text(arena, names[step_mark(&plan->steps[i])]));
    const struct value *unknown =
        server->loading ? value_list(arena) : unknown_find(arena, server->shell->core);
    for (size_t i = 0; i < unknown->count; i++)
        value_push(arena, marks, value_get_text(unknown->items[i], "uid", ""),
                   value_text(arena, "unknown"));
    return marks;
}

static struct value *daemon_report(const struct server *server, struct arena *arena)
{
    struct value *daemon = value_map(arena);
    value_set_int(arena, daemon, "pid", server->supervisor);
    value_set_text(arena, daemon, "since", when_rfc3339(arena, server->since));
    return daemon;
}

/* What was true when the store was last written to; nothing else is known before a plan. */
static struct value *resources_stored(const struct server *server, struct arena *arena,
                                      const struct revision *target)
{
    struct value *counts = value_map(arena);
    const struct value *settled =
        shell_settled_read(server->shell->site, server_reader(server), arena);
    value_set_int(arena, counts, "total", target->resources);
    if (strcmp(value_get_text(settled, "commit", ""), target->commit) == 0)
        value_set_int(arena, counts, "true", target->resources);
    return counts;
}

/* Nobody has looked yet, so nothing is said to be converged. */
static struct value *status_loading(struct server *server, struct arena *arena)
{
    struct value *status = value_map(arena);
    struct revision target = {0};
    struct error ignored = ERROR_INIT;
    bool has_target = store_revision_target(server_reader(server), arena, &target, &ignored) == 0;
    value_set_text(arena, status, "commit", has_target ? target.commit : NULL);
    value_set_bool(arena, status, "converged", false);
    value_set_bool(arena, status, "loading", true);
    value_set(arena, status, "resources",
              has_target ? resources_stored(server, arena, &target) : resources_count(arena, NULL));
    value_set(arena, status, "daemon", daemon_report(server, arena));
    value_set(arena, status, "problems", value_list(arena));
    value_set_text(arena, status, "driverProblem", NULL);
    value_set_text(arena, status, "headProblem", NULL);
    value_set_text(arena, status, "nextTry", NULL);
    return status;
}

struct value *status_report(struct server *server, struct arena *arena)
{
    const struct core *core = server->shell->core;
    struct value *status = value_map(arena);
    struct error driver = ERROR_INIT;
    char line[ERROR_LINE];
    if (server->loading)
        return status_loading(server, arena);
    const char *commit = core_commit(core);
    value_set_text(arena, status, "commit", *commit ? commit : NULL);
    value_set_bool(arena, status, "converged", core_is_converged(core));
    value_set_bool(arena, status, "loading", false);
    struct value *counts = resources_count(arena, core_plan(core));
    unknown_count(arena, server->shell->core, counts);
    value_set(arena, status, "resources", counts);
    value_set(arena, status, "daemon", daemon_report(server, arena));
    value_set(arena, status, "problems", step_problems(server, arena));
    value_set_text(arena, status, "driverProblem",
                   core_driver_problem(core, &driver) ? error_line(&driver, line) : NULL);
    value_set_text(arena, status, "headProblem",
                   server->head_problem[0] ? server->head_problem : NULL);
    int64_t next = core_next_try(core);
    value_set_text(arena, status, "nextTry", next ? when_rfc3339(arena, next / 1000) : NULL);
    return status;
}

/* ---- drift -------------------------------------------------------------------------- */

int drift_report(struct server *server, struct arena *arena, int64_t since, struct value **out,
                 struct error *err)
{
    int64_t now = when_now();
    struct drift_row *rows = NULL;
    size_t count = 0;
    int status = store_drifts(server->shell->store, arena, since ? since : now, &rows, &count, err);
    if (status < 0)
        return status;
    struct value *document = value_map(arena), *list = value_list(arena);
    for (size_t i = 0; i < count; i++)
        value_append(arena, list, drift_value(arena, &rows[i]));
    struct value *strangers = core_strangers(server->shell->core, arena);
    value_set_text(arena, document, "schema", "spinel/drift/v1");
    value_set_text(arena, document, "at", when_rfc3339(arena, now));
    value_set_text(arena, document, "commit", core_commit(server->shell->core));
    value_set(arena, document, "drift", list);
    value_set(arena, document, "unmanaged",
              (struct value *)(size_t)value_get(strangers, "unmanaged"));
    value_set(arena, document, "orphans", (struct value *)(size_t)value_get(strangers, "orphans"));
    value_set(arena, document, "unknown", (struct value *)(size_t)value_get(strangers, "unknown"));
    *out = document;
    return 0;
}
