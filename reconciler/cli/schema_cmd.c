/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel schema`: the kinds as JSON Schema, for editors and other people's checks. */
#include "reconciler/cli/command.h"

#include <stdio.h>

#include "model/kind.h"
#include "reconciler/cli/kinds.h"
#include "reconciler/cli/output.h"

static int is_all;

/* One schema for a file that may hold any kind. */
static struct value *schema_all(struct arena *arena)
{
    struct value *root = value_map(arena);
    struct value *any = value_list(arena);
    size_t count;
    const struct kind *const *kinds = kinds_get(&count);

    value_set_text(arena, root, "$schema", "https://json-schema.org/draft/2020-12/schema");
    value_set_text(arena, root, "title", "Spinel manifest");
    for (size_t i = 0; i < count; i++) {
        if (!kinds[i]->is_derived && kinds[i]->scope != SCOPE_SITE)
            value_append(arena, any, kind_schema(arena, kinds[i]));
    }
    value_set(arena, root, "anyOf", any);
    return root;
}

static int schema_run(struct cli *cli)
{
    const struct kind *kind;

    if (is_all) {
        output_json(schema_all(cli->arena));
        return EXIT_OK;
    }
    if (cli->operand_count == 0) {
        kinds_print(cli->arena);
        return EXIT_OK;
    }
    kind = kind_asked(cli, cli->operands[0]);
    if (!kind)
        return EXIT_BAD_USAGE;
    output_json(kind_schema(cli->arena, kind));
    return EXIT_OK;
}

static const struct poptOption schema_options[] = {
    {"all", 0, POPT_ARG_NONE, &is_all, 0, "one schema for every kind, for an editor", NULL},
    POPT_TABLEEND,
};

const struct command schema_command = {
    .name = "schema",
    .group = "Write manifests",
    .operands = "[KIND]",
    .help = "print the JSON Schema of a kind",
    .details = "Without KIND it lists the kinds.",
    .options = schema_options,
    .most = 1,
    .run = schema_run,
};
