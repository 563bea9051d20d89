/* SPDX-License-Identifier: MPL-2.0 */
/*
 * "Did you mean": the nearest word by edit distance, where two neighbouring
 * letters that changed places count as one edit, and case counts as none.
 */
#include <string.h>

#include "model/report.h"
#include "model/invariant.h"

enum { WORD_MAX = 64, DISTANCE_MAX = 2 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return lower(a) == lower(b);
}

/* One row of the table, of the cells that are at most DISTANCE_MAX off its diagonal, as no way
 * within that leaves them; the smallest of it. */
static int row_fill(const int *before, const int *above, int *row, size_t i, const char *a,
                    const char *b, size_t b_len)
{
    size_t first = i > DISTANCE_MAX ? i - DISTANCE_MAX : 1;
    int least = first == 1 ? (int)i : DISTANCE_MAX + 1;

    row[first - 1] = least;
    for (size_t j = first; j <= b_len && j <= i + DISTANCE_MAX; j++) {
        row[j] =
            smaller(above[j - 1] + !same(a[i - 1], b[j - 1]), smaller(above[j], row[j - 1]) + 1);
        if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
            row[j] = smaller(row[j], before[j - 2] + 1);
        least = smaller(least, row[j]);
    }
    if (b_len > i + DISTANCE_MAX)
        row[i + DISTANCE_MAX + 1] = DISTANCE_MAX + 1;
    return least;
}

/* Optimal string alignment distance, or DISTANCE_MAX + 1 for all that is more; both words are at
 * most WORD_MAX long. */
static int distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int rows[3][WORD_MAX + 1];
    int *before = rows[0], *above = rows[1], *row = rows[2];

    invariant(a_len <= WORD_MAX && b_len <= WORD_MAX, "words of %zu and %zu are compared", a_len,
              b_len);
    for (size_t j = 0; j <= b_len; j++)
        above[j] = (int)j;
    for (size_t i = 1; i <= a_len; i++) {
        int *spare = before;

        if (row_fill(before, above, row, i, a, b, b_len) > DISTANCE_MAX)
            return DISTANCE_MAX + 1;
        before = above;
        above = row;
        row = spare;
    }
    return smaller(above[b_len], DISTANCE_MAX + 1);
}

const char *report_nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t len = strlen(word);
    int best = DISTANCE_MAX + 1;

    if (len > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(candidates[i]);
        int found;

        if (other > WORD_MAX || other > len + DISTANCE_MAX || len > other + DISTANCE_MAX)
            continue;
        found = distance(word, len, candidates[i], other);
        if (found < best && (size_t)found * 2 < len) {
            best = found;
            nearest = candidates[i];
        }
    }
    return nearest;
}

const char *report_suggest(const struct report *report, const char *word,
                           const char *const *candidates, size_t count)
{
    return report_is_full(report) ? NULL : report_nearest(word, candidates, count);
}
