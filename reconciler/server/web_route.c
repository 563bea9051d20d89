/* SPDX-License-Identifier: MPL-2.0 */
/* Which path gives what. The page's own files are compiled in. */
#include "reconciler/server/web.h"

#include <string.h>

/* Made by model/embed.sh. */
struct web_file {
    const char *name, *text;
    size_t len;
};
extern const struct web_file web_files[];
extern const uint64_t web_files_count;

/* By the name's end. */
static const struct {
    const char *end, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},   {".svg", "image/svg+xml"},
    {".json", "application/json"},
};

/* Those that have a path of their own; each other file's is its name. */
static const struct {
    const char *path, *name;
} pages[] = {
    {"/", "index.html"},
    {"/api/v1/openapi.json", "openapi.json"},
};

static struct value *status(struct view *view, struct asked *asked, struct error *err)
{
    return view_status(view, asked->arena, err);
}

static const struct {
    const char *path;
    bool is_prefix; /* what follows is the object's uid */
    struct value *(*make)(struct view *view, struct asked *asked, struct error *err);
} documents[] = {
    {"/api/v1/status", false, status},
    {"/api/v1/resources", false, view_resources},
    {"/api/v1/resources/", true, view_resource},
    {"/api/v1/network", false, view_network},
    {"/api/v1/plan", false, view_plan},
    {"/api/v1/drift", false, view_drift},
    {"/api/v1/events", false, view_events},
    {"/api/v1/revisions", false, view_revisions},
    {"/api/v1/operations", false, view_operations},
    {"/api/v1/trace", false, view_trace},
};

static const struct {
    const char *path;
    void (*answer)(struct asked *asked, struct answer *answer);
} others[] = {
    {"/api/v1/stream", stream_begin},
    {"/metrics", metrics_write},
};

static unsigned status_of(const struct error *err)
{
    switch (err->code) {
    case ERR_NOT_FOUND:
        return MHD_HTTP_NOT_FOUND;
    case ERR_INVALID:
        return MHD_HTTP_BAD_REQUEST;
    case ERR_BUSY:
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    default:
        return MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
}

static bool page_answer(const char *path, struct answer *answer)
{
    const char *name = path + 1, *end;
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (strcmp(path, pages[i].path) == 0)
            name = pages[i].name;
    for (uint64_t i = 0; i < web_files_count; i++) {
        if (strcmp(web_files[i].name, name) != 0)
            continue;
        text_add_n(&answer->body, web_files[i].text, web_files[i].len);
        answer->is_fixed = true;
        end = strrchr(name, '.');
        for (size_t t = 0; end && t < sizeof types / sizeof *types; t++)
            if (strcmp(end, types[t].end) == 0)
                answer->type = types[t].type;
        return true;
    }
    return false;
}

static bool path_matches(const char *path, const char *wanted, bool is_prefix, const char **rest)
{
    size_t len = strlen(wanted);
    *rest = path + len;
    return is_prefix ? strncmp(path, wanted, len) == 0 && path[len] : strcmp(path, wanted) == 0;
}

void route(struct asked *asked, struct answer *answer)
{
    if (page_answer(asked->path, answer))
        return;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(asked->path, others[i].path) == 0) {
            others[i].answer(asked, answer);
            return;
        }
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct error err = ERROR_INIT;
        if (!path_matches(asked->path, documents[i].path, documents[i].is_prefix, &asked->rest))
            continue;
        const struct value *made = documents[i].make(asked->web->view, asked, &err);
        if (asked->wrong)
            answer_problem(answer, asked->arena, MHD_HTTP_BAD_REQUEST, asked->wrong);
        else if (made)
            answer_json(answer, asked->arena, made);
        else
            answer_problem(answer, asked->arena, status_of(&err), err.message);
        return;
    }
    answer_problem(answer, asked->arena, MHD_HTTP_NOT_FOUND, "There is nothing at this path.");
}
