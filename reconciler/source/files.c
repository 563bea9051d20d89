/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Manifests from files, for `spinel check`: the same rules as for a commit, so that
 * what is valid here is valid when it is pushed. In a folder, hidden names and
 * spinel.yaml are skipped and a symbolic link is no manifest; what the person names
 * on the command line is read whatever it is (a link, a pipe, another suffix).
 */
#include "reconciler/source/repository.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model/text.h"
#include "model/yaml.h"

enum { FOLDERS_DEEP_MAX = 64 };

struct read_file {
    const char *path;
    const char *data;
    size_t len;
    dev_t device;
    ino_t inode;
};

struct reader {
    struct arena *arena;
    struct report *report;
    struct read_file *files;
    size_t count;
    size_t room;
};

static void problem_add(struct reader *reader, const char *path, const char *code,
                        const char *message)
{
    report_add(reader->report, (struct position){.file = path, .line = 1, .column = 1}, code, "%s",
               message);
}

static void unreadable_add(struct reader *reader, const char *path, int error)
{
    report_add(reader->report, (struct position){.file = path, .line = 1, .column = 1},
               "unreadable", "cannot be read: %s", strerror(error));
}

/* ---- one file ----------------------------------------------------------------------- */

/* A regular file that two of the paths lead to is read once. */
static bool was_read(const struct reader *reader, const struct stat *st)
{
    for (size_t i = 0; S_ISREG(st->st_mode) && i < reader->count; i++)
        if (reader->files[i].inode == st->st_ino && reader->files[i].device == st->st_dev)
            return true;
    return false;
}

static void file_keep(struct reader *reader, const char *path, const struct text *bytes,
                      const struct stat *st)
{
    reader->files = arena_grow(reader->arena, reader->files, reader->count, &reader->room,
                               sizeof(*reader->files));
    reader->files[reader->count++] = (struct read_file){
        .path = path,
        .data = arena_text_n(reader->arena, bytes->data, bytes->len),
        .len = bytes->len,
        .device = st->st_dev,
        .inode = S_ISREG(st->st_mode) ? st->st_ino : 0,
    };
}

static void descriptor_read(struct reader *reader, int fd, const char *path)
{
    struct text bytes = TEXT_INIT;
    struct stat st;
    char chunk[65536];
    ssize_t got = 0;
    if (fstat(fd, &st) != 0) {
        unreadable_add(reader, path, errno);
        return;
    }
    if (was_read(reader, &st))
        return;
    while (bytes.len <= BLOB_MAX_BYTES && (got = read(fd, chunk, sizeof(chunk))) != 0) {
        if (got > 0)
            text_add_n(&bytes, chunk, (size_t)got);
        else if (errno != EINTR)
            break;
    }
    if (bytes.len > BLOB_MAX_BYTES)
        problem_add(reader, path, "too-big", "more than 16 MiB are too many for a manifest");
    else if (got < 0)
        unreadable_add(reader, path, errno);
    else
        file_keep(reader, path, &bytes, &st);
    text_free(&bytes);
}

static void file_read(struct reader *reader, const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0) {
        unreadable_add(reader, path, errno);
        return;
    }
    descriptor_read(reader, fd, path);
    close(fd);
}

/* ---- a folder ----------------------------------------------------------------------- */

static void folder_read(struct reader *reader, const char *path, unsigned depth);

static void entry_read(struct reader *reader, const char *folder, const char *name, unsigned depth)
{
    size_t len = strlen(folder);
    const char *slash = len > 0 && folder[len - 1] == '/' ? "" : "/";
    const char *path = arena_printf(reader->arena, "%s%s%s", folder, slash, name);
    struct stat st;
    if (lstat(path, &st) != 0) {
        unreadable_add(reader, path, errno);
    } else if (S_ISDIR(st.st_mode)) {
        folder_read(reader, path, depth + 1);
    } else if (!name_is_manifest(name)) {
        return;
    } else if (S_ISREG(st.st_mode)) {
        file_read(reader, path, O_NOFOLLOW | O_NONBLOCK);
    } else {
        problem_add(reader, path, "not-a-file",
                    S_ISLNK(st.st_mode)
                        ? "a symbolic link is not followed; put the manifest itself here"
                        : "this is not a regular file");
    }
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int name_compare(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void folder_read(struct reader *reader, const char *path, unsigned depth)
{
    struct dirent **entries = NULL;
    if (depth > FOLDERS_DEEP_MAX) {
        problem_add(reader, path, "too-deep", "folders are nested deeper than 64");
        return;
    }
    int count = scandir(path, &entries, visible, name_compare);
    if (count < 0)
        unreadable_add(reader, path, errno);
    for (int i = 0; i < count; i++) {
        entry_read(reader, path, entries[i]->d_name, depth);
        free(entries[i]);
    }
    free(entries);
}

/* ---- what was named ----------------------------------------------------------------- */

static void named_read(struct reader *reader, const char *path)
{
    struct stat st;
    if (strcmp(path, "-") == 0) {
        descriptor_read(reader, STDIN_FILENO, "<stdin>");
        return;
    }
    if (stat(path, &st) != 0) {
        unreadable_add(reader, path, errno);
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        file_read(reader, path, 0);
        return;
    }
    size_t files = reader->count, problems = reader->report->count;
    folder_read(reader, path, 0);
    if (reader->count == files && reader->report->count == problems)
        problem_add(reader, path, "no-manifests",
                    "no manifest is in this folder (*.yaml or *.yml, not hidden)");
}

int files_load(struct arena *arena, const char *const *paths, size_t count, const struct set **set,
               size_t *files, struct report *report, struct error *err)
{
    struct reader reader = {.arena = arena, .report = report};
    if (count == 0)
        return error_set(err, ERR_INVALID, "no file or folder was named");
    for (size_t i = 0; i < count; i++)
        named_read(&reader, arena_text(arena, paths[i]));
    struct set_builder *builder = set_builder_new(arena, report);
    for (size_t i = 0; i < reader.count; i++) {
        struct value *documents = NULL;
        yaml_read(arena, reader.files[i].path, reader.files[i].data, reader.files[i].len,
                  &documents, report);
        for (size_t k = 0; documents && k < documents->count; k++)
            set_builder_add(builder, documents->items[k]);
    }
    *set = set_builder_finish(builder);
    for (size_t i = 0; i < reader.count; i++)
        report_attach_source(report, reader.files[i].path, reader.files[i].data,
                             reader.files[i].len);
    *files = reader.count;
    return 0;
}
