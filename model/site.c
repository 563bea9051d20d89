/* SPDX-License-Identifier: MPL-2.0 */
/* The site file is checked like any manifest; only its paths are made absolute. */
#include "model/site.h"

#include <string.h>

#include "model/arena.h"
#include "model/document.h"
#include "model/error.h"
#include "model/invariant.h"
#include "model/yaml.h"

static const char *dir_of(struct arena *arena, const char *file)
{
    const char *slash = strrchr(file, '/');

    if (!slash)
        return ".";
    return slash == file ? "/" : arena_text_n(arena, file, (size_t)(slash - file));
}

/* `path` seen from `dir`; a leading "./" goes. NULL stays NULL. */
static const char *path_from(struct arena *arena, const char *dir, const char *path)
{
    if (!path || *path == '/')
        return path;
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    if (strcmp(path, ".") == 0 || *path == '\0')
        return dir;
    return arena_printf(arena, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, path);
}

static void repository_read(struct arena *arena, struct site *site, const struct value *spec)
{
    const struct value *given = value_get(spec, "repository");

    site->repository.path = path_from(arena, site->dir, value_get_text(given, "path", NULL));
    site->repository.branch = value_get_text(given, "branch", NULL);
    site->repository.subdir = value_get_text(given, "subdir", NULL);
    site->repository.owner = value_get_text(given, "owner", NULL);
    site->repository.max_files = value_get_int(given, "maxFiles", 0);
    site->repository.max_bytes = value_get_int(given, "maxBytes", 0);
}

static void driver_dirs_read(struct arena *arena, struct site *site, const struct value *spec)
{
    const struct value *given = value_get(spec, "driverDirs");
    invariant(value_is_list(given), "%s has passed, and its driverDirs are no list", site->file);
    const char **dirs = arena_array(arena, given->count, sizeof(*dirs));

    for (size_t i = 0; i < given->count; i++)
        dirs[i] = path_from(arena, site->dir, given->items[i]->text);
    site->driver_dirs = dirs;
    site->driver_dir_count = given->count;
}

static void spec_read(struct arena *arena, struct site *site, const struct value *spec)
{
    const struct value *budget = value_get(spec, "deletionBudget");

    repository_read(arena, site, spec);
    driver_dirs_read(arena, site, spec);
    site->state_dir = path_from(arena, site->dir, value_get_text(spec, "stateDir", NULL));
    site->key_file = path_from(arena, site->dir, value_get_text(spec, "keyFile", NULL));
    site->user = value_get_text(spec, "user", NULL);
    site->drivers = value_get(spec, "drivers");
    site->settings = value_get(spec, "settings");
    site->parallelism = value_get_int(spec, "parallelism", 0);
    site->resync_s = value_get_int(spec, "resync", 0);
    site->push_wait_s = value_get_int(spec, "pushWait", 0);
    site->web_listen = value_at_text(spec, "web.listen", NULL);
    site->web_user = value_at_text(spec, "web.user", NULL);
    site->web_token_file = path_from(arena, site->dir, value_at_text(spec, "web.tokenFile", NULL));
    site->log_format = value_at_text(spec, "log.format", NULL);
    site->traces_otlp = value_at_text(spec, "traces.otlp", NULL);
    site->budget.count = value_get_int(budget, "count", 0);
    site->budget.percent = value_get_int(budget, "percent", 0);
    site->budget.collapse_percent = value_get_int(budget, "collapsePercent", 0);
}

/* An absolute path without "//", "." and "..", as written: nothing is looked at. */
static char *path_plain(struct arena *arena, const char *path)
{
    char *plain = arena_alloc(arena, strlen(path) + 2);
    size_t len = 0;

    while (*path) {
        size_t part = strcspn(path, "/");

        if (part == 2 && strncmp(path, "..", 2) == 0) {
            while (len > 0 && plain[--len] != '/')
                ;
        } else if (part > 0 && !(part == 1 && path[0] == '.')) {
            plain[len++] = '/';
            memcpy(plain + len, path, part);
            len += part;
        }
        path += part;
        path += *path == '/';
    }
    plain[len] = '\0';
    return plain;
}

/* Whether `path` is `dir` or below it. */
static bool is_within(struct arena *arena, const char *path, const char *dir)
{
    const char *inner = path_plain(arena, path), *outer = path_plain(arena, dir);
    size_t len = strlen(outer);

    return strncmp(inner, outer, len) == 0 && (inner[len] == '/' || inner[len] == '\0');
}

static struct position place_of(const struct value *spec, const char *name, struct position at)
{
    const struct value *given = value_get(spec, name);

    return given && given->at.line ? given->at : at;
}

/* What is lost together, or would be given away with the other, is not kept together. */
static void places_check(struct arena *arena, const struct site *site,
                         const struct document *document, struct report *report)
{
    struct position state = place_of(document->spec, "stateDir", document->at);

    if (site->web_user && !site->user)
        report_add(report, place_of(document->spec, "web", document->at), "bad-site",
                   "web.user: the store would be root's, which %s may not read; name user, too",
                   site->web_user);
    if (path_plain(arena, site->state_dir)[0] == '\0')
        report_add(report, state, "bad-site",
                   "stateDir: / is the whole machine; give Spinel a directory of its own");
    else if (is_within(arena, site->state_dir, site->repository.path))
        report_add(report, state, "bad-site",
                   "stateDir: %s is within the repository; give it a directory of its own",
                   site->state_dir);
    else if (is_within(arena, site->key_file, site->state_dir))
        report_add(report, place_of(document->spec, "keyFile", document->at), "bad-site",
                   "keyFile: %s is within stateDir, whose loss or copy must not be that of the key",
                   site->key_file);
    else if (is_within(arena, site->key_file, site->repository.path))
        report_add(report, place_of(document->spec, "keyFile", document->at), "bad-site",
                   "keyFile: %s is within the repository, which others may read", site->key_file);
}

int site_read(struct arena *arena, const char *file, const char *dir, const char *data, size_t len,
              struct site **out, struct report *report)
{
    struct checker checker = {.arena = arena, .report = report};
    size_t before = report->count;
    struct document document;
    const struct value *spec;
    struct value *docs;
    struct site *site;

    if (yaml_read(arena, file, data, len, &docs, report) < 0)
        return ERR_INVALID;
    if (docs->count != 1) {
        report_add(report, (struct position){file, 1, 1}, "bad-site",
                   "a site file has one document, and this has %zu", docs->count);
        return ERR_INVALID;
    }
    if (!document_check(&checker, docs->items[0], DOCUMENT_SITE, &document))
        return ERR_INVALID;
    spec = check_spec(&checker, document.kind, document.spec, document.at);
    if (report->count > before)
        return ERR_INVALID;
    site = arena_alloc(arena, sizeof(*site));
    site->name = document.name;
    site->file = arena_text(arena, file);
    site->dir = dir ? arena_text_n(arena, dir, strlen(dir)) : dir_of(arena, file);
    spec_read(arena, site, spec);
    invariant(site->state_dir && site->key_file && site->repository.path && site->dir,
              "%s has passed, and names not all of its places", file);
    places_check(arena, site, &document, report);
    if (report->count > before)
        return ERR_INVALID;
    *out = site;
    return 0;
}

const char *site_driver(const struct site *site, const char *class)
{
    const char *driver = value_get_text(site->drivers, class, NULL);

    return driver ? driver : value_get_text(site->drivers, "default", NULL);
}

const struct value *site_settings(const struct site *site, const char *driver)
{
    return value_get(site->settings, driver);
}
