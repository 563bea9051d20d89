/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel version`: which program this is, and which kinds it knows. */
#include "reconciler/cli/command.h"

#include <stdio.h>

#include "model/kind.h"
#include "model/value.h"
#include "reconciler/cli/output.h"
#include "version.h"

static int is_json;

static int version_run(struct cli *cli)
{
    struct value *document;

    if (!is_json) {
        printf("spinel %s (kinds %.16s)\n", SPINEL_VERSION, kinds_digest());
        return EXIT_OK;
    }
    document = value_map(cli->arena);
    value_set_text(cli->arena, document, "version", SPINEL_VERSION);
    value_set_text(cli->arena, document, "kinds", kinds_digest());
    output_json(document);
    return EXIT_OK;
}

static const struct poptOption version_options[] = {
    {"json", 0, POPT_ARG_NONE, &is_json, 0, "as JSON", NULL},
    POPT_TABLEEND,
};

const struct command version_command = {
    .name = "version",
    .group = "This program",
    .operands = "",
    .help = "show the version",
    .options = version_options,
    .run = version_run,
};
