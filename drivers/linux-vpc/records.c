/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A record is written to a new file, synced and renamed, so that a reader sees
 * the old one or the new one. Locks are flock() on the directory itself: nothing
 * is left behind, and a lock dies with its holder.
 */
#include "drivers/linux-vpc/records.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "drivers/lib/sync.h"
#include "drivers/linux-vpc/draft.h"
#include "drivers/linux-vpc/kept.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/durable.h"
#include "model/error.h"
#include "model/invariant.h"
#include "model/json.h"
#include "model/kind.h"
#include "model/text.h"

enum { RECORD_MAX_BYTES = 16 << 20 };

static const char *const kind_texts[RECORD_KINDS] = {
    [RECORD_VPC] = "VPC",
    [RECORD_SUBNET] = "Subnet",
    [RECORD_NIC] = "NIC",
    [RECORD_FIREWALL] = "Firewall",
    [RECORD_FLOATINGIP] = "FloatingIP",
    [RECORD_PORTFORWARD] = "PortForward",
};

const char *record_kind_text(enum record_kind kind)
{
    return kind_texts[kind];
}

int record_kind_read(const char *text, enum record_kind *kind)
{
    for (int i = 0; i < RECORD_KINDS; i++) {
        if (strcmp(kind_texts[i], text) == 0) {
            *kind = (enum record_kind)i;
            return 0;
        }
    }
    return -1;
}

static void vpc_path(char path[PATH_MAX], const char *own_dir, const char *vpc, const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s%s%s", own_dir, vpc, name ? "/" : "", name ? name : "");
}

static void record_name(char name[NAME_MAX], enum record_kind kind, const char *uid)
{
    snprintf(name, NAME_MAX, "%s-%s.json", record_kind_text(kind), uid);
}

/* ---- files -------------------------------------------------------------------------- */

static int file_read(const char *path, struct text *out)
{
    char buffer[8192];
    size_t got;
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0 && out->len < RECORD_MAX_BYTES)
        text_add_n(out, buffer, got);
    bool has_failed = ferror(file);
    int reason = errno;
    fclose(file);
    errno = reason;
    return has_failed ? -1 : 0;
}

int records_read_path(struct arena *arena, const char *path, struct value **out, struct error *err)
{
    struct text text = TEXT_INIT;
    struct error ignored = ERROR_INIT;
    int result = 0;
    *out = NULL;
    if (file_read(path, &text) == 0) {
        if (json_read(arena, text.data, text.len, out, &ignored) < 0)
            *out = NULL;
    } else if (errno != ENOENT && errno != EISDIR) {
        result = error_sys(err, "cannot read %s", path);
    }
    text_free(&text);
    return result;
}

int records_read_file(struct arena *arena, const char *own_dir, const char *vpc, const char *name,
                      const struct value **out, struct error *err)
{
    char path[PATH_MAX];
    struct stat st;
    struct value *value = NULL;
    vpc_path(path, own_dir, vpc, name);
    *out = stat(path, &st) == 0 ? kept_find(vpc, name, &st) : NULL;
    if (*out)
        return 0;
    int result = records_read_path(arena, path, &value, err);
    *out = value;
    return result;
}

/* Of the VPC that is gone, with all that was in it, too. Whoever made the directory may have died
 * before its name was durable. */
int records_sync(const char *own_dir, const char *vpc, struct error *err)
{
    char path[PATH_MAX];
    vpc_path(path, own_dir, vpc, NULL);
    bool is_gone = access(path, F_OK) < 0 && errno == ENOENT;
    return !is_gone && directory_sync(path, err) < 0 ? err->code : directory_sync(own_dir, err);
}

static int vpc_make(const char *own_dir, const char *vpc, struct error *err)
{
    char path[PATH_MAX];
    vpc_path(path, own_dir, vpc, NULL);
    return directory_make(path, 0700, err);
}

int records_write_file(const char *own_dir, const char *vpc, const char *name,
                       const struct value *value, struct error *err)
{
    char path[PATH_MAX];
    struct text text = TEXT_INIT;
    if (vpc_make(own_dir, vpc, err) < 0)
        return err->code;
    vpc_path(path, own_dir, vpc, NULL);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_sys(err, "cannot open %s", path);
    json_write(&text, value);
    text_add_char(&text, '\n');
    int result = file_replace(dir, name, text.data, text.len, err);
    text_free(&text);
    close(dir);
    return result < 0 ? error_wrap(err, "%s", path) : 0;
}

