/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Tables for people. Widths are those of the whole table, so rows are kept until
 * it is printed.
 */
#include "reconciler/cli/table.h"

#include <string.h>

#include "model/text.h"

enum { GAP = 2, NARROWEST = 8 };

struct row {
    const char **cells;
    enum paint *paints;
    struct row *next;
};

struct table {
    struct arena *arena;
    const char *const *titles;
    size_t columns;
    size_t rows;
    struct row *first;
    struct row *last;
};

struct table *table_new(struct arena *arena, const char *const *titles, size_t columns)
{
    struct table *table = arena_alloc(arena, sizeof(*table));

    *table = (struct table){.arena = arena, .titles = titles, .columns = columns};
    return table;
}

const char **table_row(struct table *table)
{
    struct row *row = arena_alloc(table->arena, sizeof(*row));

    row->cells = arena_array(table->arena, table->columns, sizeof(*row->cells));
    row->paints = arena_array(table->arena, table->columns, sizeof(*row->paints));
    for (size_t i = 0; i < table->columns; i++)
        row->cells[i] = "";
    if (table->last)
        table->last->next = row;
    else
        table->first = row;
    table->last = row;
    table->rows++;
    return row->cells;
}

void table_paint(struct table *table, size_t column, enum paint paint)
{
    table->last->paints[column] = paint;
}

size_t table_rows(const struct table *table)
{
    return table->rows;
}

static void widths_measure(const struct table *table, int *widths)
{
    for (size_t i = 0; i < table->columns; i++)
        widths[i] = text_columns(table->titles[i]);
    for (const struct row *row = table->first; row; row = row->next) {
        for (size_t i = 0; i < table->columns; i++) {
            int width = text_columns(row->cells[i]);

            if (width > widths[i])
                widths[i] = width;
        }
    }
}

/* Takes from the widest column, one at a time, until the row fits. */
static void widths_fit(const struct table *table, int *widths, int limit)
{
    int total = (int)(table->columns - 1) * GAP;

    for (size_t i = 0; i < table->columns; i++)
        total += widths[i];
    while (total > limit) {
        size_t widest = 0;

        for (size_t i = 1; i < table->columns; i++) {
            if (widths[i] >= widths[widest])
                widest = i;
        }
        if (widths[widest] <= NARROWEST)
            return;
        widths[widest]--;
        total--;
    }
}

static void cell_print(FILE *stream, const char *text, int width, enum paint color, bool is_last)
{
    int taken = text_columns(text);
    bool is_cut = taken > width;

    if (color != PAINT_PLAIN)
        fputs(paint(stream, color), stream);
    fwrite(text, 1, is_cut ? text_fitting(text, width - 1) : strlen(text), stream);
    if (is_cut) {
        fputs("…", stream);
        taken = text_columns("…") + width - 1;
    }
    if (color != PAINT_PLAIN)
        fputs(paint(stream, PAINT_PLAIN), stream);
    if (!is_last)
        fprintf(stream, "%*s", width - taken + GAP, "");
}

/* The last cell of a row that says anything: nothing is padded after it. */
static size_t cells_used(const char *const *cells, size_t columns)
{
    while (columns > 1 && cells[columns - 1][0] == '\0')
        columns--;
    return columns;
}

static void row_print(FILE *stream, const char *const *cells, const enum paint *paints,
                      const int *widths, size_t columns)
{
    size_t used = cells_used(cells, columns);

    for (size_t i = 0; i < used; i++)
        cell_print(stream, cells[i], widths[i], paints ? paints[i] : PAINT_STRONG, i + 1 == used);
    fputc('\n', stream);
}

/* What others wrote is one line of text that may be shown. */
static void cells_clean(const struct table *table)
{
    struct text shown = TEXT_INIT;

    for (struct row *row = table->first; row; row = row->next) {
        for (size_t i = 0; i < table->columns; i++) {
            text_reset(&shown);
            text_add_shown(&shown, row->cells[i], strlen(row->cells[i]));
            if (strcmp(shown.data, row->cells[i]) != 0)
                row->cells[i] = arena_text_n(table->arena, shown.data, shown.len);
        }
    }
    text_free(&shown);
}

void table_print(const struct table *table, FILE *stream)
{
    int *widths = arena_array(table->arena, table->columns, sizeof(*widths));
    int limit = terminal_columns(stream);

    cells_clean(table);
    widths_measure(table, widths);
    if (limit > 0)
        widths_fit(table, widths, limit);
    row_print(stream, table->titles, NULL, widths, table->columns);
    for (const struct row *row = table->first; row; row = row->next)
        row_print(stream, (const char *const *)row->cells, row->paints, widths, table->columns);
}
