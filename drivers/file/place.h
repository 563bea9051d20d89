/* SPDX-License-Identifier: MPL-2.0 */
#ifndef FILE_PLACE_H
#define FILE_PLACE_H

#include "drivers/spinel-driver.h"

/*
 * Where pools are. Those under "<state>/pools" are found by looking; one that is
 * elsewhere has a note in "<own dir>/pools/<uid>" with its directory and device, so
 * that it is found again, and so that a file system that is not mounted is told from
 * a pool that somebody removed. The native id of a pool is its directory: one that was copied to a
 * new disk and mounted there is the pool again, and a copy in another directory is nobody's.
 */
struct pool_place {
    const char *dir;
    const char *uid;         /* NULL if no Pool has it: the default one */
    const char *within;      /* what names of files in it are within (mark.h): pool_within() */
    const struct value *tag; /* the valid tag in it, or NULL */
    bool is_unmounted;       /* not the directory that we knew, or gone with its mount */
};

struct pool_places {
    struct pool_place *items;
    size_t count, room;
};

#define POOL_TAG ".spinel-pool"
#define POOL_TRASH ".trash"

int places_read(struct spinel_host *host, struct pool_places *places, struct error *err);

/* `*tag`: the valid one of the pool in `dir`, or NULL, as mark_read(). */
int pool_tag(struct spinel_host *host, const char *dir, const struct value **tag,
             struct error *err);

/* What names in `dir` are within, if it is the directory of the Pool `uid`, or of none: that one's
 * uid, as a Pool may be renamed. The default directory has a name of its own, whoever declares a
 * Pool there later; one of nobody has none. */
const char *pool_within(struct spinel_host *host, const char *dir, const char *uid);

int place_note(struct spinel_host *host, const char *uid, const char *dir, struct error *err);
int place_forget(struct spinel_host *host, const char *uid, struct error *err);
char *place_notes_dir(struct spinel_host *host);

/* Calls `each` for every name in a directory that is not hidden; a directory that is not
 * there has none. A negative answer of `each` ends it. */
int names_each(struct spinel_host *host, const char *dir,
               int (*each)(struct spinel_host *host, const char *dir, const char *name,
                           void *context, struct error *err),
               void *context, struct error *err);

#endif
