/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `spinel describe`: one object, its three states side by side, and what happened
 * to it: desired (Git), booted (how the running thing was started), observed (what
 * its driver last reported).
 */
#include "reconciler/cli/command.h"

#include <stdio.h>
#include <string.h>

#include "model/diff.h"
#include "model/report.h"
#include "model/resource.h"
#include "reconciler/cli/kinds.h"
#include "reconciler/cli/objects.h"
#include "reconciler/cli/output.h"
#include "reconciler/cli/terminal.h"
#include "reconciler/store/documents.h"
#include "reconciler/cli/site.h"
#include "reconciler/cli/table.h"
#include "model/when.h"
#include "reconciler/source/source.h"

enum { RECENT = 10, EVENTS_SEARCHED = 1000 };

static int is_json;

/* Everything that is told of one object. */
struct description {
    const struct kind *kind;
    const struct known *row;         /* NULL: declared, and never met */
    const struct resource *resource; /* NULL: not declared */
    struct error unread;             /* why nobody knows what is declared, if so */
    struct value *operations;
    struct value *events;
    struct value *drift;
};

/* ---- gathering ---------------------------------------------------------------------- */

/* The resource that the branch's head declares; NULL without one. What cannot be read is not the
 * same as what is not declared. Problems of the manifests are `spinel check`'s to tell. */
static int desired_find(struct cli *cli, const struct kind *kind, const char *name,
                        const struct resource **found, struct error *err)
{
    struct source *source = NULL;
    const struct site *site;
    const struct set *set = NULL;
    struct report report;
    char commit[65];
    int rc = site_find(cli, &site, err);

    report_init(&report, cli->arena);
    if (rc == 0)
        rc = source_open(site, &source, err);
    if (rc == 0)
        rc = source_head(source, commit, err);
    if (rc == 0)
        rc = source_load(source, NULL, cli->arena, commit, &set, &report, err);
    source_close(source);
    for (size_t i = 0; rc == 0 && i < set->count; i++) {
        const struct resource *resource = set->resources[i];
        const struct known as = {.project = resource->project, .name = resource->name};

        if (resource->kind == kind && object_is_named(&as, name))
            *found = resource;
    }
    return rc;
}

static int operations_find(struct arena *arena, struct store *store, const char *uid,
                           struct value *list, struct error *err)
{
    struct intent *intents = NULL;
    size_t count = 0;
    int rc =
        store_intents(store, arena, uid, (struct page){.limit = RECENT}, &intents, &count, err);

    for (size_t i = 0; rc == 0 && i < count; i++)
        value_append(arena, list, intent_value(arena, &intents[i]));
    return rc;
}

static int events_find(struct arena *arena, struct store *store, const char *uid,
                       struct value *list, struct error *err)
{
    struct event *events = NULL;
    size_t count = 0, found = 0, skip;
    int rc = store_events(store, arena, -1, EVENTS_SEARCHED, &events, &count, err);

    for (size_t i = 0; rc == 0 && i < count; i++)
        found += events[i].uid && strcmp(events[i].uid, uid) == 0;
    skip = found > RECENT ? found - RECENT : 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (!events[i].uid || strcmp(events[i].uid, uid) != 0)
            continue;
        if (skip > 0)
            skip--;
        else
            value_append(arena, list, event_value(arena, &events[i]));
    }
    return rc;
}

static int drift_find(struct arena *arena, struct store *store, const char *uid, struct value *list,
                      struct error *err)
{
    struct drift_row *rows = NULL;
    size_t count = 0;
    int rc = store_drifts(store, arena, when_now() - 7 * 86400, &rows, &count, err);

    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (strcmp(rows[i].uid, uid) == 0)
            value_append(arena, list, drift_value(arena, &rows[i]));
    }
    return rc;
}

static int describe_gather(struct cli *cli, struct store *store, struct description *about,
                           struct error *err)
{
    const char *name = cli->operands[1];
    int rc;

    about->operations = value_list(cli->arena);
    about->events = value_list(cli->arena);
    about->drift = value_list(cli->arena);
    rc = object_find(cli->arena, store, about->kind, name, &about->row, err);
    if (rc < 0 && rc != ERR_NOT_FOUND)
        return rc;
    if (about->row && about->row->project)
        name = arena_printf(cli->arena, "%s/%s", about->row->project, about->row->name);
    if (desired_find(cli, about->kind, name, &about->resource, &about->unread) < 0 && !about->row)
        *err = about->unread;
    if (!about->row)
        return about->resource ? 0 : err->code;
    rc = operations_find(cli->arena, store, about->row->uid, about->operations, err);
    if (rc == 0)
        rc = events_find(cli->arena, store, about->row->uid, about->events, err);
    return rc < 0 ? rc : drift_find(cli->arena, store, about->row->uid, about->drift, err);
}

