/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_BOOK_H
#define TESTS_SIM_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "reconciler/store/store.h"
#include "tests/sim/tally.h"

/*
 * What the core has written and the store has said is durable: intents, plans and rows, as
 * they were handed to the store. Invariants compare it with what drivers are sent and
 * with what is still there after a crash.
 */
struct note {
    char op[65], uid[33], plan[65], state[12], kind[16];
    uint64_t epoch;
    enum verb verb;
    enum phase phase;
    bool is_destructive, is_approved;
    bool was_let;  /* approved when it was sent last: a commit that comes then calls nothing back */
    unsigned sent; /* times */
};

struct plan_note {
    char hash[65];
    int64_t at_ms;             /* first recorded */
    const struct value *steps; /* of the document */
};

/* Of an object's row, what no crash may take back. */
struct row_note {
    char uid[33];
    uint64_t epoch;
    enum lifecycle life;
    bool is_protected;
};

struct rows {
    struct row_note *items;
    size_t count, room;
};

struct book {
    struct note *notes, *waiting; /* waiting: in the batch that is open */
    size_t count, room, waiting_count, waiting_room;
    struct plan_note *plans, *waiting_plans;
    size_t plan_count, plan_room, waiting_plan_count, waiting_plan_room;
    struct rows rows, waiting_rows; /* the last of each object comes last */
    struct rows maybe_rows;         /* of a batch that was cut off, or whose commit failed */
};

void book_intent(struct book *book, const struct intent *intent);
void book_plan(struct book *book, struct arena *arena, const char *hash,
               const struct value *document, int64_t now_ms);
void book_object(struct book *book, const struct known *known);
void book_commit(struct book *book);
void book_rollback(struct book *book);
/* What a start has found, whatever was cut off before: from now on it is this. */
void book_rows_found(struct book *book, const struct known *rows, size_t count);
/* Somebody else has written to this row. */
void book_row_forget(struct book *book, const char *uid);
/* One that is not as these rows of the store say, nor as what was cut off would have it; or NULL.
 */
const struct row_note *book_row_broken(const struct book *book, const struct known *rows,
                                       size_t count);
/* The store was lost or replaced by an old copy: what it knew is no longer durable. */
void book_forget(struct book *book);
void book_free(struct book *book);
struct note *book_find(const struct book *book, const char *op); /* NULL: not durable */
/* When the plan that an operation is of was first recorded; 0: it was not. */
int64_t book_planned_ms(const struct book *book, const char *op);
const struct plan_note *book_find_plan(const struct book *book, const char *hash);
bool book_knows(const struct book *book, const char *uid);   /* it has an intent of this object */
bool book_is_live(const struct book *book, const char *uid); /* by its row */
bool note_is_open(const struct note *note);

#endif
