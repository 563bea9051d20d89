/* SPDX-License-Identifier: MPL-2.0 */
/* Opening a repository, what is refused of it, and revisions as people type them. */
#include "tests/source/repository_scene.h"

#include <unistd.h>

static const char *resolved(struct scene *scene, struct source *source, const char *rev)
{
    static char commit[65];
    int rc = source_resolve(source, rev, commit, &scene->err);
    if (rc != 0)
        fail_msg("%s", scene->err.message);
    return commit;
}

static int resolve_code(struct scene *scene, struct source *source, const char *rev)
{
    char commit[65];
    return source_resolve(source, rev, commit, &scene->err);
}

/* ---- opening ------------------------------------------------------------------------ */

static void a_missing_repository_is_not_found_with_a_hint(void **state)
{
    struct scene *scene = *state;
    scene->site.repository.path = "/nonexistent/manifests.git";
    assert_int_equal(open_code(scene), ERR_NOT_FOUND);
    assert_non_null(strstr(scene->err.hint, "spinel init"));
}

static void a_folder_that_is_no_repository_is_refused(void **state)
{
    struct scene *scene = *state;
    scene->site.repository.path = scene->dir;
    assert_true(open_code(scene) < 0);
    assert_non_null(strstr(scene->err.message, scene->dir));
}

static void an_owner_that_the_site_does_not_name_is_refused(void **state)
{
    struct scene *scene = *state;
    if (geteuid() != 0) {
        print_message("# SKIP only root gives a folder to another user\n");
        skip();
    }
    assert_int_equal(chown(scene->repo, 65534, 65534), 0);

    assert_int_equal(open_code(scene), ERR_DENIED);
    assert_non_null(strstr(scene->err.hint, "spec.repository.owner"));
    scene->site.repository.owner = "nobody";
    assert_int_equal(open_code(scene), 0);
    scene->site.repository.owner = "daemon";
    assert_int_equal(open_code(scene), ERR_DENIED);
    scene->site.repository.owner = "no-such-user";
    assert_int_equal(open_code(scene), ERR_INVALID);
}

static void what_git_would_show_otherwise_is_refused(void **state)
{
    struct scene *scene = *state;
    static const char *const scripts[] = {
        "echo /elsewhere >objects/info/alternates",
        "mkdir -p info; echo x >info/grafts",
        "echo x >shallow",
        "id=$(echo x | git hash-object -w --stdin); git update-ref refs/replace/$id $id",
    };
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        git(scene, "%s", scripts[i]);
        assert_int_equal(open_code(scene), ERR_UNSUPPORTED);
        assert_true(scene->err.hint[0] != '\0');
        git(scene, "rm -rf objects/info/alternates info/grafts shallow refs/replace");
        assert_int_equal(open_code(scene), 0);
    }
}

/* After much was read it is opened anew, and somebody has put something into it meanwhile. */
static void what_cannot_be_opened_again_is_opened_once_it_can(void **state)
{
    struct scene *scene = *state;
    struct commit_info info;
    char head[65];
    char *commit = commit_files(scene, FILES("a.yaml", "a: 1"));
    struct source *source = source_for(scene);
    git(scene, "echo /elsewhere >objects/info/alternates");
    repository_rest(source);
    assert_int_equal(source_head(source, head, &scene->err), ERR_UNSUPPORTED);
    assert_int_equal(source_commit(source, scene->arena, commit, &info, &scene->err),
                     ERR_UNSUPPORTED);
    git(scene, "rm objects/info/alternates");
    scene->err = (struct error)ERROR_INIT;
    assert_int_equal(source_commit(source, scene->arena, commit, &info, &scene->err), 0);
    assert_int_equal(source_head(source, head, &scene->err), 0);
    assert_string_equal(head, commit);
    source_close(source);
}