/* ---- showing ------------------------------------------------------------------------ */

/* A field that is not there shows as "-"; secrets are diff_value_text's to hide. */
static char *leaf_text(struct arena *arena, const struct field *field, const struct value *root,
                       const char *path)
{
    const struct value *leaf = value_at(root, path);

    if (!leaf || leaf->type == VALUE_NULL)
        return arena_text(arena, "-");
    return diff_value_text(arena, field, leaf);
}

struct sides {
    struct arena *arena;
    struct table *table;
    const struct value *desired, *booted, *observed;
};

static void side_row(struct sides *sides, const struct field *field, const char *path)
{
    const struct value *wanted = value_at(sides->desired, path);
    const struct value *seen = value_at(sides->observed, path);
    const char **cells;

    if (!wanted && !seen && !value_at(sides->booted, path))
        return;
    cells = table_row(sides->table);
    cells[0] = arena_printf(sides->arena, "  spec.%s", path);
    cells[1] = leaf_text(sides->arena, field, sides->desired, path);
    cells[2] = leaf_text(sides->arena, field, sides->booted, path);
    cells[3] = leaf_text(sides->arena, field, sides->observed, path);
    if (wanted && seen && !field->is_sensitive && !value_equal(wanted, seen))
        table_paint(sides->table, 3, PAINT_BAD);
}

static void sides_walk(struct sides *sides, const struct field *field, const char *path);

/* Each element that any side has, by its key. */
static void sides_walk_keyed(struct sides *sides, const struct field *field, const char *path)
{
    const struct value *lists[] = {value_at(sides->desired, path), value_at(sides->booted, path),
                                   value_at(sides->observed, path)};

    for (size_t side = 0; side < 3; side++) {
        for (size_t i = 0; value_is_list(lists[side]) && i < lists[side]->count; i++) {
            const char *key = value_get_text(lists[side]->items[i], field->list_key, NULL);
            bool is_known = false;

            for (size_t before = 0; key && before < side; before++)
                is_known |= value_find(lists[before], field->list_key, key) != NULL;
            if (key && !is_known)
                sides_walk(sides, field->item, arena_printf(sides->arena, "%s[%s]", path, key));
        }
    }
}

static void sides_walk(struct sides *sides, const struct field *field, const char *path)
{
    if (field->list_key && field->item) {
        sides_walk_keyed(sides, field, path);
        return;
    }
    if (field->type != FIELD_MAP || field->is_open) {
        side_row(sides, field, path);
        return;
    }
    for (size_t i = 0; i < field->field_count; i++) {
        const struct field *child = field->fields[i];

        sides_walk(sides, child,
                   path[0] ? arena_printf(sides->arena, "%s.%s", path, child->name) : child->name);
    }
}

static void states_print(struct arena *arena, const struct description *about)
{
    static const char *const titles[] = {"  FIELD", "DESIRED", "BOOTED", "OBSERVED"};
    struct sides sides = {
        .arena = arena,
        .table = table_new(arena, titles, 4),
        .desired = about->resource ? about->resource->spec : NULL,
        .booted = about->row ? about->row->observed.booted : NULL,
        .observed = about->row ? about->row->observed.spec : NULL,
    };

    sides_walk(&sides, about->kind->spec, "");
    if (table_rows(sides.table) > 0) {
        putchar('\n');
        table_print(sides.table, stdout);
    }
}

static void fact(const char *label, const char *value)
{
    if (value && value[0])
        terminal_print(stdout, "  %-10s %s\n", label, value);
}

static void status_print(struct arena *arena, const struct value *status)
{
    for (size_t i = 0; i < status->pair_count; i++) {
        const struct pair *pair = &status->pairs[i];

        if (pair->value->type != VALUE_NULL)
            fact(pair->key, diff_value_text(arena, NULL, pair->value));
    }
}

static void heading_print(struct arena *arena, const struct description *about)
{
    const char *project = about->row ? about->row->project : about->resource->project;
    const char *name = about->row ? about->row->name : about->resource->name;

    terminal_print(stdout, "%s%s%s\n", paint(stdout, PAINT_STRONG),
                   identity_label(arena, about->kind->name, project, name),
                   paint(stdout, PAINT_PLAIN));
    fact("uid", about->row ? about->row->uid : "none yet: nothing was applied");
    if (about->resource)
        fact("declared",
             arena_printf(arena, "%s:%u", about->resource->at.file, about->resource->at.line));
    else
        fact("declared",
             about->unread.code ? arena_printf(arena, "unknown: %s", about->unread.message) : "no");
    if (about->row)
        status_print(arena, value_get(object_value(arena, about->row), "status"));
}

