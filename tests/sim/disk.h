/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A disk in memory that can fail and lose its power. It holds each file twice: as the
 * running machine sees it, and as it would be found after a power loss; between the two
 * lies what was written and not synced. The same for the directory: a file that was made,
 * renamed or deleted is so for certain only when the directory was synced.
 *
 * Deterministic: whatever is left to chance is asked of `random`. Nothing here reads a
 * clock. One thread.
 */

enum sim_call {
    SIM_OPEN,
    SIM_READ,
    SIM_WRITE,
    SIM_TRUNCATE,
    SIM_SYNC,
    SIM_SYNC_DIRECTORY,
    SIM_SIZE,
    SIM_LOCK,
    SIM_SHM,         /* mapping the index of the write-ahead log */
    SIM_SHM_LOCK,    /* one of the locks in it */
    SIM_WRITER_LOCK, /* the one that each writer holds for as long as its transaction */
    SIM_DELETE,
    SIM_RENAME,
    SIM_ACCESS,
    SIM_CALLS
};
const char *sim_call_name(enum sim_call call);

enum sim_fault {
    SIM_OK,
    SIM_EIO,       /* a sync that fails drops what it should have written, as Linux does */
    SIM_READ_ONLY, /* not for rules: the disk is, and this would change it */
    SIM_NO_SPACE,  /* of a write, a part is done */
    SIM_SHORT,     /* a read that gives less than was asked for */
    SIM_BUSY,      /* somebody else holds the lock */
    SIM_GONE,      /* not for rules: the process that calls was stopped */
    SIM_FAULTS
};

enum sim_loss {
    SIM_LOSS_ALL,       /* everything that was not synced */
    SIM_LOSS_SECTORS,   /* each sector of 512 bytes by chance */
    SIM_LOSS_TORN,      /* all from some write on, of which the last sector is torn */
    SIM_LOSS_REORDERED, /* each write and each change of the directory by chance */
    SIM_LOSSES
};
const char *sim_loss_name(enum sim_loss loss);

/* Calls that fail: the nth of its kind from now on (0: none), or by chance. */
struct sim_rule {
    enum sim_call call;
    enum sim_fault fault; /* SIM_OK: this rule is not in use */
    const char *ends;     /* only files whose name ends so; NULL: all */
    unsigned nth;         /* counts down as calls go by */
    bool lasts;           /* from the nth on, all of them */
    uint32_t per_million; /* of every such call, beside the nth */
};
enum { SIM_RULES = 16 };

struct sim_inode;
struct sim_entry;
struct sim_change;

struct sim_disk {
    void *context;                     /* first argument of all five */
    uint64_t (*random)(void *context); /* never NULL */
    /* Before each call. It may stop the disk: the call then comes to nothing. May be NULL. */
    void (*boundary)(void *context, enum sim_call call, const char *path);
    /* A call comes to this; `path` may be NULL. May be NULL. */
    void (*met)(void *context, enum sim_call call, const char *path, enum sim_fault fault);
    int64_t (*now_ms)(void *context);     /* unix; NULL: 2026-01-01 */
    void (*slept)(void *context, int us); /* SQLite waits for a lock; NULL: time stands still */

    struct sim_rule rules[SIM_RULES];
    uint64_t capacity_bytes; /* 0: endless */
    bool is_read_only;       /* remounted: writes fail */
    bool is_spared;          /* no rule counts: it is a check that reads */

    /* What happened, for tables and tests. */
    uint64_t calls[SIM_CALLS], faults[SIM_CALLS][SIM_FAULTS];
    uint64_t losses[SIM_LOSSES], lost_writes, kept_writes, torn_sectors, lost_changes, flips;

    /* private */
    bool is_stopped;
    unsigned generation; /* of processes: what one opened dies with it */
    int last_errno;
    struct sim_inode *inodes;
    struct sim_entry *entries;
    size_t entry_count, entry_room;
    struct sim_change *changes;
    size_t change_count, change_room;
};

void sim_disk_init(struct sim_disk *disk, uint64_t (*random)(void *context), void *context);
/* Everything that was opened must be closed before. */
void sim_disk_free(struct sim_disk *disk);

/* The process is gone, as by kill -9: from now on every call fails and changes nothing, for
 * what it has open for ever. What it wrote stays. Close its store, then start the disk. */
void sim_disk_stop(struct sim_disk *disk);
/* The same, and what was not synced meets its fate. */
void sim_disk_lose_power(struct sim_disk *disk, enum sim_loss loss);
/* The next process may begin. */
void sim_disk_start(struct sim_disk *disk);

/* One bit of a file's bytes, on the medium and in the cache. False: no such file or byte. */
bool sim_disk_flip(struct sim_disk *disk, const char *path, uint64_t bit);
/* A bit at random; false: the file is empty or not there. */
bool sim_disk_flip_any(struct sim_disk *disk, const char *path);
/* The bytes as the running machine sees them; NULL: no such file. Valid until written to. */
const uint8_t *sim_disk_bytes(const struct sim_disk *disk, const char *path, size_t *size);
/* Files that there are; the nth's path, in the order in which they were first made. */
size_t sim_disk_files(const struct sim_disk *disk);
const char *sim_disk_file(const struct sim_disk *disk, size_t nth);
/* How much there is to lose now: writes, and changes of the directory. */
size_t sim_disk_unsynced(const struct sim_disk *disk);
/* Nothing of the file's bytes is to be lost. */
bool sim_disk_is_synced(const struct sim_disk *disk, const char *path);

/* ---- for what stands on the disk: the VFS and the system calls ------------------------ */

/* An open file. `generation` is that of the process which opened it. */
struct sim_open {
    struct sim_disk *disk;
    struct sim_inode *inode;
    unsigned generation;
    char path[256]; /* "" for a nameless temporary file */
};

/* Counts the call, passes the boundary, and says what the call has to come to. */
enum sim_fault sim_enter(struct sim_disk *disk, enum sim_call call, const char *path);
/* Counts a call that comes to this for another reason than a rule. */
void sim_met(struct sim_disk *disk, enum sim_call call, const char *path, enum sim_fault fault);
bool sim_is_alive(const struct sim_open *file);

/* These do it, without asking again. 0, or a negative errno. */
int sim_open(struct sim_disk *disk, const char *path, bool may_create, bool must_create,
             struct sim_open *file, bool *created);
void sim_close(struct sim_open *file);
size_t sim_read(const struct sim_open *file, uint64_t at, void *out, size_t len);
/* Returns how many bytes found room. */
size_t sim_write(struct sim_open *file, uint64_t at, const void *bytes, size_t len);
void sim_truncate(struct sim_open *file, uint64_t size);
uint64_t sim_size(const struct sim_open *file);
void sim_sync(struct sim_open *file);
/* What a failed sync leaves: nobody will write it any more, and nobody says so again. */
void sim_sync_failed(struct sim_open *file);
void sim_sync_directory(struct sim_disk *disk);
int sim_delete(struct sim_disk *disk, const char *path);
int sim_rename(struct sim_disk *disk, const char *from, const char *to);
bool sim_exists(const struct sim_disk *disk, const char *path, uint64_t *size);

/* Locks and shared memory of SQLite hang on the inode; vfs.c knows what is in it. */
void **sim_attachment(struct sim_open *file);

#endif
