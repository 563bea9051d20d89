/* SPDX-License-Identifier: MPL-2.0 */
/* What people read of a kind: the reference page, and `spinel explain`. */
#include <inttypes.h>
#include <string.h>

#include "model/arena.h"
#include "model/diff.h"
#include "model/kind.h"
#include "model/text.h"
#include "model/unit.h"

/* "list of text", "size", ... */
static void write_type(struct text *out, const struct field *field)
{
    static const char *const types[] = {
        [FIELD_BOOL] = "true or false", [FIELD_INT] = "whole number", [FIELD_STRING] = "text",
        [FIELD_LIST] = "list of ",      [FIELD_MAP] = "map",
    };

    if (field->unit == UNIT_BYTES)
        text_add(out, "size");
    else if (field->unit == UNIT_SECONDS)
        text_add(out, "duration");
    else if (field->ref)
        text_printf(out, "name of a %s", field->ref);
    else if (field->format)
        text_add(out, field->format);
    else
        text_add(out, types[field->type]);
    if (field->type == FIELD_LIST)
        write_type(out, field->item);
}

static void write_number(struct text *out, enum field_unit unit, int64_t number)
{
    char buf[UNIT_MAX_TEXT];

    if (unit == UNIT_BYTES)
        text_add(out, size_text(number, buf));
    else if (unit == UNIT_SECONDS)
        text_add(out, duration_text(number, buf));
    else
        text_printf(out, "%" PRId64, number);
}

static void write_range(struct text *out, const struct field *field)
{
    if (field->minimum != INT64_MIN) {
        text_add(out, "at least ");
        write_number(out, field->unit, field->minimum);
    }
    if (field->minimum != INT64_MIN && field->maximum != INT64_MAX)
        text_add(out, ", ");
    if (field->maximum != INT64_MAX) {
        text_add(out, "at most ");
        write_number(out, field->unit, field->maximum);
    }
}

static void write_choices(struct text *out, const struct field *field)
{
    for (size_t i = 0; i < field->allowed->count; i++)
        text_printf(out, "%s%s", i ? ", " : "", field->allowed->items[i]->text);
}

static void write_default(struct text *out, const struct field *field)
{
    struct arena *arena = arena_new();

    text_add(out, diff_value_text(arena, field, field->fallback));
    arena_free(arena);
}

static bool has_range(const struct field *field)
{
    return field->minimum != INT64_MIN || field->maximum != INT64_MAX;
}

/* A default that says something: not an empty list, not a map's fields again. */
static bool has_default(const struct field *field)
{
    return field->fallback && field->type != FIELD_MAP && field->type != FIELD_LIST &&
           !(value_is_text(field->fallback) && field->fallback->text_len == 0);
}

static void row_write(struct text *out, const struct field *field, const char *prefix)
{
    text_printf(out, "| `%s%s` | ", prefix, field->name);
    write_type(out, field);
    text_printf(out, "%s | ", field->is_required ? ", required" : "");
    if (has_default(field)) {
        text_add_char(out, '`');
        write_default(out, field);
        text_add_char(out, '`');
    }
    text_printf(out, " | %s | ", change_text(field->change));
    text_add(out, field->doc ? field->doc : "");
    if (field->allowed) {
        text_add(out, " One of ");
        write_choices(out, field);
        text_add_char(out, '.');
    }
    if (has_range(field)) {
        text_add(out, " (");
        write_range(out, field);
        text_add(out, ".)");
    }
    text_add(out, " |\n");
}

static void rows_write(struct text *out, const struct field *field, const char *prefix)
{
    for (size_t i = 0; i < field->field_count; i++) {
        const struct field *child = field->fields[i];
        const struct field *inner = child->type == FIELD_LIST ? child->item : child;
        struct text below = TEXT_INIT;

        row_write(out, child, prefix);
        text_printf(&below, "%s%s%s", prefix, child->name, child->type == FIELD_LIST ? "[]." : ".");
        rows_write(out, inner, below.data);
        text_free(&below);
    }
}

static const char *scope_text(const struct kind *kind)
{
    static const char *const texts[] = {
        [SCOPE_PROJECT] = "belongs to a project",
        [SCOPE_RACK] = "rack-wide",
        [SCOPE_EITHER] =
            "belongs to a project, or is rack-wide when `metadata.project` is left out",
        [SCOPE_SITE] = "the site file",
    };

    return texts[kind->scope];
}

