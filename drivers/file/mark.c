/* SPDX-License-Identifier: MPL-2.0 */
/* Ownership tags on files; see mark.h. */
#include "drivers/file/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "drivers/file/staging.h"

#define ATTRIBUTE "user.spinel"
enum {
    TAG_MAX = 2 << 20, /* a seed with as many and as long keys as may be is half of it */
    TAG_USUAL = 1 << 10,
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static struct natives natives_of(struct spinel_host *host, const char *path, const char *within,
                                 const struct stat *st)
{
    struct arena *arena = spinel_arena(host);
    const char *name = base_name(path);
    return (struct natives){
        .now = within ? arena_printf(arena, "%s/%s", within, name) : NULL,
        .former = arena_printf(arena, "%s:%ju", name, (uintmax_t)st->st_ino),
    };
}

char *mark_sidecar(struct spinel_host *host, const char *path)
{
    return arena_printf(spinel_arena(host), "%s.tag", path);
}

bool mark_is_sidecar(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && strcmp(name + len - 4, ".tag") == 0;
}

static char *small_file_read(struct spinel_host *host, const char *path)
{
    struct stat st;
    char *text = NULL;
    int cause = 0;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) < 0) {
        cause = errno;
    } else if (S_ISREG(st.st_mode) && st.st_size <= TAG_MAX) {
        text = arena_alloc(spinel_arena(host), (size_t)st.st_size + 1);
        ssize_t got = read(fd, text, (size_t)st.st_size);
        cause = got < 0 ? errno : 0;
        text[got > 0 ? got : 0] = '\0';
    }
    close(fd);
    errno = cause;
    return cause ? NULL : text;
}

/* What a stranger keeps to himself carries no tag of ours. */
static bool is_answer(int number)
{
    return number == 0 || number == ENOENT || number == ENODATA || number == EOPNOTSUPP ||
           number == ERANGE || number == ELOOP || number == ENOTDIR || number == EACCES ||
           number == EPERM;
}

/* Of `text`, or, if that is NULL, of errno. */
static int tag_of(struct spinel_host *host, const char *path, const char *text,
                  struct natives natives, const char *kind, const struct value **tag,
                  struct error *err)
{
    if (!text && !is_answer(errno))
        return error_sys(err, "cannot read the tag of %s", path);
    const struct value *found =
        text ? spinel_tag_read_either(host, text, natives.now, natives.former) : NULL;
    *tag = strcmp(value_get_text(found, "kind", ""), kind) == 0 ? found : NULL;
    return 0;
}

int tag_file_read(struct spinel_host *host, const char *path, struct natives natives,
                  const char *kind, const struct value **tag, struct error *err)
{
    errno = 0;
    return tag_of(host, path, small_file_read(host, path), natives, kind, tag, err);
}

const struct value *tag_own(const struct value *tag, const char *uid)
{
    return strcmp(value_get_text(tag, "uid", ""), uid) == 0 ? tag : NULL;
}

/* NULL: it has none, or errno says why that cannot be told. */
static char *attribute_read(struct spinel_host *host, const char *path)
{
    char usual[TAG_USUAL];
    ssize_t len = lgetxattr(path, ATTRIBUTE, usual, sizeof usual);
    if (len > 0)
        return arena_text_n(spinel_arena(host), usual, (size_t)len);
    if (len == 0 || errno != ERANGE)
        return NULL;
    len = lgetxattr(path, ATTRIBUTE, NULL, 0);
    if (len <= 0 || len > TAG_MAX)
        return NULL;
    char *text = arena_alloc(spinel_arena(host), (size_t)len + 1);
    len = lgetxattr(path, ATTRIBUTE, text, (size_t)len);
    return len > 0 ? text : NULL;
}

int mark_read(struct spinel_host *host, const char *path, const char *within, const char *kind,
              const struct value **tag, struct error *err)
{
    struct stat st;
    struct natives natives = {0};
    const char *text = NULL;
    errno = 0;
    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        natives = natives_of(host, path, within, &st);
        errno = 0;
        text = attribute_read(host, path);
        if (!text && is_answer(errno)) {
            errno = 0;
            text = small_file_read(host, mark_sidecar(host, path));
        }
    }
    return tag_of(host, path, text, natives, kind, tag, err);
}

int tag_file_write(struct spinel_host *host, const char *path, const struct spinel_op *op,
                   const char *native, const struct value *extra, struct error *err)
{
    return staging_replace(host, path, spinel_tag_make(host, op, native, extra), err);
}

int mark_write(struct spinel_host *host, int fd, const char *path, const char *within,
               const struct spinel_op *op, const struct value *extra, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_sys(err, "cannot look at %s", path);
    struct natives natives = natives_of(host, path, within, &st);
    const char *text = spinel_tag_make(host, op, natives.now ? natives.now : natives.former, extra);
    const char *sidecar = mark_sidecar(host, path);
    if (fsetxattr(fd, ATTRIBUTE, text, strlen(text), 0) == 0) {
        unlink(sidecar);
        return 0;
    }
    int result = staging_replace(host, sidecar, text, err);
    if (result == 0)
        fremovexattr(fd, ATTRIBUTE); /* an older one would be believed first */
    return result;
}

int mark_rewrite(struct spinel_host *host, const char *path, const char *within,
                 const struct spinel_op *op, const struct value *extra, int *fd, struct error *err)
{
    const struct value *tag = NULL;
    if (!extra && mark_read(host, path, within, op->kind, &tag, err) < 0)
        return err->code;
    if (!extra)
        extra = value_get(tag, "extra");
    int opened = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0)
        return error_sys(err, "cannot open %s", path);
    int result = mark_write(host, opened, path, within, op, extra, err);
    if (result == 0)
        *fd = opened;
    else
        close(opened);
    return result;
}

void mark_fill(struct spinel_object *object, const struct value *tag)
{
    object->absent = false;
    object->kind = value_get_text(tag, "kind", "");
    object->project = value_get_text(tag, "project", NULL);
    object->name = value_get_text(tag, "name", "");
    object->epoch = (uint64_t)value_get_int(tag, "epoch", 0);
    object->released = value_get_bool(tag, "released", false);
}

int mark_admit(const struct value *tag, const struct spinel_op *op, struct error *err)
{
    uint64_t seen = (uint64_t)value_get_int(tag, "epoch", 0);
    if (tag && op->epoch < seen)
        return error_set(err, ERR_STALE, "%s %s has seen epoch %" PRIu64 ", this is %" PRIu64,
                         op->kind, op->name, seen, op->epoch);
    return 0;
}

void mark_etag(const char *path, const struct value *tag, char etag[64])
{
    struct stat st = {0};
    lstat(path, &st);
    /* A guest writes to its volume all the time; nobody writes to the others. */
    bool is_written = strcmp(value_get_text(tag, "kind", ""), "Volume") == 0;
    snprintf(
        etag, 64, "%.16s-%jx-%jx", value_get_text(tag, "mac", "untagged"), (uintmax_t)st.st_size,
        is_written ? (uintmax_t)st.st_blocks
                   : (uintmax_t)st.st_mtim.tv_sec * 1000000000 + (uintmax_t)st.st_mtim.tv_nsec);
}

const char *mark_etag_text(struct spinel_host *host, const char *path, const struct value *tag)
{
    char etag[64];
    mark_etag(path, tag, etag);
    return arena_text(spinel_arena(host), etag);
}
