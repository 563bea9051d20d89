/* SPDX-License-Identifier: MPL-2.0 */
/*
 * An inode has its bytes as they are `now` and as they are `kept`, and the list of writes
 * and truncations that lead from the one to the other. A sync carries the list out on
 * `kept`; a power loss carries out a part of it, and `now` becomes what came of that.
 * Names are done likewise: `now`, `kept`, and a list of changes, synced as a whole.
 */
#include "tests/sim/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512 };

struct bytes {
    uint8_t *data;
    size_t size, room;
};

struct pending {
    bool is_truncation;
    uint64_t at; /* of a truncation: the new size */
    size_t len;
    uint8_t *data;
};

struct sim_inode {
    struct sim_inode *next;
    unsigned opened;
    struct bytes now, kept;
    struct pending *pending;
    size_t pending_count, pending_room;
    void *attachment;
};

struct sim_entry {
    char *path;
    struct sim_inode *now, *kept; /* NULL: no file of this name */
};

/* `to` becomes inode (NULL: it goes), and `from`, if any, goes with it: both or none. */
struct sim_change {
    size_t to, from; /* entries; `from` SIZE_MAX: none */
    struct sim_inode *inode;
};

const char *sim_call_name(enum sim_call call)
{
    static const char *const names[] = {
        "open", "read", "write",    "truncate",    "sync",   "sync directory", "size",
        "lock", "shm",  "shm lock", "writer lock", "delete", "rename",         "access"};
    return names[call];
}

const char *sim_loss_name(enum sim_loss loss)
{
    static const char *const names[] = {"all", "sectors", "torn", "reordered"};
    return names[loss];
}

/* ---- bytes -------------------------------------------------------------------------- */

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static void bytes_resize(struct bytes *bytes, size_t size)
{
    if (size > bytes->room) {
        bytes->room = size + size / 2 + 4096;
        bytes->data = must(realloc(bytes->data, bytes->room));
    }
    if (size > bytes->size)
        memset(bytes->data + bytes->size, 0, size - bytes->size);
    bytes->size = size;
}

static void bytes_put(struct bytes *bytes, size_t at, const uint8_t *data, size_t len)
{
    if (len == 0)
        return;
    if (at + len > bytes->size)
        bytes_resize(bytes, at + len);
    memcpy(bytes->data + at, data, len);
}

static void bytes_copy(struct bytes *to, const struct bytes *from)
{
    to->size = 0;
    bytes_resize(to, from->size);
    if (from->size > 0)
        memcpy(to->data, from->data, from->size);
}

/* ---- inodes ------------------------------------------------------------------------- */

static struct sim_inode *inode_new(struct sim_disk *disk)
{
    struct sim_inode *inode = must(calloc(1, sizeof(*inode)));
    inode->next = disk->inodes;
    disk->inodes = inode;
    return inode;
}

static void pending_clear(struct sim_inode *inode)
{
    for (size_t i = 0; i < inode->pending_count; i++)
        free(inode->pending[i].data);
    inode->pending_count = 0;
}

static void inode_free(struct sim_inode *inode)
{
    pending_clear(inode);
    free(inode->pending);
    free(inode->now.data);
    free(inode->kept.data);
    free(inode->attachment);
    free(inode);
}

static struct pending *pending_add(struct sim_inode *inode)
{
    if (inode->pending_count == inode->pending_room) {
        inode->pending_room = inode->pending_room ? inode->pending_room * 2 : 16;
        inode->pending =
            must(realloc(inode->pending, inode->pending_room * sizeof(*inode->pending)));
    }
    return &inode->pending[inode->pending_count++];
}

static void pending_do(struct sim_inode *inode, const struct pending *pending)
{
    if (pending->is_truncation)
        bytes_resize(&inode->kept, pending->at);
    else
        bytes_put(&inode->kept, pending->at, pending->data, pending->len);
}

