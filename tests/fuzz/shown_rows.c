/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/fuzz/shown_rows.h"

#include "reconciler/cli/purge_cmd.c"
#include "reconciler/cli/top_data.c"
#include "tests/fuzz/fuzz.h"

void fuzz_rows_show(struct store *store, struct arena *arena)
{
    struct error err = ERROR_INIT;
    struct top_data data = {.arena = arena};
    struct cli cli = {.arena = arena};
    struct value *trash = value_list(arena);
    (void)operations_load(&data, store, &err);
    (void)drift_load(&data, store, &err);
    (void)events_load(&data, store, &err);
    (void)resources_load(&data, store, &err);
    for (int tab = 0; tab < TOP_TABS; tab++)
        for (size_t i = 0; i < data.tables[tab].count; i++)
            for (int c = 0; c < TOP_COLUMNS; c++) {
                const char *cell = data.tables[tab].rows[i].cells[c];
                MUST(!cell || strlen(cell) < SIZE_MAX);
            }
    if (trash_read(&cli, store, &trash, &err) == 0)
        MUST(value_is_list(trash));
}
