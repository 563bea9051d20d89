/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `spinel init DIR`: a site file, a bare repository with our hooks, and a clone of
 * it with an example committed and not yet pushed. Nothing runs yet.
 */
#include "reconciler/cli/command.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/report.h"
#include "model/resource.h"
#include "model/text.h"
#include "reconciler/cli/git.h"
#include "reconciler/cli/problems.h"
#include "reconciler/cli/share.h"
#include "reconciler/source/source.h"

static struct {
    char *example;
    char *drivers;
} options;

static const char site_form[] =
    "# The site file: what this rack is and where its parts are. Relative paths are\n"
    "# relative to this file. 'spinel explain site' tells every field.\n"
    "apiVersion: spinel/v1\n"
    "kind: Site\n"
    "metadata: {name: %s}\n"
    "spec:\n"
    "  # What should be: git push to this repository changes the rack.\n"
    "  repository: {path: ./manifests.git, branch: main}\n"
    "  # What Spinel and its drivers remember. Made if missing.\n"
    "  stateDir: ./state\n"
    "%s"
    "  # The key that marks what is Spinel's own. Keep it out of stateDir and of Git.\n"
    "  # keyFile: ./spinel.key\n"
    "  # How often everything is looked at again, beside what drivers notice at once.\n"
    "  # resync: 5m\n"
    "  # How long a volume that was deleted can be had back.\n"
    "  # settings: {file: {trashRetention: 7d}}\n"
    "  # How long git push shows the progress before it leaves the daemon to it.\n"
    "  # pushWait: 5m\n"
    "  # How much may be destroyed before a person must approve.\n"
    "  # deletionBudget: {count: 3, percent: 5, collapsePercent: 30}\n";

static const struct {
    const char *name;
    const char *lines;
} driver_sets[] = {
    {"host", "  # Real machines, disks and networks. {default: sim} only plays them.\n"
             "  drivers: {instance: qemu, volume: file, network: linux-vpc}\n"},
    {"sim", "  # Plays everything in memory and a file. For real machines, as root:\n"
            "  # drivers: {instance: qemu, volume: file, network: linux-vpc}\n"
            "  drivers: {default: sim}\n"},
};

/* ---- files -------------------------------------------------------------------------- */

static int file_put(const char *path, const char *text, mode_t mode, struct error *err)
{
    FILE *out = fopen(path, "wxe");

    if (!out)
        return error_sys(err, "cannot make %s", path);
    if (fputs(text, out) == EOF || fchmod(fileno(out), mode) < 0) {
        error_sys(err, "cannot write %s", path);
        fclose(out);
        return err->code;
    }
    return fclose(out) == 0 ? 0 : error_sys(err, "cannot write %s", path);
}

