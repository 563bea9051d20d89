/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `spinel check`: is what these manifests declare valid? Everything that is wrong
 * is told at once. It needs no site and no root, but for --rev, which reads the
 * site's repository.
 */
#include "reconciler/cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/report.h"
#include "model/resource.h"
#include "model/sort.h"
#include "model/text.h"
#include "reconciler/cli/output.h"
#include "reconciler/cli/problems.h"
#include "reconciler/cli/site.h"
#include "reconciler/source/source.h"

static struct {
    int json;
    char *rev;
} options;

/* Manifest files that a set came from. */
static size_t set_files(struct arena *arena, const struct set *set)
{
    const char **names = arena_array(arena, set->count + 1, sizeof(*names));
    size_t count = 0, distinct = 0;

    for (size_t i = 0; i < set->count; i++) {
        if (set->resources[i]->at.file)
            names[count++] = set->resources[i]->at.file;
    }
    qsort(names, count, sizeof(*names), text_order);
    for (size_t i = 0; i < count; i++)
        distinct += i == 0 || strcmp(names[i], names[i - 1]) != 0;
    return distinct;
}

static int revision_load(struct cli *cli, const struct set **set, size_t *files,
                         struct report *report, struct error *err)
{
    const struct site *site;
    struct source *source = NULL;
    char commit[65];
    int rc = site_find(cli, &site, err);

    if (rc == 0)
        rc = source_open(site, &source, err);
    if (rc == 0)
        rc = source_resolve(source, options.rev, commit, err);
    if (rc == 0)
        rc = source_load(source, NULL, cli->arena, commit, set, report, err);
    if (rc == 0)
        *files = set_files(cli->arena, *set);
    source_close(source);
    return rc;
}

static struct value *check_document(struct arena *arena, const struct set *set,
                                    const struct report *report)
{
    struct value *document = value_map(arena);

    value_set_bool(arena, document, "valid", report->count == 0);
    value_set_int(arena, document, "resources", (int64_t)set->declared);
    value_set_int(arena, document, "errorCount", (int64_t)report->count);
    value_set(arena, document, "errors", report_value(arena, report));
    return document;
}

/* What could not be read at all is one more error of the document. */
static int check_unreadable(struct cli *cli, const struct error *err)
{
    struct report report;
    const struct set nothing = {0};

    if (!options.json)
        return fail(cli, err);
    report_init(&report, cli->arena);
    report_add(&report, (struct position){0}, "unreadable", "%s", err->message);
    output_json(check_document(cli->arena, &nothing, &report));
    return EXIT_ERROR;
}

static int check_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    struct report report;
    const struct set *set;
    size_t files = 0;
    int rc;

    if ((cli->operand_count == 0) == (options.rev == NULL))
        return usage_error(cli, "it takes either files and directories, or --rev");
    report_init(&report, cli->arena);
    rc = options.rev ? revision_load(cli, &set, &files, &report, &err)
                     : files_load(cli->arena, cli->operands, cli->operand_count, &set, &files,
                                  &report, &err);
    if (rc < 0)
        return check_unreadable(cli, &err);
    report_sort(&report);
    if (options.json)
        output_json(check_document(cli->arena, set, &report));
    else if (report.count > 0)
        problems_print(&report);
    else
        printf("%zu resource%s in %zu file%s\n", set->declared, set->declared == 1 ? "" : "s",
               files, files == 1 ? "" : "s");
    return report.count > 0 ? EXIT_ERROR : EXIT_OK;
}

static const struct poptOption check_options[] = {
    {"json", 0, POPT_ARG_NONE, &options.json, 0, "the result as JSON on standard output", NULL},
    {"rev", 0, POPT_ARG_STRING, &options.rev, 0, "a revision of the site's repository", "REV"},
    POPT_TABLEEND,
};

const struct command check_command = {
    .name = "check",
    .group = "Write manifests",
    .operands = "PATH...",
    .help = "check manifests without a site and without root",
    .details = "PATH is a file, a directory (its *.yaml and *.yml in any case, hidden ones\n"
               "and spinel.yaml left out) or '-' for standard input. References have to resolve\n"
               "within what is given. Exit status: 0 valid, 1 invalid or unreadable, 64 wrong\n"
               "usage.",
    .options = check_options,
    .most = OPERANDS_ANY,
    .run = check_run,
};