static bool is_named(const struct sim_disk *disk, const struct sim_inode *inode)
{
    for (size_t i = 0; i < disk->entry_count; i++)
        if (disk->entries[i].now == inode || disk->entries[i].kept == inode)
            return true;
    for (size_t i = 0; i < disk->change_count; i++)
        if (disk->changes[i].inode == inode)
            return true;
    return false;
}

static void inodes_sweep(struct sim_disk *disk)
{
    struct sim_inode **at = &disk->inodes;
    while (*at) {
        struct sim_inode *inode = *at;
        if (inode->opened > 0 || is_named(disk, inode)) {
            at = &inode->next;
            continue;
        }
        *at = inode->next;
        inode_free(inode);
    }
}

/* ---- names -------------------------------------------------------------------------- */

static size_t entry_find(const struct sim_disk *disk, const char *path)
{
    for (size_t i = 0; i < disk->entry_count; i++)
        if (strcmp(disk->entries[i].path, path) == 0)
            return i;
    return SIZE_MAX;
}

static size_t entry_get(struct sim_disk *disk, const char *path)
{
    size_t i = entry_find(disk, path);
    if (i != SIZE_MAX)
        return i;
    if (disk->entry_count == disk->entry_room) {
        disk->entry_room = disk->entry_room ? disk->entry_room * 2 : 16;
        disk->entries = must(realloc(disk->entries, disk->entry_room * sizeof(*disk->entries)));
    }
    disk->entries[disk->entry_count] = (struct sim_entry){.path = must(strdup(path))};
    return disk->entry_count++;
}

static void change_add(struct sim_disk *disk, struct sim_change change)
{
    if (disk->change_count == disk->change_room) {
        disk->change_room = disk->change_room ? disk->change_room * 2 : 16;
        disk->changes = must(realloc(disk->changes, disk->change_room * sizeof(*disk->changes)));
    }
    disk->changes[disk->change_count++] = change;
    disk->entries[change.to].now = change.inode;
    if (change.from != SIZE_MAX)
        disk->entries[change.from].now = NULL;
}

static void change_do(struct sim_disk *disk, const struct sim_change *change)
{
    disk->entries[change->to].kept = change->inode;
    if (change->from != SIZE_MAX)
        disk->entries[change->from].kept = NULL;
}

static struct sim_inode *inode_at(const struct sim_disk *disk, const char *path)
{
    size_t i = entry_find(disk, path);
    return i == SIZE_MAX ? NULL : disk->entries[i].now;
}

/* ---- calls -------------------------------------------------------------------------- */

static bool ends_with(const char *path, const char *end)
{
    size_t len = strlen(path), tail = strlen(end);
    return len >= tail && strcmp(path + len - tail, end) == 0;
}

static bool rule_meets(struct sim_disk *disk, struct sim_rule *rule, enum sim_call call,
                       const char *path)
{
    if (rule->fault == SIM_OK || rule->call != call || (rule->ends && !ends_with(path, rule->ends)))
        return false;
    if (rule->nth == 1) {
        rule->nth = rule->lasts ? 1 : 0;
        return true;
    }
    if (rule->nth > 1)
        rule->nth--;
    return rule->per_million > 0 && disk->random(disk->context) % 1000000 < rule->per_million;
}

void sim_met(struct sim_disk *disk, enum sim_call call, const char *path, enum sim_fault fault)
{
    disk->faults[call][fault]++;
    if (disk->met)
        disk->met(disk->context, call, path, fault);
}

enum sim_fault sim_enter(struct sim_disk *disk, enum sim_call call, const char *path)
{
    enum sim_fault fault = SIM_OK;
    if (disk->is_stopped)
        return SIM_GONE;
    disk->calls[call]++;
    if (disk->boundary)
        disk->boundary(disk->context, call, path);
    if (disk->is_stopped)
        return SIM_GONE;
    for (size_t i = 0; i < SIM_RULES && !disk->is_spared; i++)
        if (rule_meets(disk, &disk->rules[i], call, path) && fault == SIM_OK)
            fault = disk->rules[i].fault;
    bool is_change = call == SIM_WRITE || call == SIM_TRUNCATE || call == SIM_DELETE;
    if (disk->is_read_only && (is_change || call == SIM_RENAME))
        fault = SIM_READ_ONLY;
    if (fault != SIM_OK)
        sim_met(disk, call, path, fault);
    return fault;
}

