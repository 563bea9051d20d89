/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SERVER_WEB_VIEW_H
#define RECONCILER_SERVER_WEB_VIEW_H

#include "model/hash.h"
#include "reconciler/engine/shell_state.h"
#include "reconciler/server/web.h"

/* A view's own state, shared by web_view.c, web_history.c and web_tree.c. */
enum { MARK_COUNT = 5 };

/* One object that is, or that the plan would make. */
struct shown {
    const char *uid;
    const struct known *row;  /* NULL: not made yet */
    const struct value *step; /* of the plan; NULL: nothing to do */
    size_t mark;              /* in marks */
    const char *label;        /* "Instance shop/web-1" */
    UT_hash_handle hh, by_label;
};

struct edge {
    struct shown *from, *to; /* from needs to */
};

struct view {
    struct value *groups, *sums; /* made when first asked for, as what follows; NULL before */
    struct edge *edges;
    size_t edge_count;
    const struct site *site;
    struct shell *shell;
    struct arena *arena; /* of all below; NULL before the first */
    struct value *plan;  /* NULL before the first revision */
    struct revision target;
    bool has_target;
    struct shown *shown; /* as `get` orders them, then what is to be made */
    size_t count;
    size_t unseen; /* objects that nobody could look at */
    struct shown *by_uid, *by_label;
    int64_t version; /* newest event that it was made after */
    int64_t made_ms, took_ms;
};

/* As the lists show it. */
struct value *shown_value(struct arena *arena, const struct shown *shown);
/* "kind", "project" (NULL: of the rack) or "name". */
const char *shown_text(const struct shown *shown, const char *member);

/* Says of one changed field what its numbers are in, if they are in anything. */
void unit_put(struct arena *arena, struct value *entry, const char *kind_name);

/* "drift", "operations" and "events" of the document, newest first; uid NULL: of all. `since`
 * in unix seconds: what was healed before is left out. `before`: number of an event. */
int drift_put(struct view *view, struct arena *arena, struct value *document, const char *uid,
              int64_t since, struct page page, struct error *err);
int operations_put(struct view *view, struct arena *arena, struct value *document, const char *uid,
                   struct page page, struct error *err);
int events_put(struct view *view, struct arena *arena, struct value *document, const char *uid,
               int64_t before, size_t limit, struct error *err);

/* What an object needs, and what needs it, as "needs" and "neededBy". */
void tree_put(struct view *view, struct arena *arena, struct value *document,
              const struct shown *shown);

#endif
