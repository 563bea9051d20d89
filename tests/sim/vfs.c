/* SPDX-License-Identifier: MPL-2.0 */
/* Each method asks sim_enter() what is to become of the call, then does it on the disk. */
#include "tests/sim/vfs.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHM_SLOTS = 8,
    WRITER_SLOT = 0 /* WAL_WRITE_LOCK of SQLite */,
    SHM_REGIONS = 64,
    NEW_YEAR_S = 1767225600
};

/* The index of a write-ahead log. Lives as long as someone has it mapped, also someone dead. */
struct shm {
    unsigned users;
    void *regions[SHM_REGIONS];
};

struct file;

/* What hangs on an inode: who holds which lock. */
struct locks {
    unsigned shared;           /* holders of at least SHARED */
    const struct file *writer; /* holder of RESERVED or more */
    bool is_pending;           /* it waits for the readers to go: nobody new may read */
    struct shm *shm;
    unsigned shm_shared[SHM_SLOTS];
    const struct file *shm_exclusive[SHM_SLOTS];
};

struct file {
    sqlite3_file base;
    struct sim_open open;
    int level; /* SQLITE_LOCK_* */
    bool is_deleted_on_close, syncs_directory, persists_wal;
    struct shm *shm;
    unsigned shm_shared, shm_exclusive; /* bits by slot */
};

static struct locks *locks_of(struct file *file)
{
    void **attachment = sim_attachment(&file->open);
    if (!*attachment && !(*attachment = calloc(1, sizeof(struct locks))))
        abort();
    return *attachment;
}

static struct file *file_of(sqlite3_file *base)
{
    return (struct file *)base;
}

static int failed(const struct file *file, int sys_errno, int code)
{
    file->open.disk->last_errno = sys_errno;
    return code;
}

static int errno_after(enum sim_fault fault)
{
    return fault == SIM_READ_ONLY ? EROFS : EIO;
}

static enum sim_fault enter(struct file *file, enum sim_call call)
{
    if (!sim_is_alive(&file->open))
        return SIM_GONE;
    return sim_enter(file->open.disk, call, file->open.path);
}

/* ---- bytes -------------------------------------------------------------------------- */

/* After a read that gave less than was asked for, SQLite's own VFS goes on until the file ends. */
static int file_read(sqlite3_file *base, void *out, int len, sqlite3_int64 at)
{
    struct file *file = file_of(base);
    size_t got = 0;
    enum sim_fault fault;
    do {
        fault = enter(file, SIM_READ);
        if (fault != SIM_OK && fault != SIM_SHORT)
            return failed(file, EIO, SQLITE_IOERR_READ);
        size_t wanted = (size_t)len - got;
        if (fault == SIM_SHORT)
            wanted = (size_t)(file->open.disk->random(file->open.disk->context) % wanted);
        got += sim_read(&file->open, (uint64_t)at + got, (char *)out + got, wanted);
    } while (fault == SIM_SHORT);
    if (got == (size_t)len)
        return SQLITE_OK;
    memset((char *)out + got, 0, (size_t)len - got);
    return failed(file, 0, SQLITE_IOERR_SHORT_READ);
}

static int file_write(sqlite3_file *base, const void *bytes, int len, sqlite3_int64 at)
{
    struct file *file = file_of(base);
    enum sim_fault fault = enter(file, SIM_WRITE);
    size_t wanted = (size_t)len;
    if (fault == SIM_NO_SPACE)
        wanted = (size_t)(file->open.disk->random(file->open.disk->context) % wanted);
    else if (fault != SIM_OK)
        return failed(file, errno_after(fault), SQLITE_IOERR_WRITE);
    size_t done = sim_write(&file->open, (uint64_t)at, bytes, wanted);
    return done == (size_t)len ? SQLITE_OK : failed(file, 0, SQLITE_FULL);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct file *file = file_of(base);
    enum sim_fault fault = enter(file, SIM_TRUNCATE);
    if (fault != SIM_OK)
        return failed(file, errno_after(fault), SQLITE_IOERR_TRUNCATE);
    sim_truncate(&file->open, (uint64_t)size);
    return SQLITE_OK;
}

static int directory_sync(struct file *file)
{
    enum sim_fault fault = enter(file, SIM_SYNC_DIRECTORY);
    if (fault == SIM_OK)
        sim_sync_directory(file->open.disk);
    return fault == SIM_OK ? SQLITE_OK : failed(file, EIO, SQLITE_IOERR_DIR_FSYNC);
}

