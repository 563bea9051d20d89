/* SPDX-License-Identifier: MPL-2.0 */
/*
 * SQLite's index of its write-ahead log, the -shm file, is memory that all who have the store open
 * share: a mapping, and who writes to a mapping where the file has no block and the disk no room
 * dies of SIGBUS. SQLite writes one byte for each 4 KiB when it lengthens the file, which is enough
 * where blocks are that large; ext4 makes blocks of 1 KiB on a small disk, and three of four are
 * missing.
 *
 * So the blocks are asked of the file system before the mapping is made. That is done where SQLite
 * calls mmap, through the table of system calls that its VFS lets others replace, and on its
 * own descriptor: to open and close the file once more would give up the locks that SQLite holds
 * on it. The file stays what it is, so every other reader of the store goes on as before; and a
 * reader of ours that has to make the index anew is spared, too.
 *
 * Instead, the index could live in the heap (locking_mode=EXCLUSIVE): then nobody else can read.
 */
#include "reconciler/store/mapping.h"

#include "model/invariant.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <threads.h>

/* A file system that cannot reserve is used as SQLite uses it. posix_fallocate() would write bytes
 * there instead, over those of a process that has it mapped. */
static bool is_reserved(int fd, off_t offset, size_t len)
{
    int rc;
    do
        rc = fallocate(fd, 0, offset, (off_t)len);
    while (rc < 0 && errno == EINTR);
    return rc == 0 || errno == EOPNOTSUPP || errno == ENOSYS;
}

static void *map(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    bool is_written = (protection & PROT_WRITE) && (flags & MAP_SHARED) && fd >= 0;
    invariant(len > 0 && offset >= 0, "%zu bytes are mapped at %lld", len, (long long)offset);
    if (is_written && !is_reserved(fd, offset, len))
        return MAP_FAILED;
    return mmap(at, len, protection, flags, fd, offset);
}

static void map_replace(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    if (vfs && vfs->iVersion >= 3 && vfs->xSetSystemCall)
        vfs->xSetSystemCall(vfs, "mmap", (sqlite3_syscall_ptr)map);
}

void mappings_reserve(void)
{
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, map_replace);
}
