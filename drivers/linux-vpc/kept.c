/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Time stamps move by ticks: what was changed in the tick in which it was read may look as it did
 * before. So a file, and the list of a directory, is taken for read only if it was older than that
 * by then; Git's index has the same rule.
 */
#include "drivers/linux-vpc/kept.h"
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include "drivers/linux-vpc/records.h"
#include "model/arena.h"
#include "model/error.h"
#include "model/hash.h"

enum {
    KEPT_MAX_BYTES = 64 << 20, /* of all; what goes beyond is read by each call */
    FILE_BYTES = 1024,         /* that a record takes, more or less */
    TICK_NS = 20000000,        /* no kernel's are longer */
    SECOND_NS = 1000000000,
};

struct kept {
    char *name;
    struct stat st;
    struct arena *arena;
    const struct value *value; /* in it */
    struct record record;      /* if it is one */
    bool is_record, is_there;
    UT_hash_handle hh;
};

struct kept_vpc {
    char *uid;
    struct stat st; /* of its directory */
    bool is_settled;
    bool is_there;
    struct kept *files;
    UT_hash_handle hh;
};

static struct kept_vpc *kept_vpcs;
static size_t kept_bytes;

static bool is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           is_same_time(a->st_mtim, b->st_mtim) && is_same_time(a->st_ctim, b->st_ctim);
}

static struct kept_vpc *vpc_find(const char *uid)
{
    struct kept_vpc *vpc;
    HASH_FIND_STR(kept_vpcs, uid, vpc);
    return vpc;
}

static struct kept *file_find(const struct kept_vpc *vpc, const char *name)
{
    struct kept *file;
    HASH_FIND_STR(vpc->files, name, file);
    return file;
}

static const struct kept *file_kept(const char *vpc, const char *name, const struct stat *st)
{
    const struct kept_vpc *of = vpc_find(vpc);
    const struct kept *file = of ? file_find(of, name) : NULL;
    return file && is_same(&file->st, st) ? file : NULL;
}

const struct value *kept_find(const char *vpc, const char *name, const struct stat *st)
{
    const struct kept *file = file_kept(vpc, name, st);
    return file ? file->value : NULL;
}

const struct record *kept_record(const char *vpc, const char *name, const struct stat *st)
{
    const struct kept *file = file_kept(vpc, name, st);
    return file && file->is_record ? &file->record : NULL;
}

/* ---- in the main process ------------------------------------------------------------ */

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * SECOND_NS + time.tv_nsec;
}

/* Whatever changes it from now on gives it other times. */
static bool is_settled(const struct stat *st)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t limit = nanoseconds(now) - TICK_NS;
    return nanoseconds(st->st_ctim) < limit && nanoseconds(st->st_mtim) < limit;
}

static void file_drop(struct kept_vpc *vpc, struct kept *file)
{
    HASH_DEL(vpc->files, file);
    kept_bytes -= arena_used(file->arena);
    arena_free(file->arena);
    free(file->name);
    free(file);
}

static void file_add(struct kept_vpc *vpc, const char *name, const struct stat *st,
                     struct arena *arena, const struct value *value)
{
    struct kept *file = memory_need(calloc(1, sizeof *file));
    *file = (struct kept){.name = memory_need(strdup(name)),
                          .st = *st,
                          .arena = arena,
                          .value = value,
                          .is_there = true};
    file->is_record = record_parse(arena, name, value, &file->record);
    kept_bytes += arena_used(arena);
    HASH_ADD_KEYPTR(hh, vpc->files, file->name, strlen(file->name), file);
}

static void file_refresh(struct kept_vpc *vpc, const char *path, const char *name)
{
    struct stat st;
    struct error ignored = ERROR_INIT;
    struct kept *file = file_find(vpc, name);
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    if (file && is_same(&file->st, &st)) {
        file->is_there = true;
        return;
    }
    if (file)
        file_drop(vpc, file);
    if (!is_settled(&st) || kept_bytes > KEPT_MAX_BYTES)
        return;
    struct arena *arena = arena_new_sized(FILE_BYTES);
    struct value *value;
    if (records_read_path(arena, path, &value, &ignored) == 0 && value)
        file_add(vpc, name, &st, arena, value);
    else
        arena_free(arena);
}

static bool is_json(const char *name)
{
    const char *end = strrchr(name, '.');
    return end && strcmp(end, ".json") == 0;
}

static void files_refresh(struct kept_vpc *vpc, const char *path)
{
    char at[PATH_MAX + NAME_MAX + 2];
    struct kept *file, *next;
    DIR *dir = opendir(path);
    for (file = vpc->files; file; file = file->hh.next)
        file->is_there = false;
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        snprintf(at, sizeof at, "%s/%s", path, entry->d_name);
        if (is_json(entry->d_name))
            file_refresh(vpc, at, entry->d_name);
    }
    if (dir)
        closedir(dir);
    HASH_ITER(hh, vpc->files, file, next)
        if (!file->is_there)
            file_drop(vpc, file);
}

/* A file that was not old enough is looked for again: then the directory is not, either. */
static void vpc_refresh(const char *own_dir, const char *uid)
{
    char path[PATH_MAX];
    struct stat st;
    struct kept_vpc *vpc = vpc_find(uid);
    if (!vpc) {
        vpc = memory_need(calloc(1, sizeof *vpc));
        vpc->uid = memory_need(strdup(uid));
        HASH_ADD_KEYPTR(hh, kept_vpcs, vpc->uid, strlen(vpc->uid), vpc);
    }
    vpc->is_there = true;
    snprintf(path, sizeof path, "%s/%s", own_dir, uid);
    if (stat(path, &st) < 0 || (vpc->is_settled && is_same(&vpc->st, &st)))
        return;
    vpc->st = st;
    vpc->is_settled = is_settled(&st);
    files_refresh(vpc, path);
}

static void vpc_drop(struct kept_vpc *vpc)
{
    struct kept *file, *next;
    HASH_ITER(hh, vpc->files, file, next)
        file_drop(vpc, file);
    HASH_DEL(kept_vpcs, vpc);
    free(vpc->uid);
    free(vpc);
}

void kept_refresh(const char *own_dir)
{
    struct value *uids;
    struct error ignored = ERROR_INIT;
    struct arena *arena = arena_new();
    struct kept_vpc *vpc, *next;
    for (vpc = kept_vpcs; vpc; vpc = vpc->hh.next)
        vpc->is_there = false;
    if (records_vpcs(arena, own_dir, &uids, &ignored) == 0)
        for (size_t i = 0; i < uids->count; i++)
            vpc_refresh(own_dir, uids->items[i]->text);
    HASH_ITER(hh, kept_vpcs, vpc, next)
        if (!vpc->is_there)
            vpc_drop(vpc);
    arena_free(arena);
}
