/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_TABLE_H
#define RECONCILER_CLI_TABLE_H

#include <stddef.h>
#include <stdio.h>
#include "model/arena.h"
#include "reconciler/cli/terminal.h"

/*
 * Rows of text under headings, aligned by the columns that the text takes on a
 * terminal. On a terminal the widest column gives way until a row fits; into a
 * pipe nothing is cut. No trailing spaces. Lives in its arena.
 */
struct table;

/* `titles` is borrowed and outlives the table. */
struct table *table_new(struct arena *arena, const char *const *titles, size_t columns);

/* A new row: an array of `columns` cells for the caller to fill, "" at first. */
const char **table_row(struct table *table);

/* Paints one column of the row that was added last. */
void table_paint(struct table *table, size_t column, enum paint paint);

size_t table_rows(const struct table *table);
void table_print(const struct table *table, FILE *stream);

#endif
