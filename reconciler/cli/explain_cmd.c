/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `spinel explain KIND[.FIELD]`: what a field is, what it may hold and what it
 * takes to change it, from the kind's own file.
 */
#include "reconciler/cli/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "model/diff.h"
#include "model/report.h"
#include "model/text.h"
#include "reconciler/cli/kinds.h"
#include "reconciler/cli/table.h"

enum { DOC_WIDTH = 78 };

/* Prints `text` wrapped at spaces, each line behind `indent` spaces. */
static void paragraph_print(const char *text, int indent)
{
    int column = 0;

    while (*text) {
        size_t len = strcspn(text, " ");
        int width = text_columns(text) - text_columns(text + len);

        if (column > 0 && column + 1 + width > DOC_WIDTH) {
            putchar('\n');
            column = 0;
        }
        printf("%*s%.*s", column > 0 ? 1 : indent, "", (int)len, text);
        column += (column > 0 ? 1 : indent) + width;
        text += len;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static const char *type_text(const struct field *field)
{
    static const char *const words[] = {
        [FIELD_BOOL] = "boolean", [FIELD_INT] = "integer", [FIELD_STRING] = "string",
        [FIELD_LIST] = "list",    [FIELD_MAP] = "map",
    };

    if (field->unit == UNIT_BYTES)
        return "size";
    if (field->unit == UNIT_SECONDS)
        return "duration";
    return words[field->type];
}

static const char *change_means(enum change change)
{
    static const char *const words[] = {
        [CHANGE_LIVE] = "at once, while it runs",
        [CHANGE_LIVE_IF] = "while it runs, if what was reserved at boot allows; else by a restart",
        [CHANGE_RESTART] = "by a new hypervisor process; a reboot of the guest is not enough",
        [CHANGE_REPLACE] = "only by a new object, and only if updatePolicy allows that",
        [CHANGE_METADATA] = "in Spinel's records; nothing real is touched",
        [CHANGE_REFUSE] = "never",
    };

    return words[change];
}

static void fact(const char *label, const char *value)
{
    if (value && value[0])
        printf("  %-10s %s\n", label, value);
}

static char *bounds_text(struct arena *arena, const struct field *field)
{
    struct value number = {.type = VALUE_INT};
    char *low = NULL;

    if (field->minimum != INT64_MIN) {
        number.integer = field->minimum;
        low = arena_printf(arena, "at least %s", diff_value_text(arena, field, &number));
    }
    if (field->maximum == INT64_MAX)
        return low;
    number.integer = field->maximum;
    return arena_printf(arena, "%s%sat most %s", low ? low : "", low ? ", " : "",
                        diff_value_text(arena, field, &number));
}

static char *allowed_text(struct arena *arena, const struct field *field)
{
    struct text text = TEXT_INIT;
    char *joined;

    if (!field->allowed)
        return NULL;
    for (size_t i = 0; i < field->allowed->count; i++) {
        text_add(&text, i ? ", " : "");
        text_add(&text, field->allowed->items[i]->text);
    }
    joined = arena_text(arena, text.data);
    text_free(&text);
    return joined;
}

static void facts_print(struct arena *arena, const struct field *field)
{
    fact("type", type_text(field));
    fact("required", field->is_required ? "yes" : NULL);
    fact("default", field->fallback ? diff_value_text(arena, field, field->fallback) : NULL);
    fact("one of", allowed_text(arena, field));
    fact("range", field->type == FIELD_INT ? bounds_text(arena, field) : NULL);
    fact("form", field->format);
    fact("names a", field->ref);
    fact("keyed by", field->list_key);
    fact("order", field->is_set ? "means nothing" : NULL);
    fact("secret", field->is_sensitive ? "never shown, stored or logged" : NULL);
    fact("shrinks", field->grows_only ? "never" : NULL);
    fact("changes", change_means(field->change));
    fact("by", field->means);
    fact("up to", field->at_most);
}

/* The fields of a map, or of the elements of a list of maps. */
static const struct field *field_members(const struct field *field)
{
    if (field->item && field->item->field_count > 0)
        return field->item;
    return field;
}

static void members_print(struct arena *arena, const struct field *field)
{
    static const char *const titles[] = {"  FIELD", "TYPE", "CHANGE", "WHAT IT IS"};
    struct table *table = table_new(arena, titles, 4);

    for (size_t i = 0; i < field->field_count; i++) {
        const struct field *child = field->fields[i];
        const char **cells = table_row(table);

        cells[0] = arena_printf(arena, "  %s%s", child->name, child->is_required ? "*" : "");
        cells[1] = type_text(child);
        cells[2] = change_text(child->change);
        cells[3] = child->doc ? child->doc : "";
    }
    putchar('\n');
    table_print(table, stdout);
    puts("\n  * required");
}

static int field_unknown(struct cli *cli, const struct kind *kind, const char *path)
{
    const struct field *at = kind->spec;
    char *word = arena_text(cli->arena, path);
    char *rest = NULL;
    const char *names[128];
    const char *nearest;
    size_t count = 0;

    /* The first name on the path that is not there is the one to correct. */
    for (word = strtok_r(word, ".", &rest); word; word = strtok_r(NULL, ".", &rest)) {
        const struct field *child = field_child(field_members(at), word);

        if (!child && strcmp(word, "spec") != 0)
            break;
        at = child ? child : at;
    }
    at = field_members(at);
    for (; count < at->field_count && count < 128; count++)
        names[count] = at->fields[count]->name;
    nearest = word ? report_nearest(word, names, count) : NULL;
    return usage_error(cli, "%s has no field '%s'%s%s%s", kind->name, path,
                       nearest ? ", did you mean '" : "", nearest ? nearest : "",
                       nearest ? "'?" : "");
}

static void explain_print(struct arena *arena, const struct kind *kind, const struct field *field,
                          const char *path)
{
    bool is_kind = field == kind->spec;
    const struct field *members = field_members(field);

    printf("%s%s%s%s%s\n", paint(stdout, PAINT_STRONG), kind->name, is_kind ? "" : ".",
           is_kind ? "" : path, paint(stdout, PAINT_PLAIN));
    if (is_kind)
        paragraph_print(kind->doc, 2);
    else if (field->doc)
        paragraph_print(field->doc, 2);
    if (!is_kind)
        facts_print(arena, field);
    if (members->field_count > 0)
        members_print(arena, members);
}

static int explain_run(struct cli *cli)
{
    const struct kind *kind;
    const struct field *field;
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
    field = path && strcmp(path, "spec") != 0 ? kind_field(kind, path) : kind->spec;
    if (!field)
        return field_unknown(cli, kind, path);
    explain_print(cli->arena, kind, field, path);
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
