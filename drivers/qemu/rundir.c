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

int rundir_make(const char *path, int *dir_fd, struct error *err)
{
    char parent[4096];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash)
        *slash = '\0';
    if (slash && mkdir(parent, 0711) < 0 && errno != EEXIST)
        return error_sys(err, "cannot make %s", parent);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_sys(err, "cannot make %s", path);
    return rundir_open(path, dir_fd, err);
}

int rundir_remove(const char *path, int dir_fd, struct error *err)
{
    DIR *dir = fdopendir(dup(dir_fd));
    if (!dir)
        return error_sys(err, "cannot list %s", path);
    /* The record goes last: as long as anything is left, it is known whose it is. */
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, "record.json") != 0)
            unlinkat(dir_fd, entry->d_name, 0); /* "." and ".." do not go */
    closedir(dir);
    if (unlinkat(dir_fd, "record.json", 0) < 0 && errno != ENOENT)
        return error_sys(err, "cannot remove %s/record.json", path);
    if (rmdir(path) < 0 && errno != ENOENT)
        return error_sys(err, "cannot remove %s", path);
    return 0;
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

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, data, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        data += put;
        len -= (size_t)put;
    }
    return true;
}

int rundir_write(int dir_fd, const char *name, const char *data, size_t len, struct error *err)
{
    char temporary[64];
    snprintf(temporary, sizeof temporary, ".%s.%d", name, (int)getpid());
    int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_sys(err, "cannot make %s", temporary);
    bool written = write_all(fd, data, len) && fsync(fd) == 0;
    int cause = errno;
    close(fd);
    errno = cause;
    if (written && renameat(dir_fd, temporary, dir_fd, name) == 0 && fsync(dir_fd) == 0)
        return 0;
    error_sys(err, "cannot write %s", name);
    unlinkat(dir_fd, temporary, 0);
    return err->code;
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
