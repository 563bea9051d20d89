/* SPDX-License-Identifier: MPL-2.0 */
#ifndef FILE_VOLUME_H
#define FILE_VOLUME_H

#include <sys/stat.h>
#include "drivers/file/place.h"
#include "drivers/file/staging.h"
#include "drivers/spinel-driver.h"

/*
 * Volumes: one file each, "<pool>/<uid>.<format>". A volume gets its name when it is
 * whole, tagged and on disk, so what has a name is a volume and never half of one. It
 * is never shrunk, never touched while a process holds it, and a delete moves it to the
 * pool's trash.
 *
 *   volume.c        which file it is, and what is told of it
 *   volume_make.c   a new one
 *   volume_apply.c  the steps of one pool that are carried out together
 */
struct volume_found {
    const char *path;        /* NULL if there is no file */
    const char *format;      /* static */
    const char *within;      /* of the pool that it is in (mark.h) */
    const struct value *tag; /* NULL if it is not ours */
};

/* In all pools, for it may have been made when its manifest said another one. A pool that
 * is not mounted may hold it: then nobody can tell. Nor can they if it is in two places. */
int volume_find(struct spinel_host *host, const struct pool_places *places, const char *uid,
                struct volume_found *found, struct error *err);

/* Of a file with the name of a volume and without a valid tag: whose data it holds cannot be told,
 * so the volume is neither there nor lost. */
int volume_doubt(const struct volume_found *found, struct error *err);

/* Unlinks tags of a volume that are left in a pool without it. */
void volume_sidecars_drop(struct spinel_host *host, const char *pool_dir, const char *uid);

/* As the guest sees it. */
int volume_size(const struct volume_found *found, const struct stat *st, uint64_t *size_bytes,
                struct error *err);

/* Of the pool that its spec names. */
const char *volume_pool_dir(struct spinel_host *host, const struct spinel_op *op);

/* Makes what is to become a volume, tagged, whole, and neither on disk nor named yet. */
int volume_make(struct spinel_host *host, const struct spinel_op *op, struct staging *staging,
                struct error *err);

#endif
