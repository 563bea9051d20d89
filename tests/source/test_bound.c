/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What libgit2 may take at a time: an object beyond it is not read, packed or loose, as a delta or
 * whole, and the same call succeeds when the bound has gone. Each thread has its own.
 */
#include "tests/source/repository_scene.h"

#include <pthread.h>
#include "reconciler/source/bound.c"

enum { OBJECT_BYTES = 1 << 20, BOUND_BYTES = 64 << 10 };

struct objects {
    git_repository *repo;
    git_odb *odb;
    git_oid large;
    git_oid nearly; /* the same with other first bytes: a delta, once packed */
    git_oid small;
};

static git_oid blob_add(struct objects *objects, const char *first, size_t len)
{
    char *bytes = calloc(1, len + 1);
    git_oid id;
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)('a' + i % 23 + i / 4096 % 3);
    memcpy(bytes, first, strlen(first));
    assert_int_equal(git_blob_create_from_buffer(&id, objects->repo, bytes, len), 0);
    free(bytes);
    return id;
}

static void objects_open(struct objects *objects, const struct scene *scene)
{
    assert_int_equal(git_repository_open(&objects->repo, scene->repo), 0);
    assert_int_equal(git_repository_odb(&objects->odb, objects->repo), 0);
}

static void objects_close(struct objects *objects)
{
    git_odb_free(objects->odb);
    git_repository_free(objects->repo);
}

static bool is_read(struct objects *objects, const git_oid *id)
{
    git_odb_object *object = NULL;
    bool is = git_odb_read(&object, objects->odb, id) == 0;
    git_odb_object_free(object);
    return is;
}

static void *elsewhere(void *context)
{
    struct objects *objects = context;
    return is_read(objects, &objects->large) ? objects : NULL;
}

static void check(struct objects *objects)
{
    pthread_t thread;
    void *read_elsewhere = NULL;
    bound_set(BOUND_BYTES);
    assert_false(is_read(objects, &objects->large));
    assert_false(is_read(objects, &objects->nearly));
    assert_true(is_read(objects, &objects->small));
    assert_int_equal(pthread_create(&thread, NULL, elsewhere, objects), 0);
    pthread_join(thread, &read_elsewhere);
    assert_non_null(read_elsewhere);
    bound_set(SIZE_MAX);
    assert_true(is_read(objects, &objects->large));
    assert_true(is_read(objects, &objects->nearly));
}

static void a_larger_object_is_not_read(void **state)
{
    struct scene *scene = *state;
    struct objects objects;
    char large[65], nearly[65], small[65];
    objects_open(&objects, scene);
    objects.large = blob_add(&objects, "one", OBJECT_BYTES);
    objects.nearly = blob_add(&objects, "another", OBJECT_BYTES);
    objects.small = blob_add(&objects, "small", BOUND_BYTES / 4);
    check(&objects);
    objects_close(&objects);

    git_oid_tostr(large, sizeof(large), &objects.large);
    git_oid_tostr(nearly, sizeof(nearly), &objects.nearly);
    git_oid_tostr(small, sizeof(small), &objects.small);
    git(scene,
        "printf '100644 blob %s\\ta\\n100644 blob %s\\tb\\n100644 blob %s\\tc\\n' | git mktree |"
        " xargs git commit-tree -m packed | xargs git update-ref refs/heads/packed\n"
        "git repack -q -a -d\n"
        "test -z \"$(find objects -path '*/[0-9a-f][0-9a-f]/*' -type f)\"",
        large, nearly, small);
    objects_open(&objects, scene);
    check(&objects);
    objects_close(&objects);
}

/* Which of these libgit2 takes for what is its own affair. */
static void no_way_of_asking_gets_more(void **state)
{
    (void)state;
    bound_set(BOUND_BYTES);
    void *most = bounded.gmalloc(BOUND_BYTES, __FILE__, __LINE__);
    assert_non_null(most);
    memset(most, 'x', BOUND_BYTES);
    assert_null(bounded.gmalloc(BOUND_BYTES + 1, __FILE__, __LINE__));
    assert_null(bounded.grealloc(most, BOUND_BYTES + 1, __FILE__, __LINE__));
    assert_int_equal(((char *)most)[BOUND_BYTES - 1], 'x'); /* it is there as it was */
    bounded.gfree(bounded.grealloc(most, 10, __FILE__, __LINE__));
#if LIBGIT2_VER_MAJOR == 1 && LIBGIT2_VER_MINOR < 7
    char text[] = "seven b";
    most = bounded.gmallocarray(BOUND_BYTES / 8, 8, __FILE__, __LINE__);
    assert_non_null(most);
    assert_null(bounded.greallocarray(most, BOUND_BYTES / 8 + 1, 8, __FILE__, __LINE__));
    assert_null(bounded.greallocarray(most, SIZE_MAX, 16, __FILE__, __LINE__));
    bounded.gfree(bounded.greallocarray(most, 1, 8, __FILE__, __LINE__));
    assert_null(bounded.gmallocarray(BOUND_BYTES / 8 + 1, 8, __FILE__, __LINE__));
    assert_null(bounded.gcalloc(BOUND_BYTES / 8 + 1, 8, __FILE__, __LINE__));
    bound_set(sizeof text - 1);
    assert_null(bounded.gsubstrdup(text, sizeof text - 1, __FILE__, __LINE__)); /* and a NUL */
    char *copy = bounded.gsubstrdup(text, sizeof text - 2, __FILE__, __LINE__);
    assert_string_equal(copy, "seven ");
    bounded.gfree(copy);
#endif
    bound_set(SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_larger_object_is_not_read),
        CASE(no_way_of_asking_gets_more),
    };
    git_libgit2_init();
    bound_install();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    git_libgit2_shutdown();
    return failed;
}