int records_note_file(const char *own_dir, const char *vpc, const char *name,
                      const struct value *value, struct error *err)
{
    char path[PATH_MAX];
    if (vpc_make(own_dir, vpc, err) < 0)
        return err->code;
    vpc_path(path, own_dir, vpc, name);
    int fd = draft_write(path, value, err);
    return fd < 0 ? fd : draft_publish(path, fd, 0, err);
}

void records_note_drop(const char *own_dir, const char *vpc, const char *name)
{
    char path[PATH_MAX];
    vpc_path(path, own_dir, vpc, name);
    unlink(path);
}

/* ---- records ------------------------------------------------------------------------ */

static bool record_from(struct arena *arena, const struct value *value, struct record *record)
{
    const char *kind = value_get_text(value, "kind", "");
    if (record_kind_read(kind, &record->kind) < 0)
        return false;
    record->uid = value_get_text(value, "uid", NULL);
    record->project = value_get_text(value, "project", NULL);
    record->name = value_get_text(value, "name", NULL);
    record->epoch = (uint64_t)value_get_int(value, "epoch", 0);
    record->is_released = value_get_bool(value, "released", false);
    record->spec = value_get(value, "spec");
    record->chosen = value_get(value, "chosen");
    if (!value_is_map(record->chosen))
        record->chosen = value_map(arena);
    return record->uid && record->name && value_is_map(record->spec);
}

/* ---- whether it is of its kind ------------------------------------------------------ */

static bool value_fits(const struct field *field, const struct value *value);

static bool members_fit(const struct field *field, const struct value *map)
{
    for (size_t i = 0; i < map->pair_count; i++) {
        const struct field *child = field_child(field, map->pairs[i].key);
        if (child && !value_fits(child, map->pairs[i].value))
            return false;
    }
    return true;
}

static bool value_fits(const struct field *field, const struct value *value)
{
    switch (field->type) {
    case FIELD_BOOL:
        return value->type == VALUE_BOOL;
    case FIELD_INT:
        return value->type == VALUE_INT;
    case FIELD_STRING:
        return value_is_text(value);
    case FIELD_LIST:
        for (size_t i = 0; value_is_list(value) && field->item && i < value->count; i++)
            if (!value_fits(field->item, value->items[i]))
                return false;
        return value_is_list(value);
    case FIELD_MAP:
        return value_is_map(value) && members_fit(field, value);
    }
    return false;
}

/* A field that no kind has is another version's; one of another kind tells whose spec it is. */
static bool is_of_another(enum record_kind kind, const char *key)
{
    for (int i = 0; i < RECORD_KINDS; i++)
        if (i != (int)kind && field_child(kind_find(kind_texts[i])->spec, key))
            return true;
    return false;
}

static int spec_check(const struct record *record, struct error *err)
{
    const char *kind = record_kind_text(record->kind);
    const struct field *spec = kind_find(kind)->spec;
    for (size_t i = 0; i < spec->field_count; i++)
        if (spec->fields[i]->is_required && !value_get(record->spec, spec->fields[i]->name))
            return error_set(err, ERR_CORRUPT, "it is no %s: it has no %s", kind,
                             spec->fields[i]->name);
    for (size_t i = 0; i < record->spec->pair_count; i++) {
        const char *key = record->spec->pairs[i].key;
        const struct field *field = field_child(spec, key);
        if (field && !value_fits(field, record->spec->pairs[i].value))
            return error_set(err, ERR_CORRUPT, "its %s is none that a %s has", key, kind);
        if (!field && is_of_another(record->kind, key))
            return error_set(err, ERR_CORRUPT, "it is no %s: it has the %s of another kind", kind,
                             key);
    }
    return 0;
}

static struct value *record_value(struct arena *arena, const struct record *record)
{
    struct value *value = value_map(arena);
    value_set_text(arena, value, "kind", record_kind_text(record->kind));
    value_set_text(arena, value, "uid", record->uid);
    value_set_text(arena, value, "project", record->project);
    value_set_text(arena, value, "name", record->name);
    value_set_int(arena, value, "epoch", (int64_t)record->epoch);
    value_set_bool(arena, value, "released", record->is_released);
    value_set(arena, value, "spec", value_copy(arena, record->spec));
    value_set(arena, value, "chosen",
              record->chosen ? value_copy(arena, record->chosen) : value_map(arena));
    return value;
}

