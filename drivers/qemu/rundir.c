/* SPDX-License-Identifier: MPL-2.0 */
#include "drivers/qemu/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "model/arena.h"
#include "model/durable.h"
#include "model/error.h"

enum { FILE_LIMIT = 4 << 20 };

int rundir_open(const char *path, int *dir_fd, struct error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ERR_NOT_FOUND, "%s is not there", path);
    if (fd < 0)
        return error_sys(err, "cannot open %s", path);
    *dir_fd = fd;
    return 0;
}

/* Whoever made it may have died before its name was durable. */
int rundir_make(const char *path, int *dir_fd, struct error *err)
{
    char parent[4096];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash)
        *slash = '\0';
    if ((slash && directory_make(parent, 0711, err) < 0) || directory_make(path, 0700, err) < 0 ||
        parent_sync(path, err) < 0)
        return err->code;
    return rundir_open(path, dir_fd, err);
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The record goes last: as long as anything is left, it is known whose it is. */
static int files_remove(const char *path, int dir_fd, struct error *err)
{
    int copy = dup(dir_fd), failed;
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir) {
        error_sys(err, "cannot list %s", path);
        if (copy >= 0)
            close(copy);
        return err->code;
    }
    rewinddir(dir);
    for (const struct dirent *entry; errno = 0, err->code == ERR_NONE && (entry = readdir(dir));)
        if (!is_dot(entry->d_name) && strcmp(entry->d_name, "record.json") != 0 &&
            unlinkat(dir_fd, entry->d_name, 0) < 0 && errno != ENOENT)
            error_sys(err, "cannot remove %s/%s", path, entry->d_name);
    failed = err->code == ERR_NONE ? errno : 0;
    closedir(dir);
    errno = failed;
    if (failed)
        return error_sys(err, "cannot list %s", path);
    if (err->code == ERR_NONE && unlinkat(dir_fd, "record.json", 0) < 0 && errno != ENOENT)
        error_sys(err, "cannot remove %s/record.json", path);
    return err->code;
}

int rundir_remove(const char *path, int dir_fd, struct error *err)
{
    if (files_remove(path, dir_fd, err) < 0)
        return err->code;
    if (rmdir(path) < 0 && errno != ENOENT)
        return error_sys(err, "cannot remove %s", path);
    return parent_sync(path, err);
}

static int read_all(int fd, char *data, size_t len)
{
    size_t have = 0;
    while (have < len) {
        ssize_t got = read(fd, data + have, len - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (int)have;
}

char *rundir_read(struct arena *arena, int dir_fd, const char *name, struct error *err)
{
    struct stat st;
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        error_set(err, ERR_NOT_FOUND, "%s is not there", name);
        return NULL;
    }
    if (fd < 0 || fstat(fd, &st) < 0) {
        error_sys(err, "cannot open %s", name);
    } else if (!S_ISREG(st.st_mode) || st.st_size > FILE_LIMIT) {
        error_set(err, ERR_CORRUPT, "%s is not a file that we wrote", name);
    } else {
        char *data = arena_alloc(arena, (size_t)st.st_size + 1);
        int len = read_all(fd, data, (size_t)st.st_size);
        close(fd);
        if (len >= 0)
            return data;
        error_sys(err, "cannot read %s", name);
        return NULL;
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

int rundir_listen(int dir_fd, const char *name, int *out, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir_fd, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_sys(err, "cannot make a socket");
    unlinkat(dir_fd, name, 0);
    mode_t mask = umask(0177);
    int status = bind(fd, (const struct sockaddr *)&address, sizeof address);
    umask(mask);
    if (status == 0 && listen(fd, 4) == 0) {
        *out = fd;
        return 0;
    }
    error_sys(err, "cannot listen on %s", name);
    close(fd);
    return err->code;
}
