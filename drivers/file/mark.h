/* SPDX-License-Identifier: MPL-2.0 */
#ifndef FILE_MARK_H
#define FILE_MARK_H

#include "drivers/spinel-driver.h"

/*
 * Where ownership tags are kept: in the file's extended attribute user.spinel, or,
 * where the file system has none or too little room, in "<file>.tag" beside it. The
 * native id is the file's name within its place, so that a restored backup is ours again, and a
 * copy under another name or in another place is not. `within` says which place: for a volume that
 * of its pool (struct pool_place). NULL is a place without a name of its own: there a tag is read
 * and written in its former form, over the file's name and inode. Elsewhere that form is only read.
 */

/* `*tag`: the valid one of a regular file of `kind` (not of a link to one), or NULL if it has none.
 * An error: that cannot be told. */
int mark_read(struct spinel_host *host, const char *path, const char *within, const char *kind,
              const struct value **tag, struct error *err);

/* Tags the file that is open as `fd` and has, or will have, the name `path`. The tag is durable
 * after an fsync of `fd`. */
int mark_write(struct spinel_host *host, int fd, const char *path, const char *within,
               const struct spinel_op *op, const struct value *extra, struct error *err);

/* The same for a file that is there, keeping the tag's extra if `extra` is NULL: an error if that
 * cannot be read. `*fd` is the caller's then, to be synced and closed. */
int mark_rewrite(struct spinel_host *host, const char *path, const char *within,
                 const struct spinel_op *op, const struct value *extra, int *fd, struct error *err);

/* "<path>.tag" in the arena. */
char *mark_sidecar(struct spinel_host *host, const char *path);
bool mark_is_sidecar(const char *name);

/* The native ids under which a tag may verify; NULL: not under this one. */
struct natives {
    const char *now, *former;
};

/* Tags that are files of their own: of a Pool, of an Image. As mark_read(). */
int tag_file_read(struct spinel_host *host, const char *path, struct natives natives,
                  const char *kind, const struct value **tag, struct error *err);
int tag_file_write(struct spinel_host *host, const char *path, const struct spinel_op *op,
                   const char *native, const struct value *extra, struct error *err);

/* `tag`, which may be NULL, or NULL if it is another object's. */
const struct value *tag_own(const struct value *tag, const char *uid);

/* What a tag says of an object. */
void mark_fill(struct spinel_object *object, const struct value *tag);

/* ERR_STALE if the object has seen a newer epoch than the operation's. */
int mark_admit(const struct value *tag, const struct spinel_op *op, struct error *err);

/* A short text that differs when tag or file do. */
void mark_etag(const char *path, const struct value *tag, char etag[64]);
/* The same in the arena. A look takes it before the rest: what is written meanwhile is listed under
 * another one. */
const char *mark_etag_text(struct spinel_host *host, const char *path, const struct value *tag);

#endif