static int file_sync(sqlite3_file *base, int flags)
{
    struct file *file = file_of(base);
    enum sim_fault fault = enter(file, SIM_SYNC);
    (void)flags;
    if (fault != SIM_OK) {
        if (fault != SIM_GONE)
            sim_sync_failed(&file->open);
        return failed(file, EIO, SQLITE_IOERR_FSYNC);
    }
    sim_sync(&file->open);
    if (!file->syncs_directory)
        return SQLITE_OK;
    file->syncs_directory = false;
    return directory_sync(file);
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    struct file *file = file_of(base);
    if (enter(file, SIM_SIZE) != SIM_OK)
        return failed(file, EIO, SQLITE_IOERR_FSTAT);
    *size = (sqlite3_int64)sim_size(&file->open);
    return SQLITE_OK;
}

/* ---- locks: SHARED, RESERVED, (PENDING), EXCLUSIVE ---------------------------------- */

static int shared_take(struct file *file, struct locks *locks)
{
    bool is_barred = locks->is_pending || (locks->writer && locks->writer->level > 2);
    if (is_barred && locks->writer != file)
        return SQLITE_BUSY;
    locks->shared++;
    file->level = SQLITE_LOCK_SHARED;
    return SQLITE_OK;
}

static int writer_take(struct file *file, struct locks *locks, int level)
{
    if (locks->writer && locks->writer != file)
        return SQLITE_BUSY;
    locks->writer = file;
    if (level == SQLITE_LOCK_RESERVED) {
        file->level = level;
        return SQLITE_OK;
    }
    locks->is_pending = true;
    file->level = locks->shared > 1 ? SQLITE_LOCK_PENDING : SQLITE_LOCK_EXCLUSIVE;
    return locks->shared > 1 ? SQLITE_BUSY : SQLITE_OK;
}

static int file_lock(sqlite3_file *base, int level)
{
    struct file *file = file_of(base);
    if (file->level >= level)
        return SQLITE_OK;
    enum sim_fault fault = enter(file, SIM_LOCK);
    if (fault == SIM_BUSY)
        return SQLITE_BUSY;
    if (fault != SIM_OK)
        return failed(file, EIO, SQLITE_IOERR_LOCK);
    if (file->level == SQLITE_LOCK_NONE)
        return shared_take(file, locks_of(file));
    return writer_take(file, locks_of(file), level);
}

static int file_unlock(sqlite3_file *base, int level)
{
    struct file *file = file_of(base);
    if (file->level <= level)
        return SQLITE_OK;
    if (!sim_is_alive(&file->open)) {
        file->level = level;
        return SQLITE_OK;
    }
    struct locks *locks = locks_of(file);
    if (locks->writer == file) {
        locks->writer = NULL;
        locks->is_pending = false;
    }
    if (level == SQLITE_LOCK_NONE)
        locks->shared--;
    file->level = level;
    return SQLITE_OK;
}

static int file_is_reserved(sqlite3_file *base, int *is_reserved)
{
    struct file *file = file_of(base);
    if (enter(file, SIM_LOCK) != SIM_OK)
        return failed(file, EIO, SQLITE_IOERR_CHECKRESERVEDLOCK);
    *is_reserved = locks_of(file)->writer != NULL;
    return SQLITE_OK;
}

/* ---- the index of the write-ahead log ----------------------------------------------- */

static struct shm *shm_join(struct file *file)
{
    struct locks *locks = locks_of(file);
    if (!locks->shm && !(locks->shm = calloc(1, sizeof(struct shm))))
        abort();
    locks->shm->users++;
    return locks->shm;
}

static int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out)
{
    struct file *file = file_of(base);
    *out = NULL;
    if (enter(file, SIM_SHM) != SIM_OK)
        return failed(file, EIO, SQLITE_IOERR_SHMMAP);
    if (!file->shm)
        file->shm = shm_join(file);
    if (region >= SHM_REGIONS)
        return SQLITE_NOMEM;
    void **at = &file->shm->regions[region];
    if (!*at && extend && !(*at = calloc(1, (size_t)size)))
        return SQLITE_NOMEM;
    *out = *at;
    return SQLITE_OK;
}

