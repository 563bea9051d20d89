/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `spinel explain KIND[.FIELD]`: what a field is, what it may hold and what it
 * takes to change it, from the kind's own file.
 */
#include "reconciler/cli/command.h"

#include <stdio.h>
#include <string.h>

#include "model/report.h"
#include "model/text.h"
#include "reconciler/cli/kinds.h"
#include "reconciler/cli/terminal.h"

enum { NAMES_MAX = 128 };

/* The fields of a map, or of the elements of a list of maps. */
static const struct field *field_members(const struct field *field)
{
    return field->item && field->item->field_count > 0 ? field->item : field;
}

/* The first name on the path that is not there is the one to correct. */
static int field_unknown(struct cli *cli, const struct kind *kind, const char *path)
{
    const struct field *at = field_members(kind->spec);
    const char *names[NAMES_MAX];
    const char *nearest;
    char *rest = NULL;
    size_t count = 0;
    char *word = strtok_r(arena_text(cli->arena, path), ".", &rest);

    if (word && strcmp(word, "spec") == 0)
        word = strtok_r(NULL, ".", &rest);
    while (word && field_child(at, word)) {
        at = field_members(field_child(at, word));
        word = strtok_r(NULL, ".", &rest);
    }
    for (; count < at->field_count && count < NAMES_MAX; count++)
        names[count] = at->fields[count]->name;
    nearest = word ? report_nearest(word, names, count) : NULL;
    return usage_error(cli, "%s has no field '%s'%s%s%s", kind->name, path,
                       nearest ? ", did you mean '" : "", nearest ? nearest : "",
                       nearest ? "'?" : "");
}

static int explain_run(struct cli *cli)
{
    struct text text = TEXT_INIT;
    const struct kind *kind;
    char *word, *path;

    if (cli->operand_count == 0) {
        kinds_print(cli->arena);
        return EXIT_OK;
    }
    word = arena_text(cli->arena, cli->operands[0]);
    path = strchr(word, '.');
    if (path)
        *path++ = '\0';
    kind = kind_asked(cli, word);
    if (!kind)
        return EXIT_BAD_USAGE;
    if (path && strcmp(path, "spec") == 0)
        path = NULL;
    if (kind_explain(&text, kind, path, terminal_has_color(stdout)) < 0)
        return field_unknown(cli, kind, path);
    fwrite(text.data, 1, text.len, stdout);
    text_free(&text);
    return EXIT_OK;
}

const struct command explain_command = {
    .name = "explain",
    .group = "Write manifests",
    .operands = "[KIND[.FIELD]]",
    .help = "tell what a kind or a field is, holds and takes to change",
    .details = "For example: spinel explain instance.spec.cpus. Without KIND it lists the kinds.",
    .most = 1,
    .run = explain_run,
};
