/* SPDX-License-Identifier: MPL-2.0 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "model/arena.h"
#include "model/digest.h"
#include "model/error.h"
#include "model/value.h"

/*
 * The simulated world: a file that holds all that "exists". Several processes may
 * have it open: a daemon's driver, another command's, and somebody who damages it.
 */
struct thing {
    char uid[UID_TEXT];
    bool is_gone; /* its place is kept, should it come back */
    uint32_t len;
    off_t at; /* in the file, of its body and how long that is */
    uint64_t epoch;
    uint64_t etag;
};

struct world;

/* Opens `path`, makes it if it is missing, reads it, compacts it if most of it is old. */
int world_open(const char *path, struct world **out, struct error *err);
void world_free(struct world *world); /* NULL is allowed */

/* Reads what others wrote since; `seen` (may be NULL) is called for each such line. */
int world_refresh(struct world *world, void (*seen)(void *context, const char *uid, bool is_gone),
                  void *context, struct error *err);

/* Another text, in the arena, whenever anything was written. */
const char *world_stamp(const struct world *world, struct arena *arena);

/* Both NULL if there is none; it stays where it is until something is read or written. */
const struct thing *world_find(const struct world *world, const char *uid);
/* The first after `last`, which is NULL for the first of all. */
const struct thing *world_next(const struct world *world, const struct thing *last);
/* {"kind","project","name","released","spec","booted","status"}, in the arena: read from the file,
 * so that a driver at rest does not hold the world a second time. */
int world_body(const struct world *world, struct arena *arena, const struct thing *thing,
               struct value **body, struct error *err);
size_t world_count(const struct world *world);

int world_put(struct world *world, const char *uid, uint64_t epoch, const struct value *body,
              struct error *err);
int world_remove(struct world *world, const char *uid, struct error *err);

/* How far the generator of faults had come when the last one was noted. */
uint64_t world_draws(const struct world *world);
int world_note_draws(struct world *world, uint64_t draws, struct error *err);

#endif
