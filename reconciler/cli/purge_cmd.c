/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel purge`: lists what left Git and was kept, and says how it comes back or goes. */
#include "reconciler/cli/command.h"

#include <stdio.h>

#include "reconciler/cli/objects.h"
#include "reconciler/cli/output.h"
#include "reconciler/cli/table.h"
#include "model/when.h"

static int is_json;

static void released_print(struct arena *arena, const struct value *items)
{
    static const char *const titles[] = {"RELEASED", "UID", "PATH"};
    struct table *table = table_new(arena, titles, 3);

    for (size_t i = 0; i < items->count; i++) {
        const struct value *item = items->items[i];
        const char **cells = table_row(table);

        cells[0] = arena_printf(arena, "%s %s/%s", value_get_text(item, "kind", ""),
                                value_at_text(item, "metadata.project", ""),
                                value_at_text(item, "metadata.name", ""));
        cells[1] = value_at_text(item, "metadata.uid", "");
        cells[2] = value_at_text(item, "status.path", "-");
    }
    table_print(table, stdout);
    note("\nTo restore one, commit its manifest again. To destroy one, commit it with\n"
         "'onRemove: delete', let that be applied, and remove it in a later commit.");
}

static int purge_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    struct value *document = value_map(cli->arena);
    struct value *items = value_set(cli->arena, document, "released", value_list(cli->arena));
    struct known *rows = NULL;
    struct store *store;
    size_t count = 0;
    int rc = objects_store(cli, &store, &err);

    if (rc == 0 && store)
        rc = store_objects(store, cli->arena, &rows, &count, &err);
    if (rc < 0)
        return fail(cli, &err);
    store_close(store);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].life == LIFE_RELEASED)
            value_append(cli->arena, items, object_value(cli->arena, &rows[i]));
    }
    if (is_json)
        output_json(document);
    else if (items->count > 0)
        released_print(cli->arena, items);
    else
        note("spinel purge: nothing is released");
    return EXIT_OK;
}

static const struct poptOption purge_options[] = {
    {"json", 0, POPT_ARG_NONE, &is_json, 0, "as JSON", NULL},
    POPT_TABLEEND,
};

const struct command purge_command = {
    .name = "purge",
    .group = "Change",
    .operands = "",
    .help = "list what left Git and was kept, and how it is restored or destroyed",
    .details = "It destroys nothing itself.",
    .options = purge_options,
    .run = purge_run,
};
