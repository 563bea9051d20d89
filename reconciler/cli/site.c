/* SPDX-License-Identifier: MPL-2.0 */
/* Finds and reads the site file. */
#include "reconciler/cli/site.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/report.h"
#include "model/text.h"
#include "reconciler/cli/problems.h"

enum { SITE_MAX = 1 << 20 };

static const char *site_path(const struct cli *cli, struct error *err)
{
    static const char *const places[] = {"./spinel.yaml", "/etc/spinel/spinel.yaml"};
    const char *named = getenv("SPINEL_SITE");

    if (cli->site_file)
        return cli->site_file;
    if (named && named[0])
        return named;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (access(places[i], F_OK) == 0)
            return places[i];
    }
    error_set(err, ERR_NOT_FOUND,
              "no site file: neither --site nor $SPINEL_SITE names one, and there is no %s or %s",
              places[0], places[1]);
    error_hint(err, "Make a site with 'spinel init DIR', or name its file with --site=FILE.");
    return NULL;
}

static int file_read(const char *path, struct text *text, struct error *err)
{
    FILE *in = fopen(path, "re");
    char chunk[4096];
    size_t len;
    int rc = 0;

    if (!in) {
        error_sys(err, "cannot read the site file %s", path);
        return error_hint(err,
                          "Make a site with 'spinel init DIR', or name its file with --site=FILE.");
    }
    while (text->len <= SITE_MAX && (len = fread(chunk, 1, sizeof(chunk), in)) > 0)
        text_add_n(text, chunk, len);
    if (ferror(in))
        rc = error_sys(err, "cannot read the site file %s", path);
    else if (text->len > SITE_MAX)
        rc = error_set(err, ERR_INVALID, "the site file %s is over 1MiB", path);
    fclose(in);
    return rc;
}

static int site_load(struct arena *arena, const char *path, const struct site **site,
                     struct error *err)
{
    struct text text = TEXT_INIT;
    struct report report;
    struct site *made;
    char resolved[PATH_MAX];
    char *end;
    int rc = file_read(path, &text, err);

    if (rc == 0 && !realpath(path, resolved))
        rc = error_sys(err, "cannot find the directory of %s", path);
    if (rc < 0)
        goto out;
    end = strrchr(resolved, '/');
    end[end == resolved] = '\0';
    report_init(&report, arena);
    if (site_read(arena, path, arena_text(arena, resolved), text.data, text.len, &made, &report) <
        0) {
        report_sort(&report);
        report_attach_source(&report, path, text.data, text.len);
        problems_print(&report);
        rc = error_set(err, ERR_INVALID, "the site file %s is not valid", path);
        error_hint(err, "'spinel explain site' tells what it may hold.");
        goto out;
    }
    *site = made;
out:
    text_free(&text);
    return rc;
}

int site_find(struct cli *cli, const struct site **site, struct error *err)
{
    const char *path = site_path(cli, err);

    return path ? site_load(cli->arena, path, site, err) : ERR_NOT_FOUND;
}