static void shm_release(struct file *file, struct locks *locks, int first, int n)
{
    for (int slot = first; slot < first + n; slot++) {
        unsigned bit = 1u << slot;
        if ((file->shm_shared & bit) != 0 && locks)
            locks->shm_shared[slot]--;
        if ((file->shm_exclusive & bit) != 0 && locks)
            locks->shm_exclusive[slot] = NULL;
        file->shm_shared &= ~bit;
        file->shm_exclusive &= ~bit;
    }
}

static bool shm_is_free(const struct file *file, const struct locks *locks, int slot,
                        bool exclusive)
{
    unsigned own = (file->shm_shared >> slot) & 1;
    if (locks->shm_exclusive[slot] && locks->shm_exclusive[slot] != file)
        return false;
    return !exclusive || locks->shm_shared[slot] == own;
}

/* Who holds the writer's lock has the index. Where there is none yet, that lock is taken to make
 * it: nobody can hold it for long. `isInit` of SQLite's WalIndexHdr says which. */
static enum sim_call call_of_slot(const struct file *file, int slot)
{
    enum { IS_INIT = 12 };
    const uint8_t *header = file->shm ? file->shm->regions[0] : NULL;
    return slot == WRITER_SLOT && header && header[IS_INIT] ? SIM_WRITER_LOCK : SIM_SHM_LOCK;
}

static int shm_lock(sqlite3_file *base, int first, int n, int flags)
{
    struct file *file = file_of(base);
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        shm_release(file, sim_is_alive(&file->open) ? locks_of(file) : NULL, first, n);
        return SQLITE_OK;
    }
    enum sim_fault fault = enter(file, call_of_slot(file, first));
    if (fault == SIM_BUSY)
        return SQLITE_BUSY;
    if (fault != SIM_OK)
        return failed(file, EIO, SQLITE_IOERR_SHMLOCK);
    struct locks *locks = locks_of(file);
    bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    for (int slot = first; slot < first + n; slot++)
        if (!shm_is_free(file, locks, slot, exclusive))
            return SQLITE_BUSY;
    for (int slot = first; slot < first + n; slot++) {
        unsigned bit = 1u << slot;
        if (exclusive) {
            locks->shm_exclusive[slot] = file;
            file->shm_exclusive |= bit;
        } else if ((file->shm_shared & bit) == 0) {
            locks->shm_shared[slot]++;
            file->shm_shared |= bit;
        }
    }
    return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *base)
{
    (void)base; /* one thread */
}

/* `delete` is about the -shm file, which here is not one. */
static int shm_unmap(sqlite3_file *base, int delete)
{
    struct file *file = file_of(base);
    bool is_alive = sim_is_alive(&file->open);
    (void)delete;
    if (!file->shm)
        return SQLITE_OK;
    shm_release(file, is_alive ? locks_of(file) : NULL, 0, SHM_SLOTS);
    if (--file->shm->users == 0) {
        for (int i = 0; i < SHM_REGIONS; i++)
            free(file->shm->regions[i]);
        if (is_alive)
            locks_of(file)->shm = NULL;
        free(file->shm);
    }
    file->shm = NULL;
    return SQLITE_OK;
}

/* ---- the rest of a file ------------------------------------------------------------- */

static int file_close(sqlite3_file *base)
{
    struct file *file = file_of(base);
    file_unlock(base, SQLITE_LOCK_NONE);
    shm_unmap(base, 0);
    if (file->is_deleted_on_close && file->open.path[0] && sim_is_alive(&file->open))
        sim_delete(file->open.disk, file->open.path);
    sim_close(&file->open);
    base->pMethods = NULL;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *argument)
{
    struct file *file = file_of(base);
    int *flag = argument;
    switch (op) {
    case SQLITE_FCNTL_PERSIST_WAL:
        if (*flag < 0)
            *flag = file->persists_wal;
        else
            file->persists_wal = *flag != 0;
        return SQLITE_OK;
    case SQLITE_FCNTL_POWERSAFE_OVERWRITE:
        *flag = 1;
        return SQLITE_OK;
    case SQLITE_FCNTL_LOCKSTATE:
        *flag = file->level;
        return SQLITE_OK;
    default:
        return SQLITE_NOTFOUND;
    }
}

static int sector_size(sqlite3_file *base)
{
    (void)base;
    return 4096; /* as "unix" says; the disk tears at 512 all the same */
}

