/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/fuzz/scene.h"

#include <fcntl.h>
#include <git2.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model/arena.h"
#include "model/report.h"
#include "tests/fuzz/fuzz.h"

static const char manifests[] =
    "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\nspec: {}\n---\n"
    "apiVersion: spinel/v1\nkind: Pool\nmetadata: {name: fast}\nspec: {}\n---\n"
    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: db}\n"
    "spec: {size: 1GiB, pool: fast}\n---\n"
    "apiVersion: spinel/v1\nkind: VPC\nmetadata: {project: shop, name: net}\n"
    "spec: {prefixes: [10.0.0.0/16]}\n";

static const char site_file[] =
    "apiVersion: spinel/v1\nkind: Site\nmetadata: {name: lab}\n"
    "spec:\n  repository: {path: ./manifests.git, branch: main}\n  stateDir: ./state\n"
    "  drivers: {default: sim}\n  driverDirs: [./drivers]\n"
    "  web: {listen: \"127.0.0.1:8420\", tokenFile: ./token}\n";

static void file_put(const char *dir, const char *name, const void *data, size_t len, mode_t mode)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    MUST(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    close(fd);
}

static void directory_put(const char *dir, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    MUST(mkdir(path, 0700) == 0);
}

static void commit_put(const char *dir)
{
    char path[160];
    git_repository *repo = NULL;
    git_treebuilder *builder = NULL;
    git_tree *tree = NULL;
    git_signature *who = NULL;
    git_oid id;
    snprintf(path, sizeof path, "%s/manifests.git", dir);
    git_libgit2_init();
    MUST(git_repository_init(&repo, path, 1) == 0);
    MUST(git_blob_create_from_buffer(&id, repo, manifests, sizeof manifests - 1) == 0);
    MUST(git_treebuilder_new(&builder, repo, NULL) == 0);
    MUST(git_treebuilder_insert(NULL, builder, "a.yaml", &id, GIT_FILEMODE_BLOB) == 0);
    MUST(git_treebuilder_write(&id, builder) == 0 && git_tree_lookup(&tree, repo, &id) == 0);
    MUST(git_signature_new(&who, "Ann", "ann@example.org", 1700000000, 0) == 0);
    MUST(git_commit_create(&id, repo, "refs/heads/main", who, who, NULL, "A rack\n", tree, 0,
                           NULL) == 0);
    git_signature_free(who);
    git_tree_free(tree);
    git_treebuilder_free(builder);
    git_repository_free(repo);
}

const struct site *fuzz_site(void)
{
    static struct site *site;
    static char dir[64];
    if (site)
        return site;
    fuzz_directory(dir);
    directory_put(dir, "drivers");
    directory_put(dir, "state");
    file_put(dir, "drivers/sim", "#!/bin/false\n", 13, 0700);
    file_put(dir, "token", FUZZ_TOKEN "\n", sizeof FUZZ_TOKEN, 0600);
    commit_put(dir);
    static struct arena *arena; /* as long as the process */
    arena = arena_new();
    char *file = arena_printf(arena, "%s/spinel.yaml", dir);
    struct report report;
    report_init(&report, arena);
    MUST(site_read(arena, file, NULL, site_file, sizeof site_file - 1, &site, &report) == 0);
    return site;
}

/* ---- the state ---------------------------------------------------------------------- */

static struct {
    const char *name;
    char *data;
    size_t len;
} kept[] = {{"spinel.db", NULL, 0}, {"spinel.db-wal", NULL, 0}, {"rack", NULL, 0}};

void fuzz_state_keep(const struct site *site)
{
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        char path[160];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", site->state_dir, kept[i].name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        MUST(fstat(fd, &st) == 0);
        kept[i].len = (size_t)st.st_size;
        kept[i].data = malloc(kept[i].len + 1);
        MUST(kept[i].data && read(fd, kept[i].data, kept[i].len) == st.st_size);
        close(fd);
    }
}

void fuzz_state_restore(const struct site *site)
{
    char path[160];
    snprintf(path, sizeof path, "%s/spinel.db-shm", site->state_dir);
    unlink(path);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (kept[i].data)
            file_put(site->state_dir, kept[i].name, kept[i].data, kept[i].len, 0600);
}
