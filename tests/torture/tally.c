/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/torture/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct row {
    char function[40];
    unsigned counts[TALLIES];
} rows[256];
static unsigned row_count;

void tally_add(const char *function, enum tally tally)
{
    unsigned i = 0;
    while (i < row_count && strcmp(rows[i].function, function) != 0)
        i++;
    if (i == sizeof(rows) / sizeof(*rows))
        return;
    if (i == row_count)
        snprintf(rows[row_count++].function, sizeof(rows[i].function), "%s", function);
    rows[i].counts[tally]++;
}

unsigned tally_count(enum tally tally)
{
    unsigned count = 0;
    for (unsigned i = 0; i < row_count; i++)
        count += rows[i].counts[tally];
    return count;
}

static int row_compare(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->function, ((const struct row *)b)->function);
}

static void row_print(const char *name, const unsigned counts[TALLIES])
{
    printf("%-28s %8u %8u %8u %8u %8u %8u\n", name,
           counts[TALLY_SAME] + counts[TALLY_ERROR] + counts[TALLY_ABORT] + counts[TALLY_BAD],
           counts[TALLY_ERROR], counts[TALLY_SAME], counts[TALLY_ABORT], counts[TALLY_BAD],
           counts[TALLY_MISSED]);
}

void tally_print(void)
{
    unsigned all[TALLIES] = {0};
    qsort(rows, row_count, sizeof(*rows), row_compare);
    printf("%-28s %8s %8s %8s %8s %8s %8s\n", "call", "failed", "error", "as usual", "abort", "bad",
           "missed");
    for (unsigned i = 0; i < row_count; i++) {
        row_print(rows[i].function, rows[i].counts);
        for (int tally = 0; tally < TALLIES; tally++)
            all[tally] += rows[i].counts[tally];
    }
    row_print("all", all);
}
