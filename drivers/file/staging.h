/* SPDX-License-Identifier: MPL-2.0 */
#ifndef FILE_STAGING_H
#define FILE_STAGING_H

#include "drivers/spinel-driver.h"
#include "model/durable.h"

/*
 * A file under construction. It has no name (O_TMPFILE) until it is whole and on
 * disk, so whoever dies in the middle leaves nothing. Where the file system cannot do
 * that it has the hidden name ".<name>.new", which the next try takes over.
 */
struct staging {
    int fd;
    const char *path;   /* for programs: names the file while it is under construction */
    const char *target; /* the name it will get */
    const char *hidden; /* the hidden name, or NULL */
};

enum staging_mode {
    STAGING_NEW,     /* ERR_CONFLICT if the name is taken */
    STAGING_REPLACE, /* takes the place of what has the name */
};

int staging_open(struct spinel_host *host, const char *target, struct staging *staging,
                 struct error *err);
/* Makes it durable, then gives it its name, then makes the name durable. */
int staging_publish(struct staging *staging, enum staging_mode mode, struct error *err);
/* The same in parts, for several at once. A name is durable when its directory was synced. */
int staging_sync(const struct staging *staging, struct error *err);
int staging_name(struct staging *staging, enum staging_mode mode, struct error *err);
/* All of that for a small file: this text, in place of what has the name. */
int staging_replace(struct spinel_host *host, const char *target, const char *text,
                    struct error *err);
/* Drops what was not published. */
void staging_close(struct staging *staging);

char *parent_of(struct arena *arena, const char *path);

/* Makes a directory and those above it, durable; there already is fine. */
int directories_make(struct spinel_host *host, const char *path, struct error *err);

#endif