bool sim_is_alive(const struct sim_open *file)
{
    return !file->disk->is_stopped && file->generation == file->disk->generation;
}

int sim_open(struct sim_disk *disk, const char *path, bool may_create, bool must_create,
             struct sim_open *file, bool *created)
{
    struct sim_inode *inode = path ? inode_at(disk, path) : NULL;
    if (path && strlen(path) >= sizeof(file->path))
        return -ENAMETOOLONG;
    if (inode && must_create)
        return -EEXIST;
    if (!inode && !may_create)
        return -ENOENT;
    if (!inode && disk->is_read_only) {
        sim_met(disk, SIM_OPEN, path, SIM_READ_ONLY);
        return -EROFS;
    }
    *created = !inode;
    if (!inode) {
        inode = inode_new(disk);
        if (path)
            change_add(disk, (struct sim_change){
                                 .to = entry_get(disk, path), .from = SIZE_MAX, .inode = inode});
    }
    *file = (struct sim_open){.disk = disk, .inode = inode, .generation = disk->generation};
    snprintf(file->path, sizeof(file->path), "%s", path ? path : "");
    inode->opened++;
    return 0;
}

void sim_close(struct sim_open *file)
{
    file->inode->opened--;
    inodes_sweep(file->disk);
    file->inode = NULL;
}

size_t sim_read(const struct sim_open *file, uint64_t at, void *out, size_t len)
{
    const struct bytes *now = &file->inode->now;
    if (at >= now->size)
        return 0;
    size_t got = len < now->size - at ? len : now->size - at;
    memcpy(out, now->data + at, got);
    return got;
}

static uint64_t disk_used(const struct sim_disk *disk)
{
    uint64_t used = 0;
    for (const struct sim_inode *inode = disk->inodes; inode; inode = inode->next)
        used += inode->now.size;
    return used;
}

/* Bytes of [at, at + len) that find room: those within the file always do. */
static size_t room_for(const struct sim_open *file, uint64_t at, size_t len)
{
    const struct sim_disk *disk = file->disk;
    uint64_t size = file->inode->now.size;
    if (disk->capacity_bytes == 0 || at + len <= size)
        return len;
    uint64_t used = disk_used(disk);
    uint64_t end = size + (used < disk->capacity_bytes ? disk->capacity_bytes - used : 0);
    if (end >= at + len)
        return len;
    return end > at ? (size_t)(end - at) : 0;
}

size_t sim_write(struct sim_open *file, uint64_t at, const void *bytes, size_t len)
{
    struct sim_inode *inode = file->inode;
    size_t done = room_for(file, at, len);
    if (done == 0)
        return 0;
    bytes_put(&inode->now, at, bytes, done);
    struct pending *pending = pending_add(inode);
    *pending = (struct pending){.at = at, .len = done, .data = must(malloc(done))};
    memcpy(pending->data, bytes, done);
    return done;
}

void sim_truncate(struct sim_open *file, uint64_t size)
{
    struct pending *pending = pending_add(file->inode);
    *pending = (struct pending){.is_truncation = true, .at = size};
    bytes_resize(&file->inode->now, size);
}

uint64_t sim_size(const struct sim_open *file)
{
    return file->inode->now.size;
}

void sim_sync(struct sim_open *file)
{
    struct sim_inode *inode = file->inode;
    for (size_t i = 0; i < inode->pending_count; i++)
        pending_do(inode, &inode->pending[i]);
    pending_clear(inode);
}

/* The pages count as clean now; whether they are still in the cache is chance. */
void sim_sync_failed(struct sim_open *file)
{
    struct sim_inode *inode = file->inode;
    pending_clear(inode);
    if (file->disk->random(file->disk->context) % 2 == 0)
        bytes_copy(&inode->now, &inode->kept);
}

