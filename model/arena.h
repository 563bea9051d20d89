/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_ARENA_H
#define MODEL_ARENA_H

#include <stddef.h>
#include <stdarg.h>

/*
 * An arena: everything a parse, a plan or a pass makes lives in one and dies
 * with it. Nothing is freed singly. Out of memory ends the process: the next
 * start recovers. Under AddressSanitizer each object is its own malloc, so that
 * an overrun is still caught.
 */
struct arena;

/* Heap object, owned by the caller until arena_free(); never NULL. */
struct arena *arena_new(void);
/* The same; what it is made for takes `room` bytes, more or less, and that is got at once. For many
 * arenas that live long. */
struct arena *arena_new_sized(size_t room);
void arena_free(struct arena *arena); /* NULL is allowed */
/* Everything in it dies; some of its memory is kept for what comes next. */
void arena_reset(struct arena *arena);

/* What is in `other`, which dies itself, lives in `arena` from now on. */
void arena_join(struct arena *arena, struct arena *other);

/* Zeroed memory aligned for any type; never NULL. `count * size` may not overflow. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((returns_nonnull));
void *arena_array(struct arena *arena, size_t count, size_t size) __attribute__((returns_nonnull));

/* An array of `count` objects of `size` bytes in which there is room for one more: `items` itself
 * as long as `count` is less than `*room`, then a copy of double the size. NULL with no room is an
 * array, too. */
void *arena_grow(struct arena *arena, void *items, size_t count, size_t *room, size_t size)
    __attribute__((returns_nonnull));

/* Zeroed room for a text of `len` bytes and its end, without a gap before it. */
char *arena_text_room(struct arena *arena, size_t len) __attribute__((returns_nonnull));
/* NUL-terminated copies; arena_text() is NULL for NULL. */
char *arena_text(struct arena *arena, const char *text);
char *arena_text_n(struct arena *arena, const char *data, size_t len)
    __attribute__((returns_nonnull));
char *arena_printf(struct arena *arena, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));

/* Bytes handed out so far (for limits and reports). */
size_t arena_used(const struct arena *arena);

#endif
