/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_STORE_STORE_SCENE_H
#define TESTS_STORE_STORE_SCENE_H

/* A state directory, and the stores that are opened there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include "model/json.h"
#include "reconciler/store/query.h"

#define SCENE_FN static inline __attribute__((unused))

struct scene {
    char dir[64];
    char file[96];
    struct arena *arena;
    struct error err;
};

SCENE_FN int scene_set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    strcpy(scene->dir, "/tmp/spinel-store-XXXXXX");
    assert_non_null(mkdtemp(scene->dir));
    snprintf(scene->file, sizeof(scene->file), "%s/spinel.db", scene->dir);
    scene->arena = arena_new();
    *state = scene;
    return 0;
}

SCENE_FN int scene_tear_down(void **state)
{
    struct scene *scene = *state;
    char script[96];
    umount2(scene->dir, MNT_DETACH); /* where a test put a small disk there and failed */
    snprintf(script, sizeof(script), "rm -rf %s", scene->dir);
    assert_int_equal(system(script), 0);
    arena_free(scene->arena);
    free(scene);
    return 0;
}

SCENE_FN struct store *store_for(struct scene *scene, enum store_mode mode)
{
    struct store *store = NULL;
    int rc = store_open(scene->dir, mode, &store, &scene->err);
    if (rc != 0)
        fail_msg("%s", scene->err.message);
    return store;
}

SCENE_FN int open_code(struct scene *scene, enum store_mode mode)
{
    struct store *store = NULL;
    int rc = store_open(scene->dir, mode, &store, &scene->err);
    store_close(store);
    return rc;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

#endif
