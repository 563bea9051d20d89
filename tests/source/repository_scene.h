/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SOURCE_REPOSITORY_SCENE_H
#define TESTS_SOURCE_REPOSITORY_SCENE_H

/* A repository made with git for one test, and how to put commits into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "model/text.h"
#include "reconciler/source/repository.h"

struct scene {
    char dir[64];
    char repo[96];
    struct site site;
    struct arena *arena;
    struct report report;
    struct error err;
};

/* Runs a shell script in the repository; its output without the last newline. */
__attribute__((format(printf, 2, 3))) static inline char *git(struct scene *scene, const char *fmt,
                                                              ...)
{
    struct text script = TEXT_INIT, out = TEXT_INIT;
    char chunk[4096];
    char body[8192];
    va_list args;
    va_start(args, fmt);
    vsnprintf(body, sizeof(body), fmt, args);
    va_end(args);
    text_printf(&script,
                "cd %s && export GIT_DIR=$PWD GIT_CONFIG_NOSYSTEM=1 HOME=%s GIT_AUTHOR_NAME=Ann"
                " GIT_AUTHOR_EMAIL=ann@example.org GIT_COMMITTER_NAME=Ann"
                " GIT_COMMITTER_EMAIL=ann@example.org GIT_AUTHOR_DATE='1700000000 +0000'"
                " GIT_COMMITTER_DATE='1700000000 +0000'; set -e\n%s",
                scene->repo, scene->dir, body);
    FILE *pipe = popen(script.data, "r");
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), pipe)) > 0;)
        text_add_n(&out, chunk, n);
    assert_int_equal(pclose(pipe), 0);
    if (out.len > 0 && out.data[out.len - 1] == '\n')
        out.len--;
    char *text = arena_text_n(scene->arena, out.data, out.len);
    text_free(&out);
    text_free(&script);
    return text;
}

/* A blob of `text`; its id. */
static inline char *blob(struct scene *scene, const char *text)
{
    return git(scene, "printf '%%s' '%s' | git hash-object -w --stdin", text);
}

/* A commit whose tree is made by a shell script (it prints the tree's id); moves main. */
static inline char *commit_script(struct scene *scene, const char *tree_script)
{
    char *commit = git(scene,
                       "tree=$(%s)\n"
                       "parent=$(git rev-parse -q --verify refs/heads/main || true)\n"
                       "commit=$(git commit-tree $tree ${parent:+-p $parent} -m 'A change')\n"
                       "git update-ref refs/heads/main $commit\n"
                       "echo $commit",
                       tree_script);
    return commit;
}

/* A commit of "path=text" pairs, NULL at the end. Folders are made as needed. */
static inline char *commit_files(struct scene *scene, const char *const *files)
{
    struct text script = TEXT_INIT;
    text_printf(&script, "export GIT_INDEX_FILE=%s/index; rm -f $GIT_INDEX_FILE\n", scene->dir);
    for (; files[0]; files += 2)
        text_printf(&script,
                    "id=$(printf '%%s' '%s' | git hash-object -w --stdin)\n"
                    "git update-index --add --cacheinfo 100644,$id,'%s'\n",
                    files[1], files[0]);
    text_add(&script, "git write-tree");
    char *commit = commit_script(scene, script.data);
    text_free(&script);
    return commit;
}

#define FILES(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline int scene_set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    strcpy(scene->dir, "/tmp/spinel-source-XXXXXX");
    assert_non_null(mkdtemp(scene->dir));
    snprintf(scene->repo, sizeof(scene->repo), "%s/manifests.git", scene->dir);
    scene->arena = arena_new();
    report_init(&scene->report, scene->arena);
    scene->site = (struct site){
        .name = "lab",
        .repository = {.path = scene->repo,
                       .branch = "main",
                       .subdir = "",
                       .max_files = 1000000,
                       .max_bytes = 1 << 30},
    };
    char script[256];
    snprintf(script, sizeof(script), "git init -q --bare -b main %s", scene->repo);
    assert_int_equal(system(script), 0);
    *state = scene;
    return 0;
}

static inline int scene_tear_down(void **state)
{
    struct scene *scene = *state;
    char script[128];
    snprintf(script, sizeof(script), "rm -rf %s", scene->dir);
    int rc = system(script);
    arena_free(scene->arena);
    free(scene);
    return rc;
}

static inline struct source *source_for(struct scene *scene)
{
    struct source *source = NULL;
    if (source_open(&scene->site, &source, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    return source;
}

static inline int open_code(struct scene *scene)
{
    struct source *source = NULL;
    int rc = source_open(&scene->site, &source, &scene->err);
    source_close(source);
    return rc;
}

/* The code of the problem at `path`, or NULL. */
static inline const char *problem_code(const struct scene *scene, const char *path)
{
    for (size_t i = 0; i < scene->report.count; i++)
        if (strcmp(scene->report.problems[i].at.file, path) == 0)
            return scene->report.problems[i].code;
    return NULL;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

#endif
