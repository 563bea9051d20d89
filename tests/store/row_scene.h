/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_STORE_ROW_SCENE_H
#define TESTS_STORE_ROW_SCENE_H

/* An open store, and what is put into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/json.h"
#include "reconciler/store/query.h"

#define U1 "11111111111111111111111111111111"
#define U2 "22222222222222222222222222222222"
#define U3 "33333333333333333333333333333333"
#define U4 "44444444444444444444444444444444"
#define U5 "55555555555555555555555555555555"
#define U6 "66666666666666666666666666666666"
#define U9 "99999999999999999999999999999999"

enum { DAY_S = 24 * 3600 };

#define SCENE_FN static inline __attribute__((unused))

struct scene {
    char dir[64];
    struct store *store;
    struct arena *arena;
    struct error err;
};

SCENE_FN int scene_set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    strcpy(scene->dir, "/tmp/spinel-rows-XXXXXX");
    assert_non_null(mkdtemp(scene->dir));
    scene->arena = arena_new();
    if (store_open(scene->dir, STORE_WRITE, &scene->store, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    *state = scene;
    return 0;
}

SCENE_FN int scene_tear_down(void **state)
{
    struct scene *scene = *state;
    char script[96];
    store_close(scene->store);
    snprintf(script, sizeof(script), "rm -rf %s", scene->dir);
    int rc = system(script);
    arena_free(scene->arena);
    free(scene);
    return rc;
}

SCENE_FN void ok(struct scene *scene, int rc)
{
    if (rc != 0)
        fail_msg("%d: %s", rc, scene->err.message);
}

SCENE_FN struct value *json(struct scene *scene, const char *text)
{
    struct value *value = NULL;
    ok(scene, json_read(scene->arena, text, strlen(text), &value, &scene->err));
    return value;
}

SCENE_FN struct intent intent_of(const char *op, const char *state, int64_t created,
                                 int64_t finished)
{
    return (struct intent){.op = op,
                           .uid = U1,
                           .epoch = 3,
                           .verb = "create",
                           .state = state,
                           .created_at = created,
                           .finished_at = finished};
}

SCENE_FN void intent_put(struct scene *scene, struct intent intent)
{
    ok(scene, store_intent_put(scene->store, &intent, &scene->err));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

#endif
