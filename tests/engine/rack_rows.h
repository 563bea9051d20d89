/* SPDX-License-Identifier: MPL-2.0 */
/* What a rack's store has come to, as text. */
#ifndef TESTS_ENGINE_RACK_ROWS_H
#define TESTS_ENGINE_RACK_ROWS_H

#include "model/text.h"
#include "reconciler/store/query.h"
#include "tests/engine/rack.h"

/* The rows of a query, one a line; in the rack's arena. */
static inline const char *rack_rows(struct rack *rack, const char *query)
{
    struct text text = TEXT_INIT;
    sqlite3_stmt *rows;
    assert_int_equal(sqlite3_prepare_v2(rack->store->db, query, -1, &rows, NULL), SQLITE_OK);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(rows); i++)
            text_printf(&text, "%s | ",
                        sqlite3_column_text(rows, i) ? (const char *)sqlite3_column_text(rows, i)
                                                     : "-");
        text_add(&text, "\n");
    }
    sqlite3_finalize(rows);
    const char *kept = arena_text(rack->arena, text.data ? text.data : "");
    text_free(&text);
    return kept;
}

#endif
