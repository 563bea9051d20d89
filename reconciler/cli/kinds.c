/* SPDX-License-Identifier: MPL-2.0 */
/* Kinds as people type and read them. */
#include "reconciler/cli/kinds.h"

#include <stdio.h>
#include <string.h>

#include "model/report.h"
#include "reconciler/cli/table.h"

const struct kind *kind_asked(const struct cli *cli, const char *word)
{
    const struct kind *kind = kind_find_loose(word);
    size_t count;
    const struct kind *const *kinds = kinds_get(&count);
    const char **names = arena_array(cli->arena, 2 * count, sizeof(*names));
    char *lower = arena_text(cli->arena, word);
    const char *nearest;

    if (kind)
        return kind;
    for (char *c = lower; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    for (size_t i = 0; i < count; i++) {
        char *name = arena_text(cli->arena, kinds[i]->name);

        for (char *c = name; *c; c++)
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
        names[2 * i] = name;
        names[2 * i + 1] = kinds[i]->plural;
    }
    nearest = report_nearest(lower, names, 2 * count);
    usage_error(cli, "there is no kind '%s'%s%s%s", word, nearest ? ", did you mean '" : "",
                nearest ? nearest : "", nearest ? "'?" : "");
    return NULL;
}

/* The first sentence: the rest is for `explain`. */
static char *sentence_first(struct arena *arena, const char *doc)
{
    const char *end = strstr(doc, ". ");

    return end ? arena_text_n(arena, doc, (size_t)(end - doc) + 1) : arena_text(arena, doc);
}

void kinds_print(struct arena *arena)
{
    static const char *const titles[] = {"KIND", "SCOPE", "WHAT IT IS"};
    static const char *const scopes[] = {
        [SCOPE_PROJECT] = "project",
        [SCOPE_RACK] = "rack",
        [SCOPE_EITHER] = "either",
        [SCOPE_SITE] = "site file",
    };
    struct table *table = table_new(arena, titles, 3);
    size_t count;
    const struct kind *const *kinds = kinds_get(&count);

    for (size_t i = 0; i < count; i++) {
        const char **cells;

        if (kinds[i]->is_derived)
            continue;
        cells = table_row(table);
        cells[0] = kinds[i]->name;
        cells[1] = scopes[kinds[i]->scope];
        cells[2] = sentence_first(arena, kinds[i]->doc);
    }
    table_print(table, stdout);
}
