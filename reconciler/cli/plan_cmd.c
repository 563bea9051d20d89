/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel plan`: what would change, and why. Changes nothing. */
#include "reconciler/cli/command.h"

#include <stdio.h>

#include "reconciler/cli/output.h"
#include "reconciler/cli/planning.h"
#include "reconciler/cli/report_file.h"
#include "reconciler/cli/saved.h"
#include "reconciler/cli/site.h"

static struct {
    int json;
    int cached;
    char *rev;
    char *file;
} options;

static int plan_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    const struct site *site;
    struct value *document;
    bool is_piped = file_is_stdout(options.file);
    int rc;

    if (is_piped && options.json)
        return usage_error(cli, "only one of --json and --output=- can have standard output");
    rc = site_find(cli, &site, &err);
    if (rc == 0)
        rc = planning_make(cli, site, options.rev, options.cached, &document, &err);
    if (rc == 0 && options.file)
        rc = saved_write(cli->arena, options.file, document, &err);
    if (rc < 0)
        return fail(cli, &err);
    if (options.json)
        output_json(document);
    else if (!is_piped)
        planning_print(document);
    if (options.file && !is_piped)
        note("spinel plan: saved; spinel apply %s does exactly this, or refuses", options.file);
    if (value_get_int(document, "resources", 1) == 0 && site->repository.subdir[0])
        note("spinel plan: no manifest is below '%s', which spec.repository.subdir in the site "
             "file names",
             site->repository.subdir);
    return planning_exit(document);
}

static const struct poptOption plan_options[] = {
    {"json", 0, POPT_ARG_NONE, &options.json, 0, "the plan document (spinel/plan/v1)", NULL},
    {"rev", 0, POPT_ARG_STRING, &options.rev, 0, "of a revision instead of the branch's head",
     "REV"},
    {"cached", 0, POPT_ARG_NONE, &options.cached, 0, "from the last observation; asks no driver",
     NULL},
    {"output", 'o', POPT_ARG_STRING, &options.file, 0,
     "save it for spinel apply FILE; - is standard output", "FILE"},
    POPT_TABLEEND,
};

const struct command plan_command = {
    .name = "plan",
    .group = "Change",
    .operands = "",
    .help = "show what would change, and why; changes nothing",
    .details = "Exit status: 0 nothing to do, 2 something would run, 3 nothing would run but the\n"
               "guard holds something, 1 error.",
    .options = plan_options,
    .run = plan_run,
};