/* 1: it is there now; 0: it was, and is empty. */
static int dir_make(const char *dir, struct error *err)
{
    struct dirent *entry;
    DIR *open_dir;
    int rc = 0;

    if (mkdir(dir, 0755) == 0)
        return 1;
    if (errno != EEXIST)
        return error_sys(err, "cannot make %s", dir);
    open_dir = opendir(dir);
    if (!open_dir)
        return error_sys(err, "cannot look into %s", dir);
    while (errno = 0, rc == 0 && (entry = readdir(open_dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = error_set(err, ERR_CONFLICT, "%s is not empty: it holds %s", dir, entry->d_name);
    }
    if (rc == 0 && errno != 0)
        rc = error_sys(err, "cannot look into %s", dir);
    closedir(open_dir);
    return rc < 0 ? error_hint(err, "Name a new or an empty directory; nothing was touched.") : 0;
}

static int entry_remove(const char *path, const struct stat *about, int type, struct FTW *where)
{
    (void)about, (void)type, (void)where;
    return remove(path);
}

/* All that site_make() makes, and nothing that somebody else put beside it. */
static bool site_remove(struct arena *arena, const char *dir, bool is_own)
{
    static const char *const made[] = {"spinel.yaml", "manifests.git", "manifests"};
    bool is_clean = true;

    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        const char *path = arena_printf(arena, "%s/%s", dir, made[i]);

        if (nftw(path, entry_remove, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
            is_clean = false;
    }
    return (!is_own || rmdir(dir) == 0) && is_clean;
}

/* "@SITE@" and "@SPINEL@" of a template; the value stands in a shell's single quotes. */
static void template_fill(struct text *out, const char *form, const char *const pairs[][2])
{
    while (*form) {
        size_t i = 0;

        while (pairs[i][0] && strncmp(form, pairs[i][0], strlen(pairs[i][0])) != 0)
            i++;
        if (!pairs[i][0]) {
            text_add_char(out, *form++);
            continue;
        }
        for (const char *c = pairs[i][1]; *c; c++) {
            if (*c == '\'')
                text_add(out, "'\\''");
            else
                text_add_char(out, *c);
        }
        form += strlen(pairs[i][0]);
    }
}

static int hook_put(struct arena *arena, const char *dir, const char *name, struct error *err)
{
    const char *const pairs[][2] = {
        {"@SPINEL@", share_program(arena)},
        {"@SITE@", arena_printf(arena, "%s/spinel.yaml", dir)},
        {NULL, NULL},
    };
    struct text text = TEXT_INIT;
    int rc;

    template_fill(&text, share_text(name), pairs);
    rc =
        file_put(arena_printf(arena, "%s/manifests.git/hooks/%s", dir, name), text.data, 0755, err);
    text_free(&text);
    return rc;
}

/* ---- the example -------------------------------------------------------------------- */

static bool is_manifest(const char *name)
{
    const char *dot = strrchr(name, '.');

    return name[0] != '.' && dot &&
           (strcasecmp(dot, ".yaml") == 0 || strcasecmp(dot, ".yml") == 0) &&
           strcmp(name, "spinel.yaml") != 0;
}

static int file_copy(const char *from, const char *to, struct error *err)
{
    struct text text = TEXT_INIT;
    FILE *in = fopen(from, "re");
    char chunk[4096];
    size_t len;
    int rc;

    if (!in)
        return error_sys(err, "cannot read %s", from);
    while ((len = fread(chunk, 1, sizeof(chunk), in)) > 0)
        text_add_n(&text, chunk, len);
    rc = ferror(in) ? error_sys(err, "cannot read %s", from) : file_put(to, text.data, 0644, err);
    fclose(in);
    text_free(&text);
    return rc;
}

static int example_copy(struct arena *arena, const char *from, const char *to, struct error *err)
{
    struct dirent **entries;
    int count = scandir(from, &entries, NULL, alphasort);
    int rc = 0;

    if (count < 0)
        return error_sys(err, "cannot look into the example %s", from);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        const char *source = arena_printf(arena, "%s/%s", from, name);
        const char *target = arena_printf(arena, "%s/%s", to, name);
        struct stat about;

        if (rc == 0 && name[0] != '.' && stat(source, &about) == 0 && S_ISDIR(about.st_mode)) {
            rc = mkdir(target, 0755) < 0 ? error_sys(err, "cannot make %s", target)
                                         : example_copy(arena, source, target, err);
        } else if (rc == 0 && is_manifest(name)) {
            rc = file_copy(source, target, err);
        }
        free(entries[i]);
    }
    free(entries);
    return rc;
}

/* The example's directory; NULL for the one in the program. The quickstart needs its
 * guest built (make guest), and gives way to the other while it is not. */
static int example_find(struct cli *cli, const char **dir, struct error *err)
{
    const char *wanted = options.example ? options.example : "quickstart";
    const char *tree = arena_printf(cli->arena, "examples/%s", wanted);
    struct report report;
    const struct set *set;
    size_t files;

    report_init(&report, cli->arena);
    *dir = strchr(wanted, '/') ? wanted : share_find(cli->arena, tree, tree);
    if (!*dir && access(wanted, F_OK) == 0)
        *dir = wanted;
    if (!*dir && options.example) {
        error_set(err, ERR_NOT_FOUND, "there is no example '%s'", wanted);
        return error_hint(err, "Give the path of a directory with manifests.");
    }
    if (!*dir)
        return 0;
    if (files_load(cli->arena, dir, 1, &set, &files, &report, err) < 0)
        return err->code;
    if (report.count == 0)
        return 0;
    if (!options.example) {
        *dir = NULL;
        return 0;
    }
    problems_print(&report);
    error_set(err, ERR_INVALID, "the example %s is not valid", *dir);
    return error_hint(err, "examples/quickstart needs its guest: make guest.");
}

/* ---- the repositories --------------------------------------------------------------- */

static int repository_make(struct arena *arena, const char *dir, struct error *err)
{
    static const char *const make[] = {"git",  "init",          "-q", "--bare", "-b",
                                       "main", "manifests.git", NULL};
    int rc = git_run(dir, make, err);

    if (rc == 0)
        rc = hook_put(arena, dir, "pre-receive", err);
    return rc < 0 ? rc : hook_put(arena, dir, "post-receive", err);
}

/* Git refuses to commit for nobody. */
static int identity_set(struct arena *arena, const char *clone, struct error *err)
{
    static const char *const has_name[] = {"git", "config", "user.name", NULL};
    static const char *const has_mail[] = {"git", "config", "user.email", NULL};
    const struct passwd *user = getpwuid(getuid());
    const char *name = user ? arena_text(arena, user->pw_name) : "operator";
    const char *const set_name[] = {"git", "config", "user.name", name, NULL};
    const char *const set_mail[] = {"git", "config", "user.email",
                                    arena_printf(arena, "%s@localhost", name), NULL};
    int rc = 0;

    if (git_status(clone, has_name) != 0)
        rc = git_run(clone, set_name, err);
    if (rc == 0 && git_status(clone, has_mail) != 0)
        rc = git_run(clone, set_mail, err);
    return rc;
}

static int clone_make(struct cli *cli, const char *dir, const char *example, struct error *err)
{
    const char *clone = arena_printf(cli->arena, "%s/manifests", dir);
    const char *origin = arena_printf(cli->arena, "%s/manifests.git", dir);
    const char *const before[][7] = {
        {"git", "init", "-q", "-b", "main", "manifests", NULL},
    };
    const char *const inside[][7] = {
        {"git", "remote", "add", "origin", origin, NULL},
        {"git", "config", "--add", "remote.origin.fetch", "+refs/notes/spinel*:refs/notes/spinel*",
         NULL}, /* a pattern may match nothing */
        {"git", "config", "notes.displayRef", "refs/notes/spinel", NULL},
        {"git", "config", "branch.main.remote", "origin", NULL},
        {"git", "config", "branch.main.merge", "refs/heads/main", NULL},
        {"git", "add", "-A", NULL},
        {"git", "commit", "-q", "-m", "The first manifests", NULL},
    };
    int rc = git_run(dir, before[0], err);

    if (rc == 0)
        rc = identity_set(cli->arena, clone, err);
    if (rc == 0)
        rc = example ? example_copy(cli->arena, example, clone, err)
                     : file_put(arena_printf(cli->arena, "%s/starter.yaml", clone),
                                share_text("starter.yaml"), 0644, err);
    for (size_t i = 0; rc == 0 && i < sizeof(inside) / sizeof(inside[0]); i++)
        rc = git_run(clone, inside[i], err);
    return rc;
}

/* ---- the command -------------------------------------------------------------------- */

/* A label out of the directory's name: it is the rack's name. */
static char *site_name(struct arena *arena, const char *dir)
{
    const char *slash = strrchr(dir, '/');
    char *name = arena_text(arena, slash ? slash + 1 : dir);
    size_t len = 0;

    for (const char *c = name; *c && len < 63; c++) {
        char lower = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
        bool is_alnum = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9');

        if (is_alnum || (len > 0 && name[len - 1] != '-'))
            name[len++] = is_alnum ? lower : '-';
    }
    while (len > 0 && name[len - 1] == '-')
        len--;
    name[len] = '\0';
    return len > 0 ? name : arena_text(arena, "lab");
}

static int site_make(struct cli *cli, const char *dir, const char *drivers, const char *example,
                     struct error *err)
{
    char *name = site_name(cli->arena, dir);
    int rc;

    rc = file_put(arena_printf(cli->arena, "%s/spinel.yaml", dir),
                  arena_printf(cli->arena, site_form, name, drivers), 0644, err);
    if (rc == 0)
        rc = repository_make(cli->arena, dir, err);
    return rc < 0 ? rc : clone_make(cli, dir, example, err);
}

/* Half a site is none, and would be in the way of the next try. */
static void site_undo(struct cli *cli, const char *dir, bool is_own, struct error *err)
{
    bool is_clean = site_remove(cli->arena, dir, is_own);

    if (!is_clean)
        error_hint(err, "Remove what is left in %s before you try again.", dir);
    else if (!err->hint[0])
        error_hint(err, "What had been made of %s was removed again.", dir);
}

static const char *drivers_find(const struct cli *cli)
{
    const char *wanted = options.drivers ? options.drivers : geteuid() == 0 ? "host" : "sim";

    for (size_t i = 0; i < sizeof(driver_sets) / sizeof(driver_sets[0]); i++) {
        if (strcmp(driver_sets[i].name, wanted) == 0)
            return driver_sets[i].lines;
    }
    usage_error(cli, "--drivers takes host or sim, not '%s'", wanted);
    return NULL;
}

static int init_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    const char *asked = cli->operands[0];
    const char *drivers = drivers_find(cli);
    const char *example = NULL;
    char dir[PATH_MAX];
    bool is_own;
    int rc;

    if (!drivers)
        return EXIT_BAD_USAGE;
    rc = example_find(cli, &example, &err);
    if (rc == 0)
        rc = dir_make(asked, &err);
    is_own = rc > 0;
    if (rc >= 0 && !realpath(asked, dir))
        rc = error_sys(&err, "cannot find %s", asked);
    if (rc >= 0) {
        rc = site_make(cli, dir, drivers, example, &err);
        if (rc < 0)
            site_undo(cli, dir, is_own, &err);
    }
    if (rc < 0)
        return fail(cli, &err);
    printf("Made %s/spinel.yaml, %s/manifests.git and the clone %s/manifests,\n"
           "with %s committed and not yet pushed.\n",
           asked, asked, asked, example ? "the example" : "a first example");
    if (strstr(drivers, "{default: sim}\n"))
        puts("The sim driver plays the machines; --drivers=host makes real ones, as root.");
    else if (geteuid() != 0)
        puts("Its drivers need root: run 'spinel serve' as root, or make a site with "
             "--drivers=sim.");
    printf("\nNext:\n  spinel --site %s/spinel.yaml serve &\n  git -C %s/manifests push\n", asked,
           asked);
    return EXIT_OK;
}

static const struct poptOption init_options[] = {
    {"example", 0, POPT_ARG_STRING, &options.example, 0,
     "an example's name, or a directory; quickstart", "NAME"},
    {"drivers", 0, POPT_ARG_STRING, &options.drivers, 0, "host (as root) or sim", "SET"},
    POPT_TABLEEND,
};

const struct command init_command = {
    .name = "init",
    .group = "Start",
    .operands = "DIR",
    .help = "make a site: its file, a repository with hooks, and a clone with an example",
    .details = "DIR is new or empty. Nothing runs and nothing is pushed yet.",
    .options = init_options,
    .least = 1,
    .most = 1,
    .run = init_run,
};