void sim_sync_directory(struct sim_disk *disk)
{
    for (size_t i = 0; i < disk->change_count; i++)
        change_do(disk, &disk->changes[i]);
    disk->change_count = 0;
    inodes_sweep(disk);
}

int sim_delete(struct sim_disk *disk, const char *path)
{
    size_t entry = entry_find(disk, path);
    if (entry == SIZE_MAX || !disk->entries[entry].now)
        return -ENOENT;
    change_add(disk, (struct sim_change){.to = entry, .from = SIZE_MAX});
    return 0;
}

int sim_rename(struct sim_disk *disk, const char *from, const char *to)
{
    struct sim_inode *inode = inode_at(disk, from);
    if (!inode)
        return -ENOENT;
    size_t target = entry_get(disk, to);
    change_add(disk,
               (struct sim_change){.to = target, .from = entry_find(disk, from), .inode = inode});
    return 0;
}

bool sim_exists(const struct sim_disk *disk, const char *path, uint64_t *size)
{
    const struct sim_inode *inode = inode_at(disk, path);
    if (inode && size)
        *size = inode->now.size;
    return inode != NULL;
}

void **sim_attachment(struct sim_open *file)
{
    return &file->inode->attachment;
}

/* ---- power loss --------------------------------------------------------------------- */

static uint64_t chance(struct sim_disk *disk, uint64_t below)
{
    return disk->random(disk->context) % below;
}

/* Keeps each sector that the write touches, or not. */
static void sectors_do(struct sim_disk *disk, struct sim_inode *inode,
                       const struct pending *pending)
{
    uint64_t end = pending->at + pending->len;
    for (uint64_t at = pending->at; at < end;) {
        uint64_t next = (at / SECTOR + 1) * SECTOR;
        size_t len = (size_t)((next < end ? next : end) - at);
        if (chance(disk, 2) == 0)
            bytes_put(&inode->kept, at, pending->data + (at - pending->at), len);
        at += len;
    }
}

/* Some sectors whole, then one of which the end is old, or what the head left there. */
static void torn_do(struct sim_disk *disk, struct sim_inode *inode, const struct pending *pending)
{
    size_t len = (size_t)chance(disk, pending->len + 1);
    bytes_put(&inode->kept, pending->at, pending->data, len);
    size_t rest = SECTOR - (pending->at + len) % SECTOR;
    if (rest > pending->len - len)
        rest = pending->len - len;
    if (rest > 0)
        disk->torn_sectors++;
    if (chance(disk, 2) == 0)
        return;
    for (size_t i = 0; i < rest; i++) {
        uint8_t junk = (uint8_t)disk->random(disk->context);
        bytes_put(&inode->kept, pending->at + len + i, &junk, 1);
    }
}

static void pending_meet(struct sim_disk *disk, struct sim_inode *inode, enum sim_loss loss,
                         size_t nth, size_t cut)
{
    const struct pending *pending = &inode->pending[nth];
    bool is_kept = false;
    if (loss == SIM_LOSS_TORN && nth == cut && !pending->is_truncation)
        torn_do(disk, inode, pending);
    else if (loss == SIM_LOSS_SECTORS && !pending->is_truncation)
        sectors_do(disk, inode, pending);
    else if (loss == SIM_LOSS_TORN)
        is_kept = nth < cut;
    else if (loss != SIM_LOSS_ALL)
        is_kept = chance(disk, 2) == 0;
    if (is_kept)
        pending_do(inode, pending);
    *(is_kept ? &disk->kept_writes : &disk->lost_writes) += 1;
}

static void inode_lose(struct sim_disk *disk, struct sim_inode *inode, enum sim_loss loss)
{
    size_t cut = (size_t)chance(disk, inode->pending_count + 1);
    for (size_t i = 0; i < inode->pending_count; i++)
        pending_meet(disk, inode, loss, i, cut);
    pending_clear(inode);
    bytes_copy(&inode->now, &inode->kept);
}

