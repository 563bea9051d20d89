/* SPDX-License-Identifier: MPL-2.0 */
/*
 * An object as people and scripts see it: its spec as it was last applied (secrets
 * as digests), what its driver last reported, and what Spinel chose for it.
 */
#include "reconciler/cli/objects.h"

#include <string.h>

#include "reconciler/cli/site.h"
#include "model/when.h"
#include "reconciler/store/documents.h"

int objects_store(struct cli *cli, struct store **store, struct error *err)
{
    const struct site *site;
    struct error missing = ERROR_INIT;
    int rc = site_find(cli, &site, err);

    *store = NULL; /* so that it may be closed whatever comes of it */
    if (rc < 0)
        return rc;
    rc = store_open(site->state_dir, STORE_READ, store, &missing);
    if (rc == ERR_NOT_FOUND)
        return 0;
    if (rc < 0)
        *err = missing;
    return rc;
}

bool object_is_named(const struct known *row, const char *name)
{
    const char *slash = strchr(name, '/');

    if (!slash)
        return strcmp(row->name, name) == 0;
    return row->project && strlen(row->project) == (size_t)(slash - name) &&
           strncmp(row->project, name, (size_t)(slash - name)) == 0 &&
           strcmp(row->name, slash + 1) == 0;
}

int object_find(struct arena *arena, struct store *store, const struct kind *kind, const char *name,
                const struct known **row, struct error *err)
{
    struct known *rows = NULL;
    const struct known *found = NULL;
    size_t count = 0;
    int rc = store ? store_objects(store, arena, &rows, &count, err) : 0;

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].kind, kind->name) != 0)
            continue;
        if (strcmp(rows[i].uid, name) != 0 && !object_is_named(&rows[i], name))
            continue;
        if (found) {
            error_set(err, ERR_INVALID, "there are several %s called %s, in %s and in %s",
                      kind->plural, name, found->project ? found->project : "the rack",
                      rows[i].project ? rows[i].project : "the rack");
            return error_hint(err, "Write PROJECT/%s, or the uid.", name);
        }
        found = &rows[i];
    }
    if (!found) {
        error_set(err, ERR_NOT_FOUND, "there is no %s %s", kind->name, name);
        return error_hint(err, "'spinel get %s' lists them.", kind->plural);
    }
    *row = found;
    return 0;
}

static struct value *metadata_value(struct arena *arena, const struct known *row)
{
    struct value *metadata = value_map(arena);

    if (row->project)
        value_set_text(arena, metadata, "project", row->project);
    value_set_text(arena, metadata, "name", row->name);
    value_set_text(arena, metadata, "uid", row->uid);
    value_set_int(arena, metadata, "generation", (int64_t)row->generation);
    value_set_int(arena, metadata, "epoch", (int64_t)row->epoch);
    if (row->labels && row->labels->pair_count > 0)
        value_set(arena, metadata, "labels", value_copy(arena, row->labels));
    return metadata;
}

static struct value *status_value(struct arena *arena, const struct known *row)
{
    const struct observation *seen = &row->observed;
    struct value *status =
        value_is_map(seen->status) ? value_copy(arena, seen->status) : value_map(arena);

    value_set_text(arena, status, "state", object_state(row));
    value_set_text(arena, status, "observedAt",
                   seen->at > 0 ? when_rfc3339(arena, seen->at) : NULL);
    if (row->protect)
        value_set_bool(arena, status, "protected", true);
    if (value_is_map(row->chosen) && row->chosen->pair_count > 0)
        value_set(arena, status, "chosen", value_copy(arena, row->chosen));
    if (value_is_list(seen->damage) && seen->damage->count > 0)
        value_set(arena, status, "damage", value_copy(arena, seen->damage));
    return status;
}

struct value *object_value(struct arena *arena, const struct known *row)
{
    const struct value *spec = row->applied ? row->applied : row->observed.spec;
    struct value *item = value_map(arena);

    value_set_text(arena, item, "kind", row->kind);
    value_set(arena, item, "metadata", metadata_value(arena, row));
    value_set(arena, item, "spec", spec ? value_copy(arena, spec) : value_map(arena));
    value_set(arena, item, "status", status_value(arena, row));
    return item;
}
