/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_VALUE_H
#define MODEL_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/*
 * A tree of values: what YAML, JSON, a resource's spec and a driver's report
 * have in common. Values live in an arena, know where in a manifest they stood,
 * and are shared freely once built: treat what you did not make as read-only.
 *
 * Maps keep insertion order while they are built; value_sort() orders keys
 * bytewise for canonical form. There are no floating-point numbers: nothing in
 * the model needs one, and none survives comparison.
 */
enum value_type { VALUE_NULL, VALUE_BOOL, VALUE_INT, VALUE_STRING, VALUE_LIST, VALUE_MAP };

struct position {
    const char *file; /* as the user named it; NULL if unknown; outlives the value */
    unsigned line;    /* from 1; 0 if unknown */
    unsigned column;  /* from 1, in code points; 0 if unknown */
};

struct pair;

struct value {
    enum value_type type;
    struct position at;
    union {
        bool boolean;
        int64_t integer;
        struct {
            const char *text; /* NUL-terminated, may not hold NUL inside */
            size_t text_len;
        };
        struct {
            struct value **items;
            size_t count;
            size_t room;
        };
        struct {
            struct pair *pairs;
            size_t pair_count;
            size_t pair_room;
        };
    };
};

struct pair {
    const char *key;
    struct position at; /* of the key */
    struct value *value;
};

struct value *value_null(struct arena *arena);
struct value *value_bool(struct arena *arena, bool boolean);
struct value *value_int(struct arena *arena, int64_t integer);
struct value *value_text(struct arena *arena, const char *text); /* copied; NULL gives null */
struct value *value_text_n(struct arena *arena, const char *data, size_t len);
struct value *value_printf(struct arena *arena, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
struct value *value_list(struct arena *arena);
struct value *value_map(struct arena *arena);

/*
 * How many values a text of `len` bytes may be read into: 131072, and of one over 1 MiB as many as
 * a quarter of its bytes. Each takes a hundred bytes and more, so that "{}," over and over would
 * take a hundred times its length. Where fields have names there are half as many or fewer.
 */
size_t value_count_max(size_t len);

/* Deep copy into another arena, positions kept (file names are not copied). */
struct value *value_copy(struct arena *arena, const struct value *value);

/* Append to a list; set or replace a key of a map (the key is copied). A NULL
 * item is a null value. Both return `item`, for chaining. */
struct value *value_append(struct arena *arena, struct value *list, struct value *item);
struct value *value_set(struct arena *arena, struct value *map, const char *key,
                        struct value *item);
/* As value_set() for a key that the map is known not to have: no search. */
struct value *value_push(struct arena *arena, struct value *map, const char *key,
                         struct value *item);
/* As value_push(), with the key's position; the key is kept and not copied. */
struct value *value_push_owned(struct arena *arena, struct value *map, const char *key,
                               struct position at, struct value *item);
void value_unset(struct value *map, const char *key); /* absent is fine */

/* Shorthands for building maps; text NULL sets null. */
void value_set_text(struct arena *arena, struct value *map, const char *key, const char *text);
void value_set_int(struct arena *arena, struct value *map, const char *key, int64_t integer);
void value_set_bool(struct arena *arena, struct value *map, const char *key, bool boolean);

/* Look-ups. `map` may be NULL or of another type: then the answer is NULL or the
 * fallback. value_get() takes one key; value_at() a path such as
 * "spec.disks[root].volume" or "nics[0].mac" (in [], a key of the list: the
 * element whose "name" (or list key) equals it, else its decimal index). */
const struct value *value_get(const struct value *map, const char *key);
const struct value *value_at(const struct value *root, const char *path);
const char *value_get_text(const struct value *map, const char *key, const char *fallback);
int64_t value_get_int(const struct value *map, const char *key, int64_t fallback);
bool value_get_bool(const struct value *map, const char *key, bool fallback);
/* Of a list; "" for what is no text. */
const char *value_item_text(const struct value *list, size_t i);
const char *value_at_text(const struct value *root, const char *path, const char *fallback);
int64_t value_at_int(const struct value *root, const char *path, int64_t fallback);
bool value_at_bool(const struct value *root, const char *path, bool fallback);

/* The element of a list of maps whose `key` is the text `name`, or NULL. */
const struct value *value_find(const struct value *list, const char *key, const char *name);
/* The same, looked for from index `near` on and then from the start: two lists of the same elements
 * mostly have them in the same places. If several bear the name, any of them is found. */
const struct value *value_find_near(const struct value *list, const char *key, const char *name,
                                    size_t near);

bool value_is_map(const struct value *value); /* NULL is allowed: false */
bool value_is_list(const struct value *value);
bool value_is_text(const struct value *value);

/* Deep equality, key order of maps ignored, positions ignored. NULL equals NULL
 * and VALUE_NULL. */
bool value_equal(const struct value *a, const struct value *b);

/* Orders the keys of every map in the tree bytewise, in place. */
void value_sort(struct value *value);

#endif
