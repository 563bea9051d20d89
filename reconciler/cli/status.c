/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Counts of resources by what the plan says of them. Only declared ones count: what
 * the model derived (the NIC "web-1.eth0") is folded into its owner ("web-1").
 */
#include "reconciler/cli/status.h"

#include <string.h>

#include "model/hash.h"
#include "model/kind.h"
#include "reconciler/cli/daemon.h"
#include "reconciler/cli/objects.h"
#include "reconciler/engine/shell.h"
#include "reconciler/engine/unseen.h"
#include "reconciler/source/source.h"

enum mark { MARK_PENDING, MARK_DRIFTING, MARK_HELD };

struct tally {
    const char *owner; /* "Instance shop/web-1" */
    enum mark mark;
    UT_hash_handle hh;
};

static enum mark step_mark(const struct value *step)
{
    if (strcmp(value_get_text(step, "disposition", ""), "held") == 0)
        return MARK_HELD;
    return strcmp(value_get_text(step, "cause", ""), "drift") == 0 ? MARK_DRIFTING : MARK_PENDING;
}

static bool is_declared(const struct value *step)
{
    const char *action = value_get_text(step, "action", "");

    return strcmp(action, "delete") != 0 && strcmp(action, "release") != 0;
}

/* As the daemon counts: what is ignored is true, and what was derived goes with its owner. */
static bool is_without_weight(const struct value *step)
{
    const struct kind *kind = kind_find(value_get_text(step, "kind", ""));

    return strcmp(value_get_text(step, "disposition", ""), "ignored") == 0 ||
           (kind && kind->is_derived && !is_declared(step));
}

/* One tally for each owner; the worst mark of its steps wins. */
static void tally_add(struct arena *arena, struct tally **tallies, char *owner, enum mark mark)
{
    struct tally *tally;

    HASH_FIND_STR(*tallies, owner, tally);
    if (!tally) {
        tally = arena_array(arena, 1, sizeof(*tally));
        *tally = (struct tally){.owner = owner, .mark = mark};
        HASH_ADD_KEYPTR(hh, *tallies, tally->owner, strlen(tally->owner), tally);
    }
    if (mark > tally->mark)
        tally->mark = mark;
}

static int64_t unknown_count(struct arena *arena, const struct tally *tallies,
                             const struct value *unseen)
{
    const char **touched = arena_array(arena, HASH_COUNT(tallies) + 1, sizeof(*touched));
    size_t count = 0;

    for (const struct tally *tally = tallies; tally; tally = tally->hh.next)
        touched[count++] = tally->owner;
    return unseen_count(arena, unseen, touched, count);
}

static void counts_put(struct arena *arena, struct value *counts, const struct tally *tallies,
                       const int64_t gone[3], int64_t total, int64_t unknown)
{
    int64_t marks[3] = {gone[0], gone[1], gone[2]};
    int64_t rest = total - (int64_t)HASH_COUNT(tallies) - unknown;

    for (const struct tally *tally = tallies; tally; tally = tally->hh.next)
        marks[tally->mark]++;
    value_set_int(arena, counts, "total", total);
    value_set_int(arena, counts, "true", rest > 0 ? rest : 0);
    value_set_int(arena, counts, "pending", marks[MARK_PENDING]);
    value_set_int(arena, counts, "drifting", marks[MARK_DRIFTING]);
    value_set_int(arena, counts, "held", marks[MARK_HELD]);
    if (unknown)
        value_set_int(arena, counts, "unknown", unknown);
}

static struct value *resources_count(struct arena *arena, int64_t total, const struct value *plan,
                                     const struct value *unseen)
{
    const struct value *steps = value_get(plan, "steps");
    struct value *counts = value_map(arena);
    struct tally *tallies = NULL;
    int64_t gone[3] = {0};

    for (size_t i = 0; value_is_list(steps) && i < steps->count; i++) {
        const struct value *step = steps->items[i];

        if (is_without_weight(step))
            continue;
        if (is_declared(step))
            tally_add(arena, &tallies, counted_under(arena, step), step_mark(step));
        else
            gone[step_mark(step)]++;
    }
    counts_put(arena, counts, tallies, gone, total, unknown_count(arena, tallies, unseen));
    HASH_CLEAR(hh, tallies);
    return counts;
}

