/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_TOP_H
#define RECONCILER_CLI_TOP_H

#include <stdbool.h>
#include <stdint.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/site.h"
#include "model/value.h"
#include "reconciler/server/control.h"

/*
 * `spinel top`:
 *
 *   top_cmd.c    keys and the loop
 *   top_data.c   what is shown: rows of the store, told to be read anew by the daemon's events
 *   top_view.c   the screen
 */
enum top_tab { TOP_RESOURCES, TOP_OPERATIONS, TOP_DRIFT, TOP_EVENTS, TOP_TABS };

enum top_look { TOP_PLAIN, TOP_GOOD, TOP_WARN, TOP_BAD, TOP_FAINT };

enum { TOP_COLUMNS = 7 };

/* One line of a table; a cell may be NULL. */
struct top_row {
    const char *cells[TOP_COLUMNS];
    enum top_look look;
    int percent;                /* of an operation under way; -1: not told */
    const struct value *detail; /* shown by Enter */
};

struct top_table {
    struct top_row *rows;
    size_t count;
};

/* Read anew as a whole; everything in it is in its arena. */
struct top_data {
    const struct site *site;
    struct arena *arena;     /* NULL before the first */
    struct control *control; /* follows the daemon's events; NULL: none is up */
    struct arena *following; /* of progress */
    struct value *progress;  /* op -> percent */
    int64_t loaded_ms, tried_ms;
    bool is_stale;
    char problem[768]; /* why nothing could be read; "" */
    const char *commit;
    bool is_converged, has_daemon;
    const struct value *marks; /* uid -> what it is if it is not true to Git; NULL: not told */
    int64_t total, good, pending, drifting, held, open_drift;
    struct top_table tables[TOP_TABS];
};

/* Takes what happened since; true if something else is to be shown. Never waits. */
bool top_refresh(struct top_data *data);
void top_data_free(struct top_data *data);

/* What the person looks at. */
struct top_view {
    enum top_tab tab;
    size_t selected[TOP_TABS], first[TOP_TABS];
    char filter[64];
    bool is_typing; /* the filter */
    bool has_detail, has_help;
    size_t detail_first;
};

void top_screen_open(void);
void top_screen_close(void);
void top_draw(struct top_view *view, const struct top_data *data);
bool top_row_is_wanted(const struct top_view *view, const struct top_row *row);

#endif