static void names_lose(struct sim_disk *disk, enum sim_loss loss)
{
    size_t cut = loss == SIM_LOSS_ALL ? 0 : (size_t)chance(disk, disk->change_count + 1);
    for (size_t i = 0; i < disk->change_count; i++) {
        bool is_kept = loss == SIM_LOSS_REORDERED ? chance(disk, 2) == 0 : i < cut;
        if (is_kept)
            change_do(disk, &disk->changes[i]);
        else
            disk->lost_changes++;
    }
    disk->change_count = 0;
    for (size_t i = 0; i < disk->entry_count; i++)
        disk->entries[i].now = disk->entries[i].kept;
}

void sim_disk_lose_power(struct sim_disk *disk, enum sim_loss loss)
{
    sim_disk_stop(disk);
    disk->losses[loss]++;
    for (struct sim_inode *inode = disk->inodes; inode; inode = inode->next)
        inode_lose(disk, inode, loss);
    names_lose(disk, loss);
    inodes_sweep(disk);
}

/* ---- the disk ----------------------------------------------------------------------- */

void sim_disk_init(struct sim_disk *disk, uint64_t (*random)(void *context), void *context)
{
    *disk = (struct sim_disk){.random = random, .context = context};
}

void sim_disk_stop(struct sim_disk *disk)
{
    if (disk->is_stopped)
        return;
    disk->is_stopped = true;
    disk->generation++;
    for (struct sim_inode *inode = disk->inodes; inode; inode = inode->next) {
        free(inode->attachment); /* locks die with who held them */
        inode->attachment = NULL;
    }
}

void sim_disk_start(struct sim_disk *disk)
{
    disk->is_stopped = false;
}

void sim_disk_free(struct sim_disk *disk)
{
    while (disk->inodes) {
        struct sim_inode *next = disk->inodes->next;
        if (disk->inodes->opened > 0)
            abort(); /* somebody would use it after it is gone */
        inode_free(disk->inodes);
        disk->inodes = next;
    }
    for (size_t i = 0; i < disk->entry_count; i++)
        free(disk->entries[i].path);
    free(disk->entries);
    free(disk->changes);
    disk->entries = NULL;
    disk->changes = NULL;
}

bool sim_disk_flip(struct sim_disk *disk, const char *path, uint64_t bit)
{
    struct sim_inode *inode = inode_at(disk, path);
    uint64_t at = bit / 8;
    if (!inode || at >= inode->now.size)
        return false;
    inode->now.data[at] ^= (uint8_t)(1u << bit % 8);
    if (at < inode->kept.size)
        inode->kept.data[at] ^= (uint8_t)(1u << bit % 8);
    disk->flips++;
    return true;
}

bool sim_disk_flip_any(struct sim_disk *disk, const char *path)
{
    const struct sim_inode *inode = inode_at(disk, path);
    if (!inode || inode->now.size == 0)
        return false;
    return sim_disk_flip(disk, path, chance(disk, (uint64_t)inode->now.size * 8));
}

const uint8_t *sim_disk_bytes(const struct sim_disk *disk, const char *path, size_t *size)
{
    const struct sim_inode *inode = inode_at(disk, path);
    if (!inode)
        return NULL;
    *size = inode->now.size;
    return inode->now.size > 0 ? inode->now.data : (const uint8_t *)"";
}

size_t sim_disk_files(const struct sim_disk *disk)
{
    size_t n = 0;
    for (size_t i = 0; i < disk->entry_count; i++)
        n += disk->entries[i].now != NULL;
    return n;
}

const char *sim_disk_file(const struct sim_disk *disk, size_t nth)
{
    for (size_t i = 0; i < disk->entry_count; i++)
        if (disk->entries[i].now && nth-- == 0)
            return disk->entries[i].path;
    return NULL;
}

size_t sim_disk_unsynced(const struct sim_disk *disk)
{
    size_t n = disk->change_count;
    for (const struct sim_inode *inode = disk->inodes; inode; inode = inode->next)
        n += inode->pending_count;
    return n;
}

bool sim_disk_is_synced(const struct sim_disk *disk, const char *path)
{
    const struct sim_inode *inode = inode_at(disk, path);
    return !inode || inode->pending_count == 0;
}
