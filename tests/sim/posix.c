/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/sim/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_FD = 1 << 20, FDS = 32, DIRECTORIES = 16, PATH_BYTES = 256, INODES = 4096 };

struct descriptor {
    bool is_used, is_directory, is_locked;
    struct sim_open file; /* of a directory: only path, disk and generation */
    uint64_t at;
};

static struct {
    struct sim_disk *disk;
    struct descriptor fds[FDS];
    char directories[DIRECTORIES][PATH_BYTES];
    size_t directory_count;
    ino_t inodes[INODES];
    size_t inode_count;
} sim;

static const char *random_name(void)
{
    return "the simulated disk's";
}

static uint32_t random_word(void)
{
    return (uint32_t)sim.disk->random(sim.disk->context);
}

static void random_fill(void *const out, const size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)sim.disk->random(sim.disk->context);
}

void sim_posix_use(struct sim_disk *disk)
{
    static randombytes_implementation ours = {
        .implementation_name = random_name, .random = random_word, .buf = random_fill};
    memset(&sim, 0, sizeof(sim));
    sim.disk = disk;
    randombytes_set_implementation(disk ? &ours : &randombytes_sysrandom_implementation);
}

static bool is_ours(const char *path)
{
    return sim.disk && (strncmp(path, "/sim/", 5) == 0 || strcmp(path, "/sim") == 0);
}

static struct descriptor *descriptor_of(int fd)
{
    return fd >= FIRST_FD && fd < FIRST_FD + FDS ? &sim.fds[fd - FIRST_FD] : NULL;
}

static int fail_with(int code)
{
    errno = code;
    return -1;
}

static int errno_of(enum sim_fault fault)
{
    if (fault == SIM_NO_SPACE)
        return ENOSPC;
    if (fault == SIM_READ_ONLY)
        return EROFS;
    return fault == SIM_BUSY ? EWOULDBLOCK : EIO;
}

/* 0, or -1 with errno set: what is left of the call. */
static int enter_path(enum sim_call call, const char *path)
{
    enum sim_fault fault = sim_enter(sim.disk, call, path);
    return fault == SIM_OK ? 0 : fail_with(errno_of(fault));
}

static enum sim_fault enter_fd(const struct descriptor *fd, enum sim_call call)
{
    return sim_is_alive(&fd->file) ? sim_enter(sim.disk, call, fd->file.path) : SIM_GONE;
}

static bool is_directory(const char *path)
{
    for (size_t i = 0; i < sim.directory_count; i++)
        if (strcmp(sim.directories[i], path) == 0)
            return true;
    return strcmp(path, "/sim") == 0;
}

/* ---- by name ------------------------------------------------------------------------ */

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode)
{
    if (!is_ours(path))
        return __real_mkdir(path, mode);
    if (enter_path(SIM_OPEN, path) < 0)
        return -1;
    if (is_directory(path) || sim_exists(sim.disk, path, NULL))
        return fail_with(EEXIST);
    if (sim.directory_count == DIRECTORIES)
        return fail_with(ENOSPC);
    snprintf(sim.directories[sim.directory_count++], PATH_BYTES, "%s", path);
    return 0;
}

static struct stat stat_of(bool is_file, uint64_t size)
{
    return (struct stat){.st_mode = is_file ? S_IFREG | 0640 : S_IFDIR | 0750,
                         .st_nlink = 1,
                         .st_size = (off_t)size};
}

uint64_t sim_posix_program;

/* Inodes have the numbers in which they were met: a driver's token has its ledger's in it. */
static int inode_named(int status, struct stat *st)
{
    size_t i = 0;
    if (status < 0 || !sim.disk)
        return status;
    while (i < sim.inode_count && sim.inodes[i] != st->st_ino)
        i++;
    if (i == INODES)
        return status;
    if (i == sim.inode_count)
        sim.inodes[sim.inode_count++] = st->st_ino;
    st->st_ino = i + 1;
    return status;
}

int __real_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st)
{
    uint64_t size = 0;
    if (sim.disk && strcmp(path, "/proc/self/exe") == 0) {
        *st = (struct stat){.st_mode = S_IFREG | 0755, .st_nlink = 1, .st_ino = sim_posix_program};
        return 0;
    }
    if (!is_ours(path))
        return inode_named(__real_stat(path, st), st);
    if (enter_path(SIM_SIZE, path) < 0)
        return -1;
    bool is_file = sim_exists(sim.disk, path, &size);
    if (!is_file && !is_directory(path))
        return fail_with(ENOENT);
    *st = stat_of(is_file, size);
    return 0;
}