static void drift_print(struct arena *arena, const struct value *drift)
{
    for (size_t i = 0; i < drift->count; i++) {
        const struct value *row = drift->items[i];

        if (i == 0)
            terminal_print(stdout, "\nDrift of the last 7 days:\n");
        terminal_print(stdout, "  %s  %s: expected %s, found %s; %s\n",
                       value_get_text(row, "since", ""), value_get_text(row, "path", ""),
                       diff_value_text(arena, NULL, value_get(row, "desired")),
                       diff_value_text(arena, NULL, value_get(row, "observed")),
                       value_is_map(value_get(row, "healed"))
                           ? "healed"
                           : value_get_text(row, "disposition", "open"));
    }
}

static void describe_print(struct arena *arena, const struct description *about)
{
    heading_print(arena, about);
    states_print(arena, about);
    drift_print(arena, about->drift);
    for (size_t i = 0; i < about->operations->count; i++) {
        const struct value *op = about->operations->items[i];
        const char *error = value_get_text(op, "error", "");

        terminal_print(stdout, "%s  %s  %s %s%s%s\n", i == 0 ? "\nLast operations:\n" : "",
                       value_get_text(op, "createdAt", ""), value_get_text(op, "verb", ""),
                       value_get_text(op, "state", ""), error[0] ? ": " : "", error);
    }
    for (size_t i = 0; i < about->events->count; i++)
        terminal_print(stdout, "%s  %.19sZ  %s\n", i == 0 ? "\nLast events:\n" : "",
                       value_get_text(about->events->items[i], "at", ""),
                       value_get_text(about->events->items[i], "text", ""));
}

/* The desired spec for JSON: secrets as {"sensitive":"same"}. */
static struct value *spec_shown(struct arena *arena, const struct field *field,
                                const struct value *value)
{
    struct value *out;

    if (field && field->is_sensitive && value->type != VALUE_NULL) {
        out = value_map(arena);
        value_set_text(arena, out, "sensitive", "same");
        return out;
    }
    if (value->type == VALUE_MAP) {
        out = value_map(arena);
        for (size_t i = 0; i < value->pair_count; i++)
            value_set(arena, out, value->pairs[i].key,
                      spec_shown(arena, field ? field_child(field, value->pairs[i].key) : NULL,
                                 value->pairs[i].value));
        return out;
    }
    if (value->type != VALUE_LIST)
        return value_copy(arena, value);
    out = value_list(arena);
    for (size_t i = 0; i < value->count; i++)
        value_append(arena, out, spec_shown(arena, field ? field->item : NULL, value->items[i]));
    return out;
}

static struct value *copy_or_null(struct arena *arena, const struct value *value)
{
    return value ? value_copy(arena, value) : value_null(arena);
}

static struct value *describe_document(struct arena *arena, const struct description *about)
{
    struct value *document = about->row ? object_value(arena, about->row) : value_map(arena);
    const struct observation *seen = about->row ? &about->row->observed : NULL;

    if (!about->row) {
        struct value *metadata = value_set(arena, document, "metadata", value_map(arena));

        value_set_text(arena, document, "kind", about->kind->name);
        value_set_text(arena, metadata, "project", about->resource->project);
        value_set_text(arena, metadata, "name", about->resource->name);
    }
    value_unset(document, "spec");
    value_set(arena, document, "desired",
              about->resource ? spec_shown(arena, about->kind->spec, about->resource->spec)
                              : value_null(arena));
    if (about->unread.code)
        value_set_text(arena, document, "desiredUnknown", about->unread.message);
    value_set(arena, document, "booted", copy_or_null(arena, seen ? seen->booted : NULL));
    value_set(arena, document, "observed", copy_or_null(arena, seen ? seen->spec : NULL));
    value_set(arena, document, "drift", about->drift);
    value_set(arena, document, "operations", about->operations);
    value_set(arena, document, "events", about->events);
    return document;
}

static int describe_run(struct cli *cli)
{
    struct description about = {.kind = kind_asked(cli, cli->operands[0])};
    struct error err = ERROR_INIT;
    struct store *store;
    int rc;

    if (!about.kind)
        return EXIT_BAD_USAGE;
    rc = objects_store(cli, &store, &err);
    if (rc < 0)
        return fail(cli, &err);
    rc = describe_gather(cli, store, &about, &err);
    store_close(store);
    if (rc < 0)
        return fail(cli, &err);
    if (is_json)
        output_json(describe_document(cli->arena, &about));
    else
        describe_print(cli->arena, &about);
    return about.unread.code ? fail(cli, &about.unread) : EXIT_OK;
}

static const struct poptOption describe_options[] = {
    {"json", 0, POPT_ARG_NONE, &is_json, 0, "as JSON", NULL},
    POPT_TABLEEND,
};

const struct command describe_command = {
    .name = "describe",
    .group = "Look",
    .operands = "KIND PROJECT/NAME",
    .help = "show an object's desired, booted and observed state side by side",
    .options = describe_options,
    .least = 2,
    .most = 2,
    .run = describe_run,
};