static int plan_cached(struct cli *cli, const struct site *site, struct value **plan,
                       struct error *err)
{
    struct shell *shell;
    int rc = shell_open(site, SHELL_READ, cli->program, &shell, err);

    if (rc == 0)
        rc = shell_plan(shell, cli->arena, NULL, true, plan, err);
    else
        return rc;
    shell_close(shell);
    return rc;
}

/* What is declared cannot be read, so that what is true of it cannot be told. */
static void status_unreadable(struct arena *arena, struct value *document,
                              const struct revision *target, const struct error *why)
{
    struct value *counts = value_map(arena);
    char line[ERROR_LINE];

    value_set_text(arena, document, "commit", target->commit);
    value_set_bool(arena, document, "converged", false);
    value_set_int(arena, counts, "total", target->resources);
    value_set(arena, document, "resources", counts);
    value_set_text(arena, document, "headProblem", error_line(why, line));
}

/* Before the first revision there is nothing to be true or false. */
static void status_empty(struct arena *arena, struct value *document)
{
    value_set_text(arena, document, "commit", NULL);
    value_set_bool(arena, document, "converged", false);
    value_set(arena, document, "resources", resources_count(arena, 0, NULL, NULL));
}

/* Whether it is the branch's head that nothing can be planned for; then `err` says why. */
static bool head_fails(struct cli *cli, const struct site *site, struct error *err)
{
    struct source *source = NULL;
    const struct set *set;
    struct report report;
    char head[65];

    report_init(&report, cli->arena);
    int rc = source_open(site, &source, err);
    bool is_open = rc == 0;
    if (rc == 0)
        rc = source_head(source, head, err);
    if (rc == 0)
        rc = source_load(source, NULL, cli->arena, head, &set, &report, err);
    if (rc == 0 && report.count)
        rc = error_set(err, ERR_INVALID, "commit %.12s is not valid: %s", head,
                       report.problems[0].message);
    source_close(source);
    return is_open && rc < 0;
}

/* `unseen`: what nobody could look at when it was looked last. */
static void status_planned(struct arena *arena, struct value *document,
                           const struct revision *target, const struct value *plan,
                           const struct value *unseen)
{
    struct value *counts =
        resources_count(arena, value_get_int(plan, "resources", target->resources), plan, unseen);

    value_set_text(arena, document, "commit", target->commit);
    /* What is not observed yet has nothing to run either: only the ledger knows it was done. */
    value_set_bool(arena, document, "converged",
                   value_at_int(plan, "summary.run", 0) == 0 && !value_get(counts, "unknown") &&
                       (target->converged_at || value_at_int(plan, "summary.held", 0)));
    value_set(arena, document, "resources", counts);
}

static int status_stored(struct cli *cli, const struct site *site, struct value *document,
                         struct error *err)
{
    struct store *store;
    struct revision target;
    struct value *plan, *unseen = NULL;
    int rc = objects_store(cli, &store, err);

    if (rc < 0)
        return rc;
    rc = store ? store_revision_target(store, cli->arena, &target, err) : ERR_NOT_FOUND;
    if (rc == 0)
        rc = store_fact_list(store, cli->arena, "unseen", &unseen, err);
    store_close(store);
    if (rc == ERR_NOT_FOUND) {
        status_empty(cli->arena, document);
        return 0;
    }
    if (rc < 0)
        return rc;
    rc = plan_cached(cli, site, &plan, err);
    if (rc < 0) {
        struct error why = ERROR_INIT;

        if (!head_fails(cli, site, &why))
            return rc;
        status_unreadable(cli->arena, document, &target, &why);
        return 0;
    }
    status_planned(cli->arena, document, &target, plan, unseen);
    return 0;
}

int status_make(struct cli *cli, const struct site *site, struct value **document,
                struct error *err)
{
    int rc = daemon_ask(site, cli->arena, "status", NULL, document, err);

    if (rc < 0 || *document)
        return rc;
    *document = value_map(cli->arena);
    rc = status_stored(cli, site, *document, err);
    value_set(cli->arena, *document, "daemon", NULL);
    return rc;
}
