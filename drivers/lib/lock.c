/* SPDX-License-Identifier: MPL-2.0 */
/* Who may apply; see lock.h. */
#include "drivers/lib/lock.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include "model/arena.h"
#include "model/invariant.h"

enum { MAIN_BYTE = 0, CALLS_BYTE = 1, CALLS_END_MS = 5000, LOOK_MS = 10 };

static int byte_lock(int fd, int command, short type, off_t byte, struct flock *lock)
{
    *lock = (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, command, lock);
}

static int byte_busy(int fd, off_t byte, const char *what, struct error *err)
{
    struct flock lock;
    if (byte_lock(fd, F_GETLK, F_WRLCK, byte, &lock) == 0 && lock.l_type != F_UNLCK)
        return error_set(err, ERR_BUSY, "%s (process %d)", what, (int)lock.l_pid);
    return error_set(err, ERR_BUSY, "%s", what);
}

int lock_take(struct spinel_host *host, struct error *err)
{
    struct flock lock;
    /* To open and close it once more would let go of it. */
    invariant(!host->is_driving && host->call_fd < 0, "the lock %d of %s is taken again",
              host->lock_fd, host->own_dir);
    if (host->lock_fd < 0) {
        const char *path = arena_printf(host->forever, "%s/lock", host->own_dir);
        host->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (host->lock_fd < 0)
            return error_sys(err, "cannot open %s", path);
    }
    if (byte_lock(host->lock_fd, F_SETLK, F_WRLCK, MAIN_BYTE, &lock) < 0)
        return byte_busy(host->lock_fd, MAIN_BYTE, "another driver applies here already", err);
    int64_t deadline_ms = host_now_ms() + CALLS_END_MS;
    while (byte_lock(host->lock_fd, F_SETLK, F_WRLCK, CALLS_BYTE, &lock) < 0) {
        if (host_now_ms() >= deadline_ms) {
            byte_lock(host->lock_fd, F_SETLK, F_UNLCK, MAIN_BYTE, &lock);
            return byte_busy(host->lock_fd, CALLS_BYTE, "a call of a former driver is not dead",
                             err);
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
    }
    byte_lock(host->lock_fd, F_SETLK, F_UNLCK, CALLS_BYTE, &lock);
    return 0;
}

void lock_share(struct spinel_host *host)
{
    struct flock lock;
    if (host->lock_fd >= 0)
        byte_lock(host->lock_fd, F_SETLK, F_RDLCK, CALLS_BYTE, &lock);
}
