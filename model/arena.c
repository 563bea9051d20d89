/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A bump allocator over chunks that double in size up to 1 MiB. Chunks come
 * zeroed and are handed out once (or cleared by a reset), so that no object is
 * ever cleared twice. Large
 * objects get a chunk of their own, behind the current one, so that the room
 * left in that is not lost.
 */
#include "model/arena.h"
#include "model/invariant.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_FIRST = 4096, CHUNK_MAX = 1 << 20 };

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_SEPARATE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_SEPARATE 1
#endif
#endif
#ifndef ARENA_SEPARATE
#define ARENA_SEPARATE 0
#endif

struct chunk {
    struct chunk *next;
    size_t used;
    size_t size;
    alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct chunk *chunks; /* the first is the one that is filled */
    size_t used;
};

struct arena *arena_new(void)
{
    return memory_need(calloc(1, sizeof(struct arena)));
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    while (arena->chunks) {
        struct chunk *chunk = arena->chunks;

        arena->chunks = chunk->next;
        free(chunk);
    }
    free(arena);
}

/* The newest chunk stays: it is the largest of those that are filled. */
void arena_reset(struct arena *arena)
{
    struct chunk *kept = arena->chunks;

    arena->used = 0;
    if (!kept)
        return;
    while (kept->next) {
        struct chunk *chunk = kept->next;

        kept->next = chunk->next;
        free(chunk);
    }
    if (ARENA_SEPARATE) {
        arena->chunks = NULL;
        free(kept);
        return;
    }
    memset(kept->bytes, 0, kept->used);
    kept->used = 0;
}

static struct chunk *chunk_new(size_t size)
{
    struct chunk *chunk = memory_need(calloc(1, sizeof(struct chunk) + size));

    chunk->size = size;
    return chunk;
}

struct arena *arena_new_sized(size_t room)
{
    struct arena *arena = arena_new();

    if (!ARENA_SEPARATE)
        arena->chunks = chunk_new(room);
    return arena;
}

void arena_join(struct arena *arena, struct arena *other)
{
    struct chunk **first = arena->chunks ? &arena->chunks->next : &arena->chunks;
    struct chunk *last = other->chunks;

    while (last && last->next)
        last = last->next;
    if (last) {
        last->next = *first;
        *first = other->chunks;
    }
    arena->used += other->used;
    free(other);
}

static void *chunk_take(struct chunk *chunk, size_t size)
{
    void *taken = chunk->bytes + chunk->used;

    invariant(chunk->used <= chunk->size && size <= chunk->size - chunk->used,
              "%zu bytes behind %zu in a chunk of %zu", size, chunk->used, chunk->size);
    chunk->used += size;
    return taken;
}

static void *arena_alloc_separate(struct arena *arena, size_t size)
{
    struct chunk *chunk = chunk_new(size);
    struct chunk *first = arena->chunks;

    if (first) {
        chunk->next = first->next;
        first->next = chunk;
    } else {
        arena->chunks = chunk;
    }
    return chunk_take(chunk, size);
}

static void *arena_alloc_fresh(struct arena *arena, size_t size)
{
    size_t room = arena->chunks ? arena->chunks->size * 2 : CHUNK_FIRST;
    struct chunk *chunk;

    if (room > CHUNK_MAX)
        room = CHUNK_MAX;
    if (room < CHUNK_FIRST)
        room = CHUNK_FIRST;
    chunk = chunk_new(room);
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk_take(chunk, size);
}

static void *arena_take(struct arena *arena, size_t size, size_t alignment)
{
    struct chunk *chunk = arena->chunks;
    size_t start;

    invariant(size <= SIZE_MAX / 2, "an object of %zu bytes", size);
    arena->used += size;
    if (ARENA_SEPARATE)
        return arena_alloc_separate(arena, size);
    if (chunk) {
        start = (chunk->used + alignment - 1) & ~(alignment - 1);
        if (start <= chunk->size && size <= chunk->size - start) {
            chunk->used = start;
            return chunk_take(chunk, size);
        }
    }
    if (size > CHUNK_FIRST / 4)
        return arena_alloc_separate(arena, size);
    return arena_alloc_fresh(arena, size);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    return arena_take(arena, size, alignof(max_align_t));
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    invariant(size == 0 || count <= SIZE_MAX / 2 / size, "%zu objects of %zu bytes", count, size);
    return arena_alloc(arena, count * size);
}

void *arena_grow(struct arena *arena, void *items, size_t count, size_t *room, size_t size)
{
    void *bigger;

    invariant(count <= *room && size > 0, "%zu objects where there is room for %zu", count, *room);
    if (count < *room)
        return items;
    *room = count ? count * 2 : 4;
    bigger = arena_array(arena, *room, size);
    if (count > 0)
        memcpy(bigger, items, count * size);
    return bigger;
}

char *arena_text_room(struct arena *arena, size_t len)
{
    return arena_take(arena, len + 1, 1);
}

char *arena_text_n(struct arena *arena, const char *data, size_t len)
{
    char *copy = arena_text_room(arena, len);

    invariant(data || len == 0, "%zu bytes of no text", len);
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

char *arena_text(struct arena *arena, const char *text)
{
    return text ? arena_text_n(arena, text, strlen(text)) : NULL;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    char *text;
    int len;

    va_start(args, fmt);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    invariant(len >= 0, "'%s' cannot be printed", fmt);
    text = arena_take(arena, (size_t)len + 1, 1);
    va_start(args, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    return text;
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}
