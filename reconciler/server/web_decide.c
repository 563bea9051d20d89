/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Approvals and freezes from the page. There is no cookie, so no other site can have a
 * browser send one: who decides sends the site's token in a header of its own, which a
 * foreign page may not set without being asked first (and we never answer that question).
 */
#include "reconciler/server/web.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/json.h"
#include "model/when.h"
#include "reconciler/server/control.h"

enum { TOKEN_MAX = 512, TOKEN_LEAST = 16, ANSWER_MS = 3000 };

bool decisions_are_allowed(const struct site *site)
{
    return site->web_token_file != NULL;
}

/* Read anew each time, so that a new token is in force at once. */
static int token_read(const char *path, char token[TOKEN_MAX], struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_sys(err, "cannot read the token's file");
    ssize_t got = fstat(fd, &st) == 0 ? read(fd, token, TOKEN_MAX - 1) : -1;
    close(fd);
    if (got < 0)
        return error_sys(err, "cannot read the token's file");
    token[got] = '\0';
    token[strcspn(token, "\r\n")] = '\0';
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return error_set(err, ERR_DENIED, "the token's file may be read by others: chmod 600");
    if (strlen(token) < TOKEN_LEAST)
        return error_set(err, ERR_DENIED, "the token is shorter than %d characters", TOKEN_LEAST);
    return 0;
}

static bool is_equal(const char *a, const char *b)
{
    unsigned char left[32], right[32];
    crypto_generichash(left, sizeof left, (const unsigned char *)a, strlen(a), NULL, 0);
    crypto_generichash(right, sizeof right, (const unsigned char *)b, strlen(b), NULL, 0);
    return sodium_memcmp(left, right, sizeof left) == 0;
}

static const char *header(const struct asked *asked, const char *name)
{
    return MHD_lookup_connection_value(asked->connection, MHD_HEADER_KIND, name);
}

