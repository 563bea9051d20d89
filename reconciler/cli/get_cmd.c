/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel get`: objects as the store knows them; nothing is asked of a driver. */
#include "reconciler/cli/command.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "model/diff.h"
#include "reconciler/cli/kinds.h"
#include "reconciler/cli/objects.h"
#include "reconciler/cli/output.h"
#include "reconciler/cli/table.h"
#include "model/when.h"

enum { COLUMNS_MAX = 4 };

/* What is worth a column, besides name, state and age of the observation. */
static const struct {
    const char *kind;
    struct {
        const char *title, *path;
    } columns[COLUMNS_MAX];
} layouts[] = {
    {"Instance",
     {{"CPUS", "spec.cpus"},
      {"MEMORY", "spec.memory"},
      {"POWER", "spec.power"},
      {"PID", "status.pid"}}},
    {"Volume",
     {{"SIZE", "spec.size"},
      {"FORMAT", "spec.format"},
      {"IMAGE", "spec.image"},
      {"POOL", "spec.pool"}}},
    {"Image", {{"FORMAT", "spec.format"}, {"DIGEST", "spec.digest"}}},
    {"Pool", {{"PATH", "spec.path"}}},
    {"VPC", {{"PREFIXES", "spec.prefixes"}, {"NAT", "spec.nat"}, {"MTU", "spec.mtu"}}},
    {"Subnet", {{"VPC", "spec.vpc"}, {"CIDR", "spec.cidr"}, {"GATEWAY", "spec.gateway"}}},
    {"NIC",
     {{"SUBNET", "spec.subnet"},
      {"ADDRESS", "status.chosen.address"},
      {"MAC", "status.chosen.mac"}}},
    {"Firewall", {{"VPC", "spec.vpc"}}},
    {"FloatingIP", {{"ADDRESS", "spec.address"}}},
    {"PortForward", {{"VPC", "spec.vpc"}}},
};

static struct {
    int json;
    int yaml;
} options;

static char *item_text(struct arena *arena, const struct kind *kind, const struct value *item,
                       const char *path)
{
    const struct value *leaf = value_at(item, path);
    const struct field *field = strncmp(path, "spec.", 5) == 0 ? kind_field(kind, path) : NULL;

    return leaf && leaf->type != VALUE_NULL ? diff_value_text(arena, field, leaf)
                                            : arena_text(arena, "-");
}

static enum paint state_paint(const char *state)
{
    static const char *const bad[] = {"missing", "failed", "crashed"};
    static const char *const doubtful[] = {"released", "unknown", "pending", "stopped"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (strcmp(state, bad[i]) == 0)
            return PAINT_BAD;
    }
    for (size_t i = 0; i < sizeof(doubtful) / sizeof(doubtful[0]); i++) {
        if (strcmp(state, doubtful[i]) == 0)
            return PAINT_WARN;
    }
    return PAINT_GOOD;
}

static void kind_table_print(struct arena *arena, const struct kind *kind,
                             const struct value *items, const char *const *titles,
                             const char *const *paths, size_t extra)
{
    struct table *table = table_new(arena, titles, extra + 3);

    for (size_t i = 0; i < items->count; i++) {
        const struct value *item = items->items[i];
        const char *project = value_at_text(item, "metadata.project", NULL);
        const char *state = value_at_text(item, "status.state", "unknown");
        const char **cells;

        if (strcmp(value_get_text(item, "kind", ""), kind->name) != 0)
            continue;
        cells = table_row(table);
        cells[0] = arena_printf(arena, "%s%s%s", project ? project : "", project ? "/" : "",
                                value_at_text(item, "metadata.name", ""));
        cells[1] = state;
        for (size_t c = 0; c < extra; c++)
            cells[2 + c] = item_text(arena, kind, item, paths[c]);
        cells[2 + extra] = value_at_text(item, "metadata.uid", "");
        table_paint(table, 1, state_paint(state));
    }
    if (table_rows(table) > 0)
        table_print(table, stdout);
}

static void kind_print(struct arena *arena, const struct kind *kind, const struct value *items)
{
    const char **titles = arena_array(arena, COLUMNS_MAX + 3, sizeof(*titles));
    const char *paths[COLUMNS_MAX];
    size_t extra = 0;

    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        if (strcmp(layouts[i].kind, kind->name) != 0)
            continue;
        for (; extra < COLUMNS_MAX && layouts[i].columns[extra].title; extra++) {
            titles[2 + extra] = layouts[i].columns[extra].title;
            paths[extra] = layouts[i].columns[extra].path;
        }
    }
    titles[0] = kind->name;
    titles[1] = "STATE";
    titles[2 + extra] = "UID";
    kind_table_print(arena, kind, items, titles, paths, extra);
}

static void tables_print(struct arena *arena, const struct value *items)
{
    size_t count;
    const struct kind *const *kinds = kinds_get(&count);
    bool is_first = true;

    for (size_t k = 0; k < count; k++) {
        size_t i = 0;

        while (i < items->count &&
               strcmp(value_get_text(items->items[i], "kind", ""), kinds[k]->name) != 0)
            i++;
        if (i == items->count)
            continue;
        if (!is_first)
            putchar('\n');
        is_first = false;
        kind_print(arena, kinds[k], items);
    }
}

static struct value *items_select(struct arena *arena, const struct known *rows, size_t count,
                                  const struct kind *kind, const char *name)
{
    struct value *items = value_list(arena);

    for (size_t i = 0; i < count; i++) {
        if (kind && strcmp(rows[i].kind, kind->name) != 0)
            continue;
        if (!name || object_is_named(&rows[i], name) || strcmp(rows[i].uid, name) == 0)
            value_append(arena, items, object_value(arena, &rows[i]));
    }
    return items;
}

static int items_print(struct cli *cli, struct value *items, const char *what)
{
    struct value *document = value_map(cli->arena);
    const char *name = cli->operand_count > 1 ? cli->operands[1] : NULL;

    value_set(cli->arena, document, "items", items);
    if (options.json)
        output_json(document);
    else if (options.yaml)
        output_yaml(document);
    else
        tables_print(cli->arena, items);
    if (items->count > 0)
        return EXIT_OK;
    if (name)
        note("spinel get: there is no %s %s", what, name);
    else if (!options.json && !options.yaml)
        note("spinel get: no %s yet", what);
    return name ? EXIT_ERROR : EXIT_OK;
}

static int get_run(struct cli *cli)
{
    bool is_all = strcasecmp(cli->operands[0], "all") == 0;
    const struct kind *kind = is_all ? NULL : kind_asked(cli, cli->operands[0]);
    struct error err = ERROR_INIT;
    struct store *store = NULL;
    struct known *rows = NULL;
    size_t count = 0;
    int rc;

    if (!kind && !is_all)
        return EXIT_BAD_USAGE;
    if (options.json && options.yaml)
        return usage_error(cli, "--json and --yaml exclude each other");
    rc = objects_store(cli, &store, &err);
    if (rc == 0 && store)
        rc = store_objects(store, cli->arena, &rows, &count, &err);
    store_close(store);
    if (rc < 0)
        return fail(cli, &err);
    return items_print(cli,
                       items_select(cli->arena, rows, count, kind,
                                    cli->operand_count > 1 ? cli->operands[1] : NULL),
                       kind ? kind->name : "objects");
}

static const struct poptOption get_options[] = {
    {"json", 0, POPT_ARG_NONE, &options.json, 0, "as JSON", NULL},
    {"yaml", 0, POPT_ARG_NONE, &options.yaml, 0, "as YAML", NULL},
    POPT_TABLEEND,
};

const struct command get_command = {
    .name = "get",
    .group = "Look",
    .operands = "KIND [PROJECT/NAME]",
    .help = "list objects, or show one",
    .details = "KIND in any case, singular or plural, or 'all'. What is shown was last reported\n"
               "by the drivers; spinel plan and spinel drift look anew.",
    .options = get_options,
    .least = 1,
    .most = 2,
    .run = get_run,
};
