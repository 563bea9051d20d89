/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Preloaded into a driver: the process of a call dies before the n-th of the calls below, where n
 * is what the file $CRASH_AT holds; it takes the file with it, so that the next process lives. With
 * $PLAIN_DISK there are neither files without a name nor extended attributes.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static pid_t main_pid;
static atomic_int calls;

__attribute__((constructor)) static void begin(void)
{
    main_pid = getpid();
}

static bool is_plain(void)
{
    return getenv("PLAIN_DISK") != NULL;
}

/* Written as a process ends, when its coverage is counted. */
static bool is_gcovs(const char *path)
{
    size_t len = strlen(path);
    return len > 5 && strcmp(path + len - 5, ".gcda") == 0;
}

static void crash(void)
{
    const char *path = getenv("CRASH_AT");
    FILE *file = path && getpid() != main_pid ? fopen(path, "re") : NULL;
    int at = 0;
    if (!file)
        return;
    if (fscanf(file, "%d", &at) != 1)
        at = 0;
    fclose(file);
    if (atomic_fetch_add(&calls, 1) + 1 != at)
        return;
    unlink(path);
    raise(SIGKILL);
}

#define NEXT(name, ...) ((int (*)(__VA_ARGS__))(uintptr_t)dlsym(RTLD_NEXT, name))

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    unsigned mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, unsigned) : 0;
    va_end(args);
    bool is_nameless = (flags & O_TMPFILE) == O_TMPFILE;
    if (is_nameless && is_plain()) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if (is_nameless || ((flags & O_CREAT) && !is_gcovs(path)))
        crash();
    return NEXT("open", const char *, int, ...)(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    unsigned mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, unsigned) : 0;
    va_end(args);
    if (flags & O_CREAT)
        crash();
    return NEXT("openat", int, const char *, int, ...)(dir, path, flags, mode);
}

int ftruncate(int fd, off_t size)
{
    crash();
    return NEXT("ftruncate", int, off_t)(fd, size);
}

int truncate(const char *path, off_t size)
{
    crash();
    return NEXT("truncate", const char *, off_t)(path, size);
}

int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
    crash();
    if (!is_plain())
        return NEXT("fsetxattr", int, const char *, const void *, size_t, int)(fd, name, value,
                                                                               size, flags);
    errno = EOPNOTSUPP;
    return -1;
}

int fsync(int fd)
{
    crash();
    return NEXT("fsync", int)(fd);
}

int mkdir(const char *path, mode_t mode)
{
    crash();
    return NEXT("mkdir", const char *, mode_t)(path, mode);
}

int unlink(const char *path)
{
    const char *own = getenv("CRASH_AT");
    if (path != own)
        crash();
    return NEXT("unlink", const char *)(path);
}

int unlinkat(int dir, const char *path, int flags)
{
    crash();
    return NEXT("unlinkat", int, const char *, int)(dir, path, flags);
}

int rename(const char *from, const char *to)
{
    crash();
    return NEXT("rename", const char *, const char *)(from, to);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    crash();
    return NEXT("renameat2", int, const char *, int, const char *, unsigned)(from_dir, from, to_dir,
                                                                             to, flags);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    crash();
    return NEXT("linkat", int, const char *, int, const char *, int)(from_dir, from, to_dir, to,
                                                                     flags);
}
