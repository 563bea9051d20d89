/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Tree and commit objects as git stores them. An input is a list of objects: a letter
 * (b, t, c), two bytes of length, the bytes. Objects name earlier ones: in a tree an id
 * that begins with '@' and a number, in a commit '@' and a digit stand for the id of that
 * object. The last two commits are what a branch has and what is pushed to it.
 */
#include <git2.h>
#include <git2/sys/mempack.h>
#include <git2/sys/odb_backend.h>
#include <git2/sys/repository.h>
#include "model/text.h"
#include "reconciler/source/receive.h"
#include "reconciler/source/repository.h"
#include "tests/fuzz/fuzz.h"

enum { OBJECTS_MAX = 64 };

struct objects {
    git_oid ids[OBJECTS_MAX];
    size_t count;
    git_oid commits[OBJECTS_MAX];
    size_t commit_count;
};

/* Behind each NUL stands an id. */
static void tree_link(char *data, size_t len, const struct objects *objects)
{
    for (size_t i = 0; objects->count && i + GIT_OID_RAWSZ < len; i++)
        if (data[i] == '\0' && data[i + 1] == '@')
            memcpy(data + i + 1, objects->ids[(uint8_t)data[i + 2] % objects->count].id,
                   GIT_OID_RAWSZ);
}

static void commit_link(struct text *out, const char *data, size_t len,
                        const struct objects *objects)
{
    for (size_t i = 0; i < len; i++) {
        char hex[GIT_OID_HEXSZ + 1];
        if (data[i] != '@' || i + 1 == len || !objects->count) {
            text_add_char(out, data[i]);
            continue;
        }
        git_oid_tostr(hex, sizeof hex, &objects->ids[(uint8_t)data[++i] % objects->count]);
        text_add(out, hex);
    }
}

static void object_put(git_odb *odb, char letter, const uint8_t *data, size_t len,
                       struct objects *objects)
{
    git_object_t type = letter == 't'   ? GIT_OBJECT_TREE
                        : letter == 'c' ? GIT_OBJECT_COMMIT
                                        : GIT_OBJECT_BLOB;
    struct text bytes = TEXT_INIT;
    git_oid id;
    if (type == GIT_OBJECT_COMMIT)
        commit_link(&bytes, (const char *)data, len, objects);
    else
        text_add_n(&bytes, (const char *)data, len);
    if (type == GIT_OBJECT_TREE)
        tree_link(bytes.data, bytes.len, objects);
    if (git_odb_write(&id, odb, bytes.data, bytes.len, type) == 0) {
        objects->ids[objects->count++] = id;
        if (type == GIT_OBJECT_COMMIT)
            objects->commits[objects->commit_count++] = id;
    }
    text_free(&bytes);
}

static void objects_put(git_odb *odb, const uint8_t *data, size_t size, struct objects *objects)
{
    while (size > 3 && objects->count < OBJECTS_MAX) {
        size_t len = (size_t)data[1] << 8 | data[2];
        len = len > size - 3 ? size - 3 : len;
        object_put(odb, (char)data[0], data + 3, len, objects);
        data += 3 + len;
        size -= 3 + len;
    }
}

static void push(struct source *source, const char *old, const char *new)
{
    struct arena *arena = arena_new();
    struct report report;
    struct error err = ERROR_INIT;
    struct received received;
    struct commit_info info;
    const struct ref_update update = {.ref = "refs/heads/main", .old = old, .new = new};
    report_init(&report, arena);
    if (source_commit(source, arena, new, &info, &err) == 0)
        MUST(info.author && info.subject);
    if (receive_judge(source, NULL, arena, &update, &received, &report, &err) == 0) {
        MUST(received.set);
        struct text out = TEXT_INIT;
        report_sort(&report);
        report_write(&out, &report, false);
        for (size_t i = 0; i < out.len; i++)
            MUST((unsigned char)out.data[i] >= ' ' || out.data[i] == '\n' || out.data[i] == '\t');
        text_free(&out);
    } else {
        MUST(err.message[0]);
    }
    arena_free(arena);
}

/* libgit2 1.5 does not free the parents of a commit that it refuses in a walk. Nothing else is
 * excused, so frames of the library must be told apart. */
const char *__lsan_default_suppressions(void);
const char *__asan_default_options(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:git_graph_reachable_from_any\n";
}

const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0";
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    git_libgit2_init();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char none[] = "";
    static char main_name[] = "main", path[] = "memory.git";
    struct objects objects = {.count = 0};
    git_odb_backend *memory = NULL;
    struct source source = {
        .path = path, .branch = main_name, .subdir = none, .max_files = 1000, .max_bytes = 1 << 24};
    char old[65] = "", new[65];
    MUST(git_odb_new(&source.odb) == 0 && git_mempack_new(&memory) == 0);
    MUST(git_odb_add_backend(source.odb, memory, 1) == 0);
    MUST(git_repository_wrap_odb(&source.repo, source.odb) == 0);
    objects_put(source.odb, data, size, &objects);
    if (objects.commit_count > 1)
        git_oid_tostr(old, sizeof old, &objects.commits[objects.commit_count - 2]);
    if (objects.commit_count > 0) {
        git_oid_tostr(new, sizeof new, &objects.commits[objects.commit_count - 1]);
        push(&source, old[0] ? old : NULL, new);
    }
    git_odb_free(source.odb);
    git_repository_free(source.repo);
    return 0;
}