static void a_sha256_repository_is_refused_clearly(void **state)
{
    struct scene *scene = *state;
    git(scene, "unset GIT_DIR; git init -q --bare --object-format=sha256 ../other.git");
    scene->site.repository.path = arena_printf(scene->arena, "%s/other.git", scene->dir);

    assert_int_equal(open_code(scene), ERR_UNSUPPORTED);
    assert_non_null(strstr(scene->err.message, "SHA-256"));
}

static void names_in_the_site_that_cannot_be_are_refused(void **state)
{
    struct scene *scene = *state;
    scene->site.repository.branch = "a..b";
    assert_int_equal(open_code(scene), ERR_INVALID);
    scene->site.repository.branch = "main";
    scene->site.repository.subdir = "../up";
    assert_int_equal(open_code(scene), ERR_INVALID);
}

/* ---- revisions ---------------------------------------------------------------------- */

static void an_empty_repository_has_no_head_yet(void **state)
{
    struct scene *scene = *state;
    char commit[65];
    struct source *source = source_for(scene);
    assert_int_equal(source_head(source, commit, &scene->err), ERR_NOT_FOUND);
    assert_non_null(strstr(scene->err.hint, "git push origin HEAD:main"));
    assert_int_equal(resolve_code(scene, source, "HEAD"), ERR_NOT_FOUND);
    source_close(source);
}

static void a_missing_branch_has_no_head(void **state)
{
    struct scene *scene = *state;
    char commit[65];
    commit_files(scene, FILES("a.yaml", "a: 1"));
    scene->site.repository.branch = "live";
    struct source *source = source_for(scene);
    assert_int_equal(source_head(source, commit, &scene->err), ERR_NOT_FOUND);
    source_close(source);
}

static void revisions_resolve_as_git_has_them(void **state)
{
    struct scene *scene = *state;
    char head[65];
    char *first = commit_files(scene, FILES("a.yaml", "a: 1"));
    char *second = commit_files(scene, FILES("a.yaml", "a: 2"));
    char *third = commit_files(scene, FILES("a.yaml", "a: 3"));
    git(scene, "git update-ref refs/heads/feature/x %s", second);
    struct source *source = source_for(scene);

    assert_int_equal(source_head(source, head, &scene->err), 0);
    assert_string_equal(head, third);
    assert_string_equal(resolved(scene, source, "HEAD"), third);
    assert_string_equal(resolved(scene, source, "main"), third);
    assert_string_equal(resolved(scene, source, "refs/heads/main"), third);
    assert_string_equal(resolved(scene, source, "feature/x"), second);
    assert_string_equal(resolved(scene, source, first), first);
    assert_string_equal(resolved(scene, source, arena_text_n(scene->arena, first, 10)), first);
    assert_string_equal(resolved(scene, source, "main~"), second);
    assert_string_equal(resolved(scene, source, "main~2"), first);
    assert_string_equal(resolved(scene, source, "main^^"), first);
    assert_string_equal(resolved(scene, source, "main^1~1"), first);
    assert_string_equal(resolved(scene, source, "main^0"), third);
    assert_int_equal(resolve_code(scene, source, "main~3"), ERR_NOT_FOUND);
    assert_int_equal(resolve_code(scene, source, "main^2"), ERR_NOT_FOUND);
    source_close(source);
}

static void hostile_revisions_never_reach_libgit2(void **state)
{
    struct scene *scene = *state;
    commit_files(scene, FILES("a.yaml", "a: 1"));
    struct source *source = source_for(scene);
    static const char *const revs[] = {
        "",           "@",        "-main",
        "main..main", ":/x",      "main:a.yaml",
        "main^{/x}",  "main@{0}", "main~99999999999999999999",
        "main~x",     "ma in",    "~1",
        "main\n",
    };
    for (size_t i = 0; i < sizeof(revs) / sizeof(revs[0]); i++)
        assert_true(resolve_code(scene, source, revs[i]) < 0);
    char *lengthy = arena_alloc(scene->arena, 10001);
    memset(lengthy, 'a', 10000);
    assert_int_equal(resolve_code(scene, source, lengthy), ERR_INVALID);
    assert_int_equal(resolve_code(scene, source, "nothing"), ERR_NOT_FOUND);
    assert_int_equal(resolve_code(scene, source, "deadbeef"), ERR_NOT_FOUND);
    source_close(source);
}

