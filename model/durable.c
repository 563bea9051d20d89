/* SPDX-License-Identifier: MPL-2.0 */
#include "model/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model/error.h"
#include "model/invariant.h"

int write_all(int fd, const void *data, size_t len)
{
    invariant(fd >= 0 && (data || len == 0), "%zu bytes go to descriptor %d", len, fd);
    for (const char *at = data; len > 0;) {
        ssize_t put = write(fd, at, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        at += put;
        len -= (size_t)put;
    }
    return 0;
}

int fresh_open(int dir_fd, const char *name, int flags)
{
    int all = O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | flags;
    int fd = openat(dir_fd, name, all, 0600);
    if (fd < 0 && errno == EEXIST && unlinkat(dir_fd, name, 0) == 0)
        fd = openat(dir_fd, name, all, 0600);
    return fd;
}

int directory_sync(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 || fsync(fd) < 0 ? error_sys(err, "cannot make %s durable", path) : 0;
    if (fd >= 0)
        close(fd);
    return result;
}

int parent_sync(const char *path, struct error *err)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) + (slash == path) : 1,
             slash ? path : ".");
    return directory_sync(dir, err);
}

int directory_make(const char *path, mode_t mode, struct error *err)
{
    if (mkdir(path, mode) == 0)
        return parent_sync(path, err);
    return errno == EEXIST ? 0 : error_sys(err, "cannot make directory %s", path);
}

/* The file under another name, synced. */
static int draft_make(int dir_fd, const char *draft, const void *data, size_t len)
{
    int fd = fresh_open(dir_fd, draft, O_WRONLY);
    if (fd < 0)
        return -1;
    int result = write_all(fd, data, len) < 0 || fsync(fd) < 0 ? -1 : 0;
    int cause = errno;
    close(fd);
    errno = cause;
    return result;
}

static int file_put(int dir_fd, const char *name, const void *data, size_t len,
                    int (*give_name)(int dir_fd, const char *draft, const char *name),
                    struct error *err)
{
    char draft[NAME_MAX + 1];
    invariant(dir_fd >= 0 && !strchr(name, '/'), "file %s is put into directory %d", name, dir_fd);
    snprintf(draft, sizeof draft, ".%s.%d", name, (int)getpid());
    if (draft_make(dir_fd, draft, data, len) == 0 && give_name(dir_fd, draft, name) == 0 &&
        fsync(dir_fd) == 0)
        return 0;
    error_sys(err, "cannot write %s", name);
    if (err->sys_errno == EEXIST)
        err->code = ERR_CONFLICT;
    unlinkat(dir_fd, draft, 0);
    return err->code;
}

static int name_replace(int dir_fd, const char *draft, const char *name)
{
    return renameat(dir_fd, draft, dir_fd, name);
}

/* No rename without a place taken is known to every file system; a link is. */
static int name_take(int dir_fd, const char *draft, const char *name)
{
    return linkat(dir_fd, draft, dir_fd, name, 0) < 0 ? -1 : unlinkat(dir_fd, draft, 0);
}

int file_replace(int dir_fd, const char *name, const void *data, size_t len, struct error *err)
{
    return file_put(dir_fd, name, data, len, name_replace, err);
}

int file_create(int dir_fd, const char *name, const void *data, size_t len, struct error *err)
{
    return file_put(dir_fd, name, data, len, name_take, err);
}
