/* SPDX-License-Identifier: MPL-2.0 */
/* Files that appear whole or not at all; see staging.h. */
#include "drivers/file/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t parent_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == path ? 1 : (size_t)(slash - path);
}

char *parent_of(struct arena *arena, const char *path)
{
    return arena_text_n(arena, path, parent_len(path));
}

int staging_open(struct spinel_host *host, const char *target, struct staging *staging,
                 struct error *err)
{
    struct arena *arena = spinel_arena(host);
    const char *dir = parent_of(arena, target);
    *staging = (struct staging){.fd = -1, .target = target};
    staging->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (staging->fd >= 0) {
        staging->path = arena_printf(arena, "/proc/%d/fd/%d", (int)getpid(), staging->fd);
        return 0;
    }
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return error_sys(err, "cannot make a file in %s", dir);
    const char *hidden = arena_printf(arena, "%s/.%s.new", dir, strrchr(target, '/') + 1);
    staging->fd = fresh_open(AT_FDCWD, hidden, O_RDWR);
    if (staging->fd < 0)
        return error_sys(err, "cannot make a file in %s", dir);
    staging->path = staging->hidden = hidden;
    return 0;
}

/* A file without a name cannot be renamed over another: it gets a hidden one first. */
static int nameless_replace(const struct staging *staging)
{
    char hidden[PATH_MAX];
    const char *slash = strrchr(staging->target, '/');
    snprintf(hidden, sizeof hidden, "%.*s/.%s.new", (int)(slash - staging->target), staging->target,
             slash + 1);
    unlink(hidden);
    if (linkat(AT_FDCWD, staging->path, AT_FDCWD, hidden, AT_SYMLINK_FOLLOW) < 0)
        return -1;
    if (rename(hidden, staging->target) == 0)
        return 0;
    int cause = errno;
    unlink(hidden);
    errno = cause;
    return -1;
}

static int name_give(const struct staging *staging, enum staging_mode mode)
{
    if (staging->hidden)
        return renameat2(AT_FDCWD, staging->hidden, AT_FDCWD, staging->target,
                         mode == STAGING_NEW ? RENAME_NOREPLACE : 0);
    if (mode == STAGING_REPLACE)
        return nameless_replace(staging);
    return linkat(AT_FDCWD, staging->path, AT_FDCWD, staging->target, AT_SYMLINK_FOLLOW);
}

int staging_sync(const struct staging *staging, struct error *err)
{
    return fsync(staging->fd) < 0 ? error_sys(err, "cannot make %s durable", staging->target) : 0;
}

int staging_name(struct staging *staging, enum staging_mode mode, struct error *err)
{
    if (name_give(staging, mode) < 0) {
        error_sys(err, "cannot name the new file %s", staging->target);
        if (err->sys_errno == EEXIST)
            err->code = ERR_CONFLICT;
        return err->code;
    }
    staging->hidden = NULL;
    return 0;
}

int staging_publish(struct staging *staging, enum staging_mode mode, struct error *err)
{
    int result = staging_sync(staging, err);
    if (result == 0)
        result = staging_name(staging, mode, err);
    return result < 0 ? result : parent_sync(staging->target, err);
}

int staging_replace(struct spinel_host *host, const char *target, const char *text,
                    struct error *err)
{
    struct staging staging;
    int result = staging_open(host, target, &staging, err);
    if (result < 0)
        return result;
    if (write_all(staging.fd, text, strlen(text)) < 0)
        result = error_sys(err, "cannot write %s", target);
    else
        result = staging_publish(&staging, STAGING_REPLACE, err);
    staging_close(&staging);
    return result;
}

void staging_close(struct staging *staging)
{
    if (staging->hidden)
        unlink(staging->hidden);
    if (staging->fd >= 0)
        close(staging->fd);
    staging->fd = -1;
}

int directories_make(struct spinel_host *host, const char *path, struct error *err)
{
    char *copy = arena_text(spinel_arena(host), path);
    if (access(path, F_OK) == 0)
        return 0;
    for (char *slash = copy; slash;) {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = '\0';
        if (directory_make(copy, 0711, err) < 0)
            return err->code;
        if (slash)
            *slash = '/';
    }
    return 0;
}