static void an_id_of_a_blob_is_no_commit(void **state)
{
    struct scene *scene = *state;
    char *id = blob(scene, "a: 1");
    struct source *source = source_for(scene);
    struct commit_info info;
    assert_int_equal(resolve_code(scene, source, id), ERR_NOT_FOUND);
    assert_int_equal(source_commit(source, scene->arena, id, &info, &scene->err), ERR_NOT_FOUND);
    assert_non_null(strstr(scene->err.message, "is a blob, not a commit"));
    assert_int_equal(source_commit(source, scene->arena, "main", &info, &scene->err), ERR_INVALID);
    source_close(source);
}

/* ---- commits ------------------------------------------------------------------------ */

static void a_commit_tells_who_what_and_when(void **state)
{
    struct scene *scene = *state;
    struct commit_info info;
    char *commit = commit_files(scene, FILES("a.yaml", "a: 1"));
    struct source *source = source_for(scene);

    assert_int_equal(source_commit(source, scene->arena, commit, &info, &scene->err), 0);

    assert_string_equal(info.author, "Ann <ann@example.org>");
    assert_string_equal(info.subject, "A change");
    assert_int_equal(info.at, 1700000000);
    source_close(source);
}

static void escape_sequences_of_a_commit_are_not_shown(void **state)
{
    struct scene *scene = *state;
    struct commit_info info;
    char *commit = git(scene, "t=$(git mktree </dev/null); printf 'red \\033[31m \\377 end' | "
                              "git commit-tree $t 2>/dev/null");
    struct source *source = source_for(scene);

    assert_int_equal(source_commit(source, scene->arena, commit, &info, &scene->err), 0);

    assert_null(strchr(info.subject, '\033'));
    assert_null(strchr(info.subject, '\377'));
    assert_non_null(strstr(info.subject, "end"));
    source_close(source);
}

static void descent_is_told(void **state)
{
    struct scene *scene = *state;
    char *first = commit_files(scene, FILES("a.yaml", "a: 1"));
    char *second = commit_files(scene, FILES("a.yaml", "a: 2"));
    char *other = git(scene, "git commit-tree -m other $(git rev-parse main^{tree})");
    struct source *source = source_for(scene);

    assert_int_equal(source_descends(source, second, first, &scene->err), 1);
    assert_int_equal(source_descends(source, first, first, &scene->err), 1);
    assert_int_equal(source_descends(source, first, second, &scene->err), 0);
    assert_int_equal(source_descends(source, other, first, &scene->err), 0);
    assert_true(source_descends(source, first, "1111111111111111111111111111111111111111",
                                &scene->err) < 0);
    source_close(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_missing_repository_is_not_found_with_a_hint),
        CASE(a_folder_that_is_no_repository_is_refused),
        CASE(an_owner_that_the_site_does_not_name_is_refused),
        CASE(what_git_would_show_otherwise_is_refused),
        CASE(what_cannot_be_opened_again_is_opened_once_it_can),
        CASE(a_sha256_repository_is_refused_clearly),
        CASE(names_in_the_site_that_cannot_be_are_refused),
        CASE(an_empty_repository_has_no_head_yet),
        CASE(a_missing_branch_has_no_head),
        CASE(revisions_resolve_as_git_has_them),
        CASE(hostile_revisions_never_reach_libgit2),
        CASE(an_id_of_a_blob_is_no_commit),
        CASE(a_commit_tells_who_what_and_when),
        CASE(escape_sequences_of_a_commit_are_not_shown),
        CASE(descent_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
