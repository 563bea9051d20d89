/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/sim/book.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/value.h"

static void *room_for(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room ? 2 * *room : 32;
    array = reallocarray(array, *room, size);
    if (!array)
        abort();
    return array;
}

void book_intent(struct book *book, const struct intent *intent)
{
    book->waiting =
        room_for(book->waiting, book->waiting_count, &book->waiting_room, sizeof *book->waiting);
    struct note *note = &book->waiting[book->waiting_count++];
    *note = (struct note){.epoch = intent->epoch,
                          .verb = verb_of(intent->verb),
                          .is_destructive = intent->is_destructive,
                          .is_approved = intent->is_approved};
    snprintf(note->op, sizeof note->op, "%s", intent->op);
    snprintf(note->uid, sizeof note->uid, "%s", intent->uid);
    snprintf(note->plan, sizeof note->plan, "%s", intent->plan);
    snprintf(note->state, sizeof note->state, "%s", intent->state);
    snprintf(note->kind, sizeof note->kind, "%s", value_get_text(intent->step, "kind", ""));
}

static void row_add(struct rows *rows, const struct row_note *note)
{
    rows->items = room_for(rows->items, rows->count, &rows->room, sizeof *rows->items);
    rows->items[rows->count++] = *note;
}

static struct row_note row_of(const struct known *known)
{
    struct row_note note = {
        .epoch = known->epoch, .life = known->life, .is_protected = known->protect};
    snprintf(note.uid, sizeof note.uid, "%s", known->uid);
    return note;
}

static void row_keep(struct rows *rows, const struct row_note *fresh)
{
    for (size_t i = 0; i < rows->count; i++)
        if (strcmp(rows->items[i].uid, fresh->uid) == 0) {
            rows->items[i] = *fresh;
            return;
        }
    row_add(rows, fresh);
}

void book_object(struct book *book, const struct known *known)
{
    const struct row_note note = row_of(known);
    row_add(&book->waiting_rows, &note);
}

void book_rows_found(struct book *book, const struct known *rows, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < book->rows.count; i++)
        if (book->rows.items[i].life == LIFE_GONE)
            book->rows.items[kept++] = book->rows.items[i];
    book->rows.count = kept;
    for (size_t i = 0; i < count; i++) {
        const struct row_note note = row_of(&rows[i]);
        row_keep(&book->rows, &note);
    }
    book->maybe_rows.count = 0;
}

void book_row_forget(struct book *book, const char *uid)
{
    size_t kept = 0;
    for (size_t i = 0; i < book->rows.count; i++)
        if (strcmp(book->rows.items[i].uid, uid) != 0)
            book->rows.items[kept++] = book->rows.items[i];
    book->rows.count = kept;
}

bool book_is_live(const struct book *book, const char *uid)
{
    for (size_t i = 0; i < book->rows.count; i++)
        if (strcmp(book->rows.items[i].uid, uid) == 0)
            return book->rows.items[i].life == LIFE_LIVE;
    return false;
}

static bool is_row(const struct row_note *note, const struct known *row)
{
    if (!row || note->life == LIFE_GONE)
        return !row && note->life == LIFE_GONE; /* what is gone is not listed */
    return note->epoch == row->epoch && note->life == row->life &&
           note->is_protected == row->protect;
}

static bool may_be(const struct rows *maybe, const char *uid, const struct known *row)
{
    for (size_t i = 0; i < maybe->count; i++)
        if (strcmp(maybe->items[i].uid, uid) == 0 && is_row(&maybe->items[i], row))
            return true;
    return false;
}

const struct row_note *book_row_broken(const struct book *book, const struct known *rows,
                                       size_t count)
{
    for (size_t i = 0; i < book->rows.count; i++) {
        const struct row_note *note = &book->rows.items[i];
        const struct known *row = NULL;
        for (size_t n = 0; n < count && !row; n++)
            if (strcmp(rows[n].uid, note->uid) == 0)
                row = &rows[n];
        if (!is_row(note, row) && !may_be(&book->maybe_rows, note->uid, row))
            return note;
    }
    return NULL;
}