int record_draft(struct record_drafts *drafts, const char *own_dir, const char *vpc,
                 const struct record *record, struct error *outcome)
{
    char name[NAME_MAX];
    char path[PATH_MAX];
    if (drafts->count == RECORD_DRAFTS)
        records_publish(drafts);
    if (vpc_make(own_dir, vpc, outcome) < 0)
        return outcome->code;
    struct arena *arena = arena_new();
    record_name(name, record->kind, record->uid);
    vpc_path(path, own_dir, vpc, name);
    int fd = draft_write(path, record_value(arena, record), outcome);
    arena_free(arena);
    if (fd < 0)
        return fd;
    drafts->items[drafts->count++] = (struct record_draft){fd, memory_need(strdup(path)), outcome};
    return 0;
}

void records_publish(struct record_drafts *drafts)
{
    struct to_sync files[RECORD_DRAFTS];
    for (size_t i = 0; i < drafts->count; i++)
        files[i] = (struct to_sync){.fd = drafts->items[i].fd};
    files_sync(files, drafts->count);
    for (size_t i = 0; i < drafts->count; i++) {
        const struct record_draft *draft = &drafts->items[i];
        draft_publish(draft->path, draft->fd, files[i].failed, draft->outcome);
        free(draft->path);
    }
    drafts->count = 0;
}

int record_write(const char *own_dir, const char *vpc, const struct record *record,
                 struct error *err)
{
    struct record_drafts drafts = {0};
    if (record_draft(&drafts, own_dir, vpc, record, err) == 0)
        records_publish(&drafts);
    return err->code;
}

int record_remove(const char *own_dir, const char *vpc, const struct record *record,
                  struct error *err)
{
    char name[NAME_MAX];
    char path[PATH_MAX];
    record_name(name, record->kind, record->uid);
    vpc_path(path, own_dir, vpc, name);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_sys(err, "cannot remove %s", path);
    return 0;
}

/* "<Kind>-<uid>.json", and nothing else that lies in the directory. */
static bool is_record_name(const char *name)
{
    for (int i = 0; i < RECORD_KINDS; i++) {
        size_t len = strlen(kind_texts[i]);
        if (strncmp(name, kind_texts[i], len) == 0 && name[len] == '-' &&
            strcmp(name + len + 1 + strnlen(name + len + 1, UID_TEXT - 1), ".json") == 0)
            return true;
    }
    return false;
}

static int record_order(const void *a, const void *b)
{
    const struct record *left = a;
    const struct record *right = b;
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    int by_name = strcmp(left->name, right->name);
    return by_name ? by_name : strcmp(left->uid, right->uid);
}

/* Its uid becomes part of paths and of native names, so it is what the file's name says. */
static bool is_name_of(const char *name, const struct record *record)
{
    char wanted[NAME_MAX];
    record_name(wanted, record->kind, record->uid);
    return strcmp(name, wanted) == 0;
}

static bool is_as_written(struct arena *arena, const char *name, const struct value *value,
                          struct record *record)
{
    return value && is_record_name(name) && record_from(arena, value, record) &&
           is_name_of(name, record);
}

bool record_parse(struct arena *arena, const char *name, const struct value *value,
                  struct record *record)
{
    struct error ignored = ERROR_INIT;
    return is_as_written(arena, name, value, record) && spec_check(record, &ignored) == 0;
}

/* As it was read before (kept.h), or from the disk. */
static int record_read(struct arena *arena, int dir, const char *path, const char *vpc,
                       const char *name, struct record *record, struct error *err)
{
    char file[PATH_MAX + NAME_MAX + 2];
    struct stat st;
    struct value *value;
    const struct record *kept =
        fstatat(dir, name, &st, 0) == 0 ? kept_record(vpc, name, &st) : NULL;
    if (kept) {
        *record = *kept;
        return 0;
    }
    snprintf(file, sizeof file, "%s/%s", path, name);
    if (records_read_path(arena, file, &value, err) < 0)
        return err->code;
    if (is_as_written(arena, name, value, record) && spec_check(record, err) == 0)
        return 0;
    if (err->code == ERR_NONE)
        error_set(err, ERR_CORRUPT, "%s does not read as it was written", file);
    else
        error_wrap(err, "%s", file);
    return error_hint(err, "Remove the file; the next apply writes it anew.");
}

static void record_add(struct arena *arena, struct records *records, const struct record *record)
{
    if ((records->count & (records->count - 1)) == 0) { /* room doubles at each power of two */
        struct record *more =
            arena_array(arena, records->count ? 2 * records->count : 1, sizeof *more);
        if (records->count)
            memcpy(more, records->items, records->count * sizeof *more);
        records->items = more;
    }
    records->items[records->count++] = *record;
}

