/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Preloaded into a driver: notes in the file $SYNC_LOG what was made durable and what got a name,
 * by inode, in the order in which it happened. A fdatasync takes $SYNC_SLOW_MS longer: what does
 * not wait for it is before it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void note(const char *what, const struct stat *st, const char *name)
{
    const char *path = getenv("SYNC_LOG");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    dprintf(fd, "%s %ju %s\n", what, (uintmax_t)st->st_ino, name);
    close(fd);
}

static void synced(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0)
        note("sync", &st, "-");
}

static void named(int dir, const char *path)
{
    struct stat st;
    if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        note("name", &st, path);
}

#define NEXT(name, ...) ((int (*)(__VA_ARGS__))(uintptr_t)dlsym(RTLD_NEXT, name))

int fsync(int fd)
{
    int result = NEXT("fsync", int)(fd);
    if (result == 0)
        synced(fd);
    return result;
}

int fdatasync(int fd)
{
    const char *slow_ms = getenv("SYNC_SLOW_MS");
    if (slow_ms)
        usleep((useconds_t)atoi(slow_ms) * 1000);
    int result = NEXT("fdatasync", int)(fd);
    if (result == 0)
        synced(fd);
    return result;
}

int rename(const char *from, const char *to)
{
    int result = NEXT("rename", const char *, const char *)(from, to);
    if (result == 0)
        named(AT_FDCWD, to);
    return result;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    int result = NEXT("renameat2", int, const char *, int, const char *,
                      unsigned)(from_dir, from, to_dir, to, flags);
    if (result == 0)
        named(to_dir, to);
    return result;
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    int result = NEXT("linkat", int, const char *, int, const char *, int)(from_dir, from, to_dir,
                                                                           to, flags);
    if (result == 0)
        named(to_dir, to);
    return result;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    int result = NEXT("renameat", int, const char *, int, const char *)(from_dir, from, to_dir, to);
    if (result == 0)
        named(to_dir, to);
    return result;
}