/* There are no links on it. */
int __real_lstat(const char *path, struct stat *st);
int __wrap_lstat(const char *path, struct stat *st);
int __wrap_lstat(const char *path, struct stat *st)
{
    return is_ours(path) ? __wrap_stat(path, st) : __real_lstat(path, st);
}

char *__real_realpath(const char *path, char *resolved);
char *__wrap_realpath(const char *path, char *resolved);
char *__wrap_realpath(const char *path, char *resolved)
{
    return is_ours(path) && resolved ? strcpy(resolved, path) : __real_realpath(path, resolved);
}

/* What -D_FORTIFY_SOURCE makes of it. */
char *__wrap___realpath_chk(const char *path, char *resolved, size_t room);
char *__wrap___realpath_chk(const char *path, char *resolved, size_t room)
{
    (void)room;
    return __wrap_realpath(path, resolved);
}

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path)
{
    if (!is_ours(path))
        return __real_unlink(path);
    if (!sim_exists(sim.disk, path, NULL))
        return fail_with(ENOENT);
    if (enter_path(SIM_DELETE, path) < 0)
        return -1;
    int rc = sim_delete(sim.disk, path);
    return rc < 0 ? fail_with(-rc) : 0;
}

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
    if (!is_ours(path))
        return __real_access(path, mode);
    if (enter_path(SIM_ACCESS, path) < 0)
        return -1;
    if (!is_directory(path) && !sim_exists(sim.disk, path, NULL))
        return fail_with(ENOENT);
    if (!(mode & W_OK) || !sim.disk->is_read_only)
        return 0;
    sim_met(sim.disk, SIM_ACCESS, path, SIM_READ_ONLY);
    return fail_with(EROFS);
}

static int descriptor_open(const char *path, int flags)
{
    bool is_new = false;
    int i = 0;
    if (enter_path(SIM_OPEN, path) < 0)
        return -1;
    while (i < FDS && sim.fds[i].is_used)
        i++;
    if (i == FDS)
        return fail_with(EMFILE);
    struct descriptor *fd = &sim.fds[i];
    *fd = (struct descriptor){.is_used = true, .is_directory = is_directory(path)};
    if (fd->is_directory) {
        fd->file = (struct sim_open){.disk = sim.disk, .generation = sim.disk->generation};
        snprintf(fd->file.path, sizeof(fd->file.path), "%s", path);
        return FIRST_FD + i;
    }
    int rc = sim_open(sim.disk, path, flags & O_CREAT, flags & O_EXCL, &fd->file, &is_new);
    if (rc < 0) {
        fd->is_used = false;
        return fail_with(-rc);
    }
    if (flags & O_TRUNC)
        sim_truncate(&fd->file, 0);
    return FIRST_FD + i;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return is_ours(path) ? descriptor_open(path, flags) : __real_open(path, flags, mode);
}

static void path_join(char out[PATH_BYTES * 2], const struct descriptor *dir, const char *name)
{
    snprintf(out, PATH_BYTES * 2, "%s/%s", dir->file.path, name);
}

int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
    char full[PATH_BYTES * 2];
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (dir == AT_FDCWD)
        return __wrap_open(path, flags, mode);
    if (!descriptor_of(dir))
        return __real_openat(dir, path, flags, mode);
    path_join(full, descriptor_of(dir), path);
    return descriptor_open(full, flags);
}

int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    char full_from[PATH_BYTES * 2], full_to[PATH_BYTES * 2];
    if (!descriptor_of(from_dir) || !descriptor_of(to_dir))
        return __real_renameat(from_dir, from, to_dir, to);
    path_join(full_from, descriptor_of(from_dir), from);
    path_join(full_to, descriptor_of(to_dir), to);
    if (enter_path(SIM_RENAME, full_to) < 0)
        return -1;
    int rc = sim_rename(sim.disk, full_from, full_to);
    return rc < 0 ? fail_with(-rc) : 0;
}

int __real_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags)
{
    char full[PATH_BYTES * 2];
    if (dir == AT_FDCWD && !(flags & AT_REMOVEDIR))
        return __wrap_unlink(path);
    if (!descriptor_of(dir))
        return __real_unlinkat(dir, path, flags);
    path_join(full, descriptor_of(dir), path);
    return __wrap_unlink(full);
}

/* ---- by descriptor ------------------------------------------------------------------ */

int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st)
{
    const struct descriptor *ours = descriptor_of(fd);
    uint64_t size = 0;
    if (!ours)
        return inode_named(__real_fstat(fd, st), st);
    sim_exists(sim.disk, ours->file.path, &size);
    *st = stat_of(!ours->is_directory, size);
    return 0;
}