static int record_load(struct arena *arena, DIR *dir, const char *path, const char *name,
                       struct records *out, struct error *err)
{
    struct record record;
    if (record_read(arena, dirfd(dir), path, out->vpc, name, &record, err) < 0)
        return err->code;
    record_add(arena, out, &record);
    return 0;
}

int records_load(struct arena *arena, const char *own_dir, const char *vpc, struct records *out,
                 struct error *err)
{
    char path[PATH_MAX];
    struct records records = {.vpc = arena_text(arena, vpc)};
    const struct dirent *entry;
    int result = 0;
    vpc_path(path, own_dir, vpc, NULL);
    DIR *dir = opendir(path);
    if (!dir && errno != ENOENT)
        return error_sys(err, "cannot read %s", path);
    while (errno = 0, dir && result == 0 && (entry = readdir(dir)))
        if (is_record_name(entry->d_name))
            result = record_load(arena, dir, path, entry->d_name, &records, err);
    if (result == 0 && errno) /* some would be told as absent, and their rules dropped */
        result = error_sys(err, "cannot read %s", path);
    if (dir)
        closedir(dir);
    if (result < 0)
        return result;
    if (records.count)
        qsort(records.items, records.count, sizeof *records.items, record_order);
    records.by_uid = names_make(arena, records.count);
    for (size_t i = 0; i < records.count; i++)
        names_add(&records.by_uid, records.items[i].uid, &records.items[i]);
    *out = records;
    return 0;
}

const struct record *records_find(const struct records *records, const char *uid)
{
    return names_find(&records->by_uid, uid);
}

/* ---- directories -------------------------------------------------------------------- */

static int name_order(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_vpc(const struct dirent *entry)
{
    return digest_is_uid(entry->d_name);
}

int records_vpcs(struct arena *arena, const char *own_dir, struct value **out, struct error *err)
{
    struct dirent **entries;
    int count = scandir(own_dir, &entries, is_vpc, name_order);
    if (count < 0)
        return error_sys(err, "cannot read %s", own_dir);
    *out = value_list(arena);
    for (int i = 0; i < count; i++) {
        value_append(arena, *out, value_text(arena, entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
    return 0;
}

const char *records_vpc_of(struct arena *arena, const char *own_dir, enum record_kind kind,
                           const char *uid, struct error *err)
{
    struct value *vpcs;
    char name[NAME_MAX];
    char path[PATH_MAX];
    if (records_vpcs(arena, own_dir, &vpcs, err) < 0)
        return NULL;
    record_name(name, kind, uid);
    for (size_t i = 0; i < vpcs->count; i++) {
        vpc_path(path, own_dir, vpcs->items[i]->text, name);
        if (access(path, F_OK) == 0)
            return vpcs->items[i]->text;
    }
    return NULL;
}

/* A directory that was removed while we waited for it guards nothing. */
static bool is_still_there(int fd, const char *path)
{
    struct stat held;
    struct stat named;
    return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino;
}

int records_lock(const char *own_dir, const char *vpc, struct error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s%s%s", own_dir, vpc ? "/" : "", vpc ? vpc : "");
    for (;;) {
        if (directory_make(path, 0700, err) < 0)
            return err->code;
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
            continue;
        if (fd < 0)
            return error_sys(err, "cannot open %s", path);
        bool is_locked = flock(fd, LOCK_EX) == 0;
        if (is_locked && is_still_there(fd, path))
            return fd;
        if (!is_locked && errno != EINTR)
            error_sys(err, "cannot lock %s", path);
        close(fd);
        if (err->code != ERR_NONE)
            return err->code;
    }
}

int records_hold(const char *own_dir, const char *vpc)
{
    char path[PATH_MAX];
    vpc_path(path, own_dir, vpc, NULL);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_SH) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool records_are_locked(const char *own_dir, const char *vpc)
{
    char path[PATH_MAX];
    vpc_path(path, own_dir, vpc, NULL);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool is_locked = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    close(fd);
    return is_locked;
}

int records_forget(const char *own_dir, const char *vpc, struct error *err)
{
    char path[PATH_MAX];
    char file[PATH_MAX + NAME_MAX + 2];
    const struct dirent *entry;
    vpc_path(path, own_dir, vpc, NULL);
    DIR *dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (entry->d_type != DT_DIR)
            unlink(file);
    }
    if (dir)
        closedir(dir);
    if (rmdir(path) < 0 && errno != ENOENT)
        return error_sys(err, "cannot remove %s", path);
    return 0;
}

void records_forget_empty(const char *own_dir, const char *vpc)
{
    char path[PATH_MAX];
    vpc_path(path, own_dir, vpc, NULL);
    rmdir(path);
}