static int characteristics(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_is_reserved,
    .xFileControl = file_control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

/* ---- the file system ---------------------------------------------------------------- */

static struct sim_disk *disk_of(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static int vfs_failed(sqlite3_vfs *vfs, int sys_errno, int code)
{
    disk_of(vfs)->last_errno = sys_errno;
    return code;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags,
                    int *out_flags)
{
    struct file *file = file_of(base);
    bool is_new = false, is_main = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    bool writes = (flags & SQLITE_OPEN_READWRITE) != 0;
    *file = (struct file){0};
    if (sim_enter(disk_of(vfs), SIM_OPEN, path ? path : "") != SIM_OK)
        return vfs_failed(vfs, EIO, SQLITE_CANTOPEN);
    int rc = sim_open(disk_of(vfs), path, (flags & SQLITE_OPEN_CREATE) != 0 || (is_main && writes),
                      (flags & SQLITE_OPEN_EXCLUSIVE) != 0, &file->open, &is_new);
    if (rc < 0)
        return vfs_failed(vfs, -rc, SQLITE_CANTOPEN);
    file->is_deleted_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    file->syncs_directory =
        is_new &&
        (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL));
    file->base.pMethods = &methods;
    if (out_flags)
        *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_directory)
{
    struct sim_disk *disk = disk_of(vfs);
    enum sim_fault fault = sim_enter(disk, SIM_DELETE, path);
    if (fault != SIM_OK)
        return vfs_failed(vfs, errno_after(fault), SQLITE_IOERR_DELETE);
    if (sim_delete(disk, path) < 0)
        return vfs_failed(vfs, ENOENT, SQLITE_IOERR_DELETE_NOENT);
    if (sync_directory == 0)
        return SQLITE_OK;
    if (sim_enter(disk, SIM_SYNC_DIRECTORY, path) != SIM_OK)
        return vfs_failed(vfs, EIO, SQLITE_IOERR_DIR_FSYNC);
    sim_sync_directory(disk);
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *is_so)
{
    uint64_t size = 0;
    if (sim_enter(disk_of(vfs), SIM_ACCESS, path) != SIM_OK)
        return vfs_failed(vfs, EIO, SQLITE_IOERR_ACCESS);
    bool exists = sim_exists(disk_of(vfs), path, &size);
    *is_so =
        flags == SQLITE_ACCESS_EXISTS ? exists && size > 0 : exists && !disk_of(vfs)->is_read_only;
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int room, char *out)
{
    int len = snprintf(out, (size_t)room, "%s", path);
    return len < room ? SQLITE_OK : vfs_failed(vfs, ENAMETOOLONG, SQLITE_CANTOPEN);
}

static int vfs_random(sqlite3_vfs *vfs, int len, char *out)
{
    for (int i = 0; i < len; i++)
        out[i] = (char)disk_of(vfs)->random(disk_of(vfs)->context);
    return len;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    if (disk_of(vfs)->slept)
        disk_of(vfs)->slept(disk_of(vfs)->context, us);
    return us;
}

static int vfs_now(sqlite3_vfs *vfs, sqlite3_int64 *julian_ms)
{
    const struct sim_disk *disk = disk_of(vfs);
    int64_t unix_ms = disk->now_ms ? disk->now_ms(disk->context) : (int64_t)NEW_YEAR_S * 1000;
    *julian_ms = 210866760000000 + unix_ms;
    return SQLITE_OK;
}

static int vfs_now_days(sqlite3_vfs *vfs, double *days)
{
    sqlite3_int64 ms = 0;
    vfs_now(vfs, &ms);
    *days = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int len, char *text)
{
    (void)len;
    (void)text;
    return disk_of(vfs)->last_errno;
}

void sim_vfs_register(struct sim_disk *disk, const char *name)
{
    sqlite3_vfs *vfs = calloc(1, sizeof(*vfs));
    if (!vfs)
        abort();
    *vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = sizeof(struct file),
        .mxPathname = 255,
        .zName = name,
        .pAppData = disk,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_random,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_now_days,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_now,
    };
    sqlite3_vfs_register(vfs, 1);
    sqlite3_randomness(0, NULL); /* it draws its seed anew, from this disk */
}

void sim_vfs_unregister(const char *name)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(name);
    if (!vfs)
        return;
    sqlite3_vfs_unregister(vfs);
    free(vfs);
}