static bool is_of_this_page(const struct asked *asked)
{
    const char *site = header(asked, "Sec-Fetch-Site"), *origin = header(asked, "Origin");
    const char *host = header(asked, MHD_HTTP_HEADER_HOST);
    const char *type = header(asked, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *place = origin ? strstr(origin, "://") : NULL;
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return false;
    if (origin && (!place || !host || strcmp(place + 3, host) != 0))
        return false;
    return type && strncmp(type, "application/json", strlen("application/json")) == 0;
}

/* 0, or the status that is refused with; `err` says why. */
static unsigned refusal(const struct asked *asked, struct error *err)
{
    static const char scheme[] = "Bearer ";
    const char *given = header(asked, MHD_HTTP_HEADER_AUTHORIZATION);
    char token[TOKEN_MAX];
    if (!is_of_this_page(asked)) {
        error_set(err, ERR_DENIED,
                  "A decision is JSON, and comes from this page or from a script.");
        return MHD_HTTP_FORBIDDEN;
    }
    if (token_read(asked->web->site->web_token_file, token, err) < 0)
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    bool is_good = given && strncmp(given, scheme, strlen(scheme)) == 0 &&
                   is_equal(given + strlen(scheme), token);
    sodium_memzero(token, sizeof token);
    if (is_good)
        return 0;
    error_set(err, ERR_DENIED, "The token is missing or wrong.");
    return MHD_HTTP_UNAUTHORIZED;
}

static const char *freeze_params(struct arena *arena, const struct value *body,
                                 struct value *params, struct error *err)
{
    static const char *const whats[] = {"changes", "healing", "deletions"};
    const char *what = value_get_text(body, "what", ""), *why = value_get_text(body, "why", "");
    const struct value *end = value_get(body, "until");
    const char *until = value_is_text(end) ? end->text : NULL;
    int64_t at = 0;
    bool is_known = false;
    for (size_t i = 0; i < sizeof whats / sizeof *whats; i++)
        is_known = is_known || strcmp(what, whats[i]) == 0;
    if (!is_known || !*why) {
        error_set(err, ERR_INVALID, "A freeze says what (changes, healing or deletions) and why.");
        return NULL;
    }
    if (end && end->type != VALUE_NULL && !until) { /* without one, it would have no end */
        error_set(err, ERR_INVALID,
                  "The end of a freeze is a text: a time, or a duration such as 2h.");
        return NULL;
    }
    if (until && *until && when_read(until, 1, &at, err) < 0)
        return NULL;
    if (until && *until && at <= when_now()) {
        error_set(err, ERR_INVALID, "The end of a freeze is over already: %s.", until);
        return NULL;
    }
    value_set_text(arena, params, "what", what);
    value_set_text(arena, params, "why", why);
    value_set_int(arena, params, "until", at);
    return "freeze";
}

static const char *approve_params(struct arena *arena, const struct value *body,
                                  struct value *params, struct error *err)
{
    const char *hold = value_get_text(body, "hold", "");
    value_set_text(arena, params, "hold", hold);
    if (*hold)
        return "approve";
    error_set(err, ERR_INVALID, "An approval names its hold.");
    return NULL;
}

static const char *lift_params(struct arena *arena, const struct value *body, struct value *params,
                               struct error *err)
{
    const char *what = value_get_text(body, "what", "");
    value_set_text(arena, params, "what", what);
    if (*what)
        return "lift";
    error_set(err, ERR_INVALID, "Lifting a freeze says what was frozen.");
    return NULL;
}

static const struct {
    const char *path;
    const char *(*params)(struct arena *arena, const struct value *body, struct value *params,
                          struct error *err);
} decisions[] = {
    {"/api/v1/approve", approve_params},
    {"/api/v1/freeze", freeze_params},
    {"/api/v1/lift", lift_params},
};

static unsigned status_of(const struct error *err)
{
    return err->code == ERR_INVALID     ? MHD_HTTP_BAD_REQUEST
           : err->code == ERR_NOT_FOUND ? MHD_HTTP_NOT_FOUND
           : err->code == ERR_CONFLICT  ? MHD_HTTP_CONFLICT
                                        : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static int core_tell(const struct asked *asked, const char *method, struct value *params,
                     struct error *err)
{
    struct control *control = NULL;
    struct value *result = NULL;
    int status = control_open(asked->web->site, &control, err);
    if (status == ERR_NOT_FOUND)
        return error_set(err, ERR_BUSY, "The daemon is not up; nothing was decided.");
    if (status == 0)
        status = control_call(control, asked->arena, method, params, ANSWER_MS, &result, NULL, err);
    control_close(control);
    return status;
}

void decide(struct asked *asked, struct answer *answer)
{
    struct arena *arena = asked->arena;
    struct error err = ERROR_INIT;
    struct value *body = NULL, *params = value_map(arena);
    const char *method = NULL;
    unsigned status = refusal(asked, &err);
    if (!status &&
        (json_read(arena, asked->body, asked->body_len, &body, &err) < 0 || !value_is_map(body)))
        status = MHD_HTTP_BAD_REQUEST;
    if (status) {
        answer_problem(answer, arena, status, err.message[0] ? err.message : "It is no object.");
        return;
    }
    value_set_text(arena, params, "who", "the viewer's token");
    bool is_known = false;
    for (size_t i = 0; i < sizeof decisions / sizeof *decisions && !method; i++) {
        if (strcmp(asked->path, decisions[i].path) != 0)
            continue;
        is_known = true;
        method = decisions[i].params(arena, body, params, &err);
    }
    if (!is_known)
        answer_problem(answer, arena, MHD_HTTP_NOT_FOUND, "There is nothing to decide here.");
    else if (!method || core_tell(asked, method, params, &err) < 0)
        answer_problem(answer, arena, status_of(&err), err.message);
    else
        answer_json(answer, arena, params);
}