void kind_manual(struct text *out, const struct kind *kind)
{
    text_printf(out, "# %s\n\n%s\n\nScope: %s.", kind->name, kind->doc, scope_text(kind));
    if (kind->driver)
        text_printf(out, " Driver class: `%s`.", kind->driver);
    if (kind->is_derived)
        text_add(out, " Derived from an Instance; not declared in manifests.");
    if (kind->holds_data)
        text_add(out, " Holds data: leaving Git releases it and never destroys it.");
    text_add(out, "\n\n| Field of `spec` | Type | Default | Change | What it is |\n"
                  "|---|---|---|---|---|\n");
    rows_write(out, kind->spec, "");
}

struct colors {
    const char *bold;
    const char *dim;
    const char *off;
};

static struct colors colors_of(bool color)
{
    if (!color)
        return (struct colors){"", "", ""};
    return (struct colors){"\033[1m", "\033[2m", "\033[0m"};
}

static void explain_children(struct text *out, const struct field *field,
                             const struct colors *colors)
{
    size_t widest = 0;

    for (size_t i = 0; i < field->field_count; i++)
        if (strlen(field->fields[i]->name) > widest)
            widest = strlen(field->fields[i]->name);
    if (field->field_count > 0)
        text_printf(out, "\n%sFIELDS%s\n", colors->bold, colors->off);
    for (size_t i = 0; i < field->field_count; i++) {
        const struct field *child = field->fields[i];

        text_printf(out, "  %s%-*s%s  %s<", colors->bold, (int)widest, child->name, colors->off,
                    colors->dim);
        write_type(out, child);
        text_printf(out, "%s, %s>%s\n", child->is_required ? ", required" : "",
                    change_text(child->change), colors->off);
        if (child->doc)
            text_printf(out, "      %s\n", child->doc);
    }
}

static void explain_line(struct text *out, const struct colors *colors, const char *name)
{
    text_printf(out, "%s%-9s%s ", colors->bold, name, colors->off);
}

static void explain_change(struct text *out, const struct field *field, const struct colors *colors)
{
    explain_line(out, colors, "CHANGE");
    text_add(out, change_text(field->change));
    if (field->means)
        text_printf(out, " (%s)", field->means);
    if (field->at_most)
        text_printf(out, ", up to %s as it was at boot", field->at_most);
    if (field->grows_only)
        text_add(out, ", grows only");
    text_add_char(out, '\n');
}

static void explain_field(struct text *out, const struct field *field, const struct colors *colors)
{
    explain_line(out, colors, "TYPE");
    write_type(out, field);
    text_printf(out, "%s%s%s\n", field->is_required ? ", required" : "",
                field->list_key ? ", compared by "
                : field->is_set ? ", order means nothing"
                                : "",
                field->list_key ? field->list_key : "");
    if (has_default(field)) {
        explain_line(out, colors, "DEFAULT");
        write_default(out, field);
        text_add_char(out, '\n');
    }
    if (field->allowed) {
        explain_line(out, colors, "ONE OF");
        write_choices(out, field);
        text_add_char(out, '\n');
    }
    if (has_range(field)) {
        explain_line(out, colors, "RANGE");
        write_range(out, field);
        text_add_char(out, '\n');
    }
    explain_change(out, field, colors);
    if (field->is_sensitive)
        text_add(out, "Sensitive: its value is never shown, stored or logged.\n");
    if (field->doc)
        text_printf(out, "\n%s\n", field->doc);
}

int kind_explain(struct text *out, const struct kind *kind, const char *path, bool color)
{
    struct colors colors = colors_of(color);
    const struct field *field = kind->spec;
    struct arena *arena;

    if (path && *path)
        field = kind_field(kind, path);
    if (!field)
        return -1;
    explain_line(out, &colors, "KIND");
    text_printf(out, "%s, %s\n", kind->name, scope_text(kind));
    if (field == kind->spec) {
        text_printf(out, "\n%s\n", kind->doc);
    } else {
        arena = arena_new();
        explain_line(out, &colors, "FIELD");
        text_printf(out, "%s\n", field_path(arena, field));
        arena_free(arena);
        explain_field(out, field, &colors);
    }
    while (field->type == FIELD_LIST)
        field = field->item;
    explain_children(out, field, &colors);
    return 0;
}
