/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Drift without a daemon: the fields of a fresh plan whose cause is the world, and
 * for those that were seen before, since when and by what, from the store.
 */
#include "reconciler/cli/drift.h"

#include <string.h>

#include "reconciler/cli/daemon.h"
#include "reconciler/cli/objects.h"
#include "reconciler/store/documents.h"
#include "model/when.h"
#include "reconciler/engine/shell.h"

/* Where an object that is not there at all has its row. */
static const char whole_object[] = "object";

static const struct drift_row *row_find(const struct drift_row *rows, size_t count, const char *uid,
                                        const char *path)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].healed_at == 0 && strcmp(rows[i].uid, uid) == 0 &&
            strcmp(rows[i].path, path) == 0)
            return &rows[i];
    }
    return NULL;
}

struct finding {
    const struct value *step;
    const char *path;
    struct value *desired, *observed;
    const char *disposition, *reason;
};

static struct value *finding_value(struct arena *arena, const struct finding *finding,
                                   const struct drift_row *row, const char *at)
{
    static const char *const copied[] = {"kind", "project", "name", "uid"};
    struct value *value = value_map(arena);

    for (size_t i = 0; i < 4; i++)
        value_set_text(arena, value, copied[i], value_get_text(finding->step, copied[i], NULL));
    value_set_text(arena, value, "path", finding->path);
    value_set(arena, value, "desired", finding->desired);
    value_set(arena, value, "observed", finding->observed);
    value_set_text(arena, value, "since", row ? when_rfc3339(arena, row->since) : at);
    value_set_text(arena, value, "lastSeen", at);
    value_set_text(arena, value, "detectedBy", row ? row->detected_by : "plan");
    value_set_text(arena, value, "cause", row ? row->cause : "unknown");
    value_set_text(arena, value, "disposition", finding->disposition);
    value_set_text(arena, value, "reason",
                   strcmp(finding->disposition, "run") ? finding->reason : NULL);
    value_set(arena, value, "healed", NULL);
    value_set_int(arena, value, "count", row ? row->count : 0);
    return value;
}

struct found {
    struct arena *arena;
    const struct drift_row *rows;
    size_t count;
    const char *at;
    struct value *list;
};

static void finding_add(struct found *found, const struct finding *finding)
{
    const char *uid = value_get_text(finding->step, "uid", "");

    value_append(found->arena, found->list,
                 finding_value(found->arena, finding,
                               row_find(found->rows, found->count, uid, finding->path), found->at));
}

static struct value *side_copy(struct arena *arena, const struct value *field, const char *side)
{
    const struct value *value = value_get(field, side);

    return value ? value_copy(arena, value) : value_null(arena);
}

static void step_findings(struct found *found, const struct value *step)
{
    const struct value *fields = value_get(step, "fields");
    const char *disposition = value_get_text(step, "disposition", "");
    const char *reason = value_get_text(step, "reason", NULL);
    struct finding finding = {
        .step = step, .path = whole_object, .disposition = disposition, .reason = reason};

    if (strcmp(value_get_text(step, "cause", ""), "drift") == 0 &&
        strcmp(value_get_text(step, "action", ""), "create") == 0) {
        finding.desired = value_text(found->arena, "present");
        finding.observed = value_text(found->arena, "absent");
        finding_add(found, &finding);
        return;
    }
    for (size_t i = 0; value_is_list(fields) && i < fields->count; i++) {
        const struct value *field = fields->items[i];

        if (strcmp(value_get_text(field, "cause", ""), "drift") != 0)
            continue;
        finding.path = value_get_text(field, "path", "");
        finding.desired = side_copy(found->arena, field, "to");
        finding.observed = side_copy(found->arena, field, "from");
        finding.disposition = value_get_text(field, "disposition", disposition);
        finding.reason = value_get_text(field, "reason", reason);
        finding_add(found, &finding);
    }
}

static int rows_read(struct cli *cli, int64_t since, struct drift_row **rows, size_t *count,
                     struct error *err)
{
    struct store *store;
    int rc = objects_store(cli, &store, err);

    *rows = NULL;
    *count = 0;
    if (rc == 0 && store)
        rc = store_drifts(store, cli->arena, since, rows, count, err);
    store_close(store);
    return rc;
}

static struct value *strangers_copy(struct arena *arena, const struct value *strangers,
                                    const char *key)
{
    const struct value *list = value_get(strangers, key);

    return list ? value_copy(arena, list) : value_list(arena);
}

static struct value *drift_document(struct found *found, const struct value *plan,
                                    const struct value *strangers)
{
    const struct value *steps = value_get(plan, "steps");
    struct value *document = value_map(found->arena);

    found->list = value_list(found->arena);
    for (size_t i = 0; i < found->count; i++) {
        if (found->rows[i].healed_at > 0)
            value_append(found->arena, found->list, drift_value(found->arena, &found->rows[i]));
    }
    for (size_t i = 0; value_is_list(steps) && i < steps->count; i++)
        step_findings(found, steps->items[i]);
    value_set_text(found->arena, document, "schema", "spinel/drift/v1");
    value_set_text(found->arena, document, "at", found->at);
    value_set_text(found->arena, document, "commit", value_get_text(plan, "commit", NULL));
    value_set(found->arena, document, "drift", found->list);
    value_set(found->arena, document, "unmanaged",
              strangers_copy(found->arena, strangers, "unmanaged"));
    value_set(found->arena, document, "orphans",
              strangers_copy(found->arena, strangers, "orphans"));
    value_set(found->arena, document, "unknown",
              strangers_copy(found->arena, strangers, "unknown"));
    return document;
}

static int drift_here(struct cli *cli, const struct site *site, int64_t since,
                      struct value **document, struct error *err)
{
    struct found found = {.arena = cli->arena, .at = when_rfc3339(cli->arena, when_now())};
    struct drift_row *rows;
    struct shell *shell;
    struct value *plan;
    int rc = rows_read(cli, since, &rows, &found.count, err);

    if (rc == 0)
        rc = shell_open(site, SHELL_READ, cli->program, &shell, err);
    if (rc < 0)
        return rc;
    found.rows = rows;
    rc = shell_plan(shell, cli->arena, NULL, false, &plan, err);
    if (rc == 0)
        *document = drift_document(&found, plan, shell_strangers(shell));
    shell_close(shell);
    return rc;
}

int drift_make(struct cli *cli, const struct site *site, int64_t since, struct value **document,
               struct error *err)
{
    struct value *params = value_map(cli->arena);
    int rc;

    value_set_int(cli->arena, params, "since", since);
    rc = daemon_ask(site, cli->arena, "drift", params, document, err);
    if (rc < 0 || *document)
        return rc;
    return drift_here(cli, site, since, document, err);
}