void book_plan(struct book *book, struct arena *arena, const char *hash,
               const struct value *document, int64_t now_ms)
{
    book->waiting_plans = room_for(book->waiting_plans, book->waiting_plan_count,
                                   &book->waiting_plan_room, sizeof *book->waiting_plans);
    struct plan_note *plan = &book->waiting_plans[book->waiting_plan_count++];
    const struct value *steps = value_get(document, "steps");
    *plan = (struct plan_note){.at_ms = now_ms,
                               .steps = steps ? value_copy(arena, steps) : value_list(arena)};
    snprintf(plan->hash, sizeof plan->hash, "%s", hash);
}

struct note *book_find(const struct book *book, const char *op)
{
    for (size_t i = book->count; i > 0; i--)
        if (strcmp(book->notes[i - 1].op, op) == 0)
            return &book->notes[i - 1];
    return NULL;
}

const struct plan_note *book_find_plan(const struct book *book, const char *hash)
{
    for (size_t i = book->plan_count; i > 0; i--)
        if (strcmp(book->plans[i - 1].hash, hash) == 0)
            return &book->plans[i - 1];
    return NULL;
}

int64_t book_planned_ms(const struct book *book, const char *op)
{
    const struct note *note = book_find(book, op);
    const struct plan_note *plan = note ? book_find_plan(book, note->plan) : NULL;
    return plan ? plan->at_ms : 0;
}

bool book_knows(const struct book *book, const char *uid)
{
    for (size_t i = 0; i < book->count; i++)
        if (strcmp(book->notes[i].uid, uid) == 0)
            return true;
    return false;
}

bool note_is_open(const struct note *note)
{
    return strcmp(note->state, "pending") == 0 || strcmp(note->state, "claimed") == 0;
}

static void note_keep(struct book *book, const struct note *fresh)
{
    struct note *note = book_find(book, fresh->op);
    if (!note) {
        book->notes = room_for(book->notes, book->count, &book->room, sizeof *book->notes);
        note = &book->notes[book->count++];
        *note = *fresh;
        return;
    }
    snprintf(note->plan, sizeof note->plan, "%s", fresh->plan);
    snprintf(note->state, sizeof note->state, "%s", fresh->state);
    note->is_approved = fresh->is_approved;
}

static void batch_end(struct book *book)
{
    book->waiting_count = book->waiting_plan_count = book->waiting_rows.count = 0;
}

void book_commit(struct book *book)
{
    for (size_t i = 0; i < book->waiting_count; i++)
        note_keep(book, &book->waiting[i]);
    for (size_t i = 0; i < book->waiting_plan_count; i++) {
        if (book_find_plan(book, book->waiting_plans[i].hash))
            continue;
        book->plans =
            room_for(book->plans, book->plan_count, &book->plan_room, sizeof *book->plans);
        book->plans[book->plan_count++] = book->waiting_plans[i];
    }
    for (size_t i = 0; i < book->waiting_rows.count; i++)
        row_keep(&book->rows, &book->waiting_rows.items[i]);
    batch_end(book);
}

/* Its commit may have come through for all that, and then all of it has. */
void book_rollback(struct book *book)
{
    for (size_t i = 0; i < book->waiting_rows.count; i++)
        row_keep(&book->maybe_rows, &book->waiting_rows.items[i]);
    batch_end(book);
}

void book_forget(struct book *book)
{
    book->count = book->plan_count = book->rows.count = book->maybe_rows.count = 0;
    batch_end(book);
}

void book_free(struct book *book)
{
    free(book->notes);
    free(book->waiting);
    free(book->plans);
    free(book->waiting_plans);
    free(book->rows.items);
    free(book->waiting_rows.items);
    free(book->maybe_rows.items);
    *book = (struct book){.notes = NULL};
}