ssize_t __real_pread(int fd, void *out, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *out, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *out, size_t len, off_t at)
{
    const struct descriptor *ours = descriptor_of(fd);
    if (!ours)
        return __real_pread(fd, out, len, at);
    enum sim_fault fault = enter_fd(ours, SIM_READ);
    if (fault != SIM_OK && fault != SIM_SHORT)
        return fail_with(errno_of(fault));
    if (fault == SIM_SHORT)
        len = (size_t)(sim.disk->random(sim.disk->context) % (len + 1));
    return (ssize_t)sim_read(&ours->file, (uint64_t)at, out, len);
}

ssize_t __real_read(int fd, void *out, size_t len);
ssize_t __wrap_read(int fd, void *out, size_t len);
ssize_t __wrap_read(int fd, void *out, size_t len)
{
    struct descriptor *ours = descriptor_of(fd);
    if (!ours)
        return __real_read(fd, out, len);
    ssize_t got = __wrap_pread(fd, out, len, (off_t)ours->at);
    ours->at += got > 0 ? (uint64_t)got : 0;
    return got;
}

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    struct descriptor *ours = descriptor_of(fd);
    if (!ours)
        return __real_write(fd, bytes, len);
    enum sim_fault fault = enter_fd(ours, SIM_WRITE);
    size_t wanted = len;
    if (fault == SIM_NO_SPACE && len > 0)
        wanted = (size_t)(sim.disk->random(sim.disk->context) % len);
    else if (fault != SIM_OK)
        return fail_with(errno_of(fault));
    size_t done = sim_write(&ours->file, ours->at, bytes, wanted);
    ours->at += done;
    return done == 0 && len > 0 ? fail_with(ENOSPC) : (ssize_t)done;
}

int __wrap_dprintf(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_dprintf(int fd, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    if (!descriptor_of(fd)) {
        int plain = vdprintf(fd, format, args);
        va_end(args);
        return plain;
    }
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return (int)__wrap_write(fd, text, (size_t)len);
}

/* What -D_FORTIFY_SOURCE makes of it. */
int __wrap___dprintf_chk(int fd, int flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int __wrap___dprintf_chk(int fd, int flag, const char *format, ...)
{
    char text[512];
    va_list args;
    (void)flag;
    va_start(args, format);
    if (!descriptor_of(fd)) {
        int plain = vdprintf(fd, format, args);
        va_end(args);
        return plain;
    }
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return (int)__wrap_write(fd, text, (size_t)len);
}

int __real_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size)
{
    struct descriptor *ours = descriptor_of(fd);
    if (!ours)
        return __real_ftruncate(fd, size);
    enum sim_fault fault = enter_fd(ours, SIM_TRUNCATE);
    if (fault != SIM_OK)
        return fail_with(errno_of(fault));
    sim_truncate(&ours->file, (uint64_t)size);
    return 0;
}

uint64_t sim_posix_syncs;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd) /* nothing on the simulated disk is synced so */
{
    sim_posix_syncs++;
    return __real_fdatasync(fd);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct descriptor *ours = descriptor_of(fd);
    if (!ours)
        return sim_posix_syncs++, __real_fsync(fd);
    enum sim_fault fault = enter_fd(ours, ours->is_directory ? SIM_SYNC_DIRECTORY : SIM_SYNC);
    if (fault != SIM_OK) {
        if (fault != SIM_GONE && !ours->is_directory)
            sim_sync_failed(&ours->file);
        return fail_with(errno_of(fault));
    }
    if (ours->is_directory)
        sim_sync_directory(sim.disk);
    else
        sim_sync(&ours->file);
    return 0;
}

static bool is_locked_by_other(const struct descriptor *fd)
{
    for (int i = 0; i < FDS; i++) {
        const struct descriptor *other = &sim.fds[i];
        if (other->is_used && other != fd && other->is_locked && sim_is_alive(&other->file) &&
            other->file.inode == fd->file.inode)
            return true;
    }
    return false;
}

/* It is written into files: how many digits it has must not be up to the machine. */
pid_t __wrap_getpid(void);
pid_t __wrap_getpid(void)
{
    return 4242;
}

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
int __wrap_flock(int fd, int operation)
{
    struct descriptor *ours = descriptor_of(fd);
    if (!ours)
        return __real_flock(fd, operation);
    enum sim_fault fault = enter_fd(ours, SIM_LOCK);
    if (fault != SIM_OK)
        return fail_with(errno_of(fault));
    if (is_locked_by_other(ours))
        return fail_with(EWOULDBLOCK);
    ours->is_locked = true;
    return 0;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    struct descriptor *ours = descriptor_of(fd);
    if (!ours)
        return __real_close(fd);
    if (!ours->is_used)
        return fail_with(EBADF);
    if (!ours->is_directory)
        sim_close(&ours->file);
    ours->is_used = false;
    return 0;
}
