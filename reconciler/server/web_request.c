/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A request, from its parameters to its answer. What a browser may do with the page is
 * said in the headers of every answer.
 */
#include "reconciler/server/web.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "model/digest.h"
#include "model/invariant.h"
#include "model/json.h"

enum { BODY_BYTES_MAX = 4 << 10, URL_BYTES_MAX = 8 << 10, PARAMETERS_MAX = 64 };

const char *asked_text(const struct asked *asked, const char *name)
{
    return MHD_lookup_connection_value(asked->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* The first that is wrong is told, and the request refused. */
static void asked_wrong(struct asked *asked, const char *name, const char *what)
{
    if (!asked->wrong)
        asked->wrong = arena_printf(asked->arena, "The parameter %s has to be %s.", name, what);
}

int64_t asked_int(struct asked *asked, const char *name, int64_t fallback, int64_t least,
                  int64_t most)
{
    const char *text = asked_text(asked, name);
    char *end = NULL;
    if (!text)
        return fallback;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || !*text || *end || value < least || value > most) {
        asked_wrong(asked, name,
                    most == INT64_MAX
                        ? arena_printf(asked->arena, "a number from %lld on", (long long)least)
                        : arena_printf(asked->arena, "a number from %lld to %lld", (long long)least,
                                       (long long)most));
        return fallback;
    }
    return value;
}

size_t asked_choice(struct asked *asked, const char *name, const char *const *choices, size_t count)
{
    const char *text = asked_text(asked, name);
    const char *all = "";
    if (!text || !*text)
        return count;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, choices[i]) == 0)
            return i;
        all = arena_printf(asked->arena, "%s%s%s", all, i ? ", " : "one of ", choices[i]);
    }
    asked_wrong(asked, name, all);
    return count;
}

/* A name that another site's page could have pointed at us is no name of ours
 * (DNS rebinding); by address or as localhost everybody may ask. */
static bool host_is_ours(const struct asked *asked)
{
    const char *host =
        MHD_lookup_connection_value(asked->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST}, *found = NULL;
    if (!host || !asked->web->host)
        return true;
    const char *colon = strrchr(host, ':');
    bool has_port = colon && !strchr(colon, ']') && (host[0] == '[' || strchr(host, ':') == colon);
    size_t len = has_port ? (size_t)(colon - host) : strlen(host);
    const char *name = host[0] == '[' && len > 2 ? arena_text_n(asked->arena, host + 1, len - 2)
                                                 : arena_text_n(asked->arena, host, len);
    if (strcmp(name, "localhost") == 0 || strcmp(name, asked->web->host) == 0)
        return true;
    bool is_address = getaddrinfo(name, NULL, &hints, &found) == 0;
    if (is_address)
        freeaddrinfo(found);
    return is_address;
}

static enum MHD_Result length_count(void *count, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    (void)kind, (void)value;
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0 ||
        strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0)
        ++*(unsigned *)count;
    return MHD_YES;
}

/* A proxy before us may go by the other one, and what is a body to it is a request to us
 * (RFC 9112, 6.3). */
static bool lengths_are_two(const struct asked *asked)
{
    unsigned count = 0;
    MHD_get_connection_values(asked->connection, MHD_HEADER_KIND, length_count, &count);
    return count > 1;
}

static void headers_add(struct MHD_Response *response, const struct answer *answer)
{
    static const char *const headers[][2] = {
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
         "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cache-Control", "no-cache"},
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (answer->type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    if (answer->is_last)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
}

/* Turns into 304 what the browser has already. */
static const char *etag_apply(struct asked *asked, struct answer *answer)
{
    char digest[DIGEST_TEXT];
    const char *known = MHD_lookup_connection_value(asked->connection, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_IF_NONE_MATCH);
    if (answer->status != MHD_HTTP_OK)
        return NULL;
    digest_bytes(answer->body.data, answer->body.len, digest);
    const char *etag = arena_printf(asked->arena, "\"%.32s\"", digest);
    if (known && strstr(known, etag)) {
        answer->status = MHD_HTTP_NOT_MODIFIED;
        text_reset(&answer->body);
    }
    return etag;
}

static enum MHD_Result answer_send(struct asked *asked, struct answer *answer)
{
    struct MHD_Response *response = answer->response;
    if (!response) {
        const char *etag = etag_apply(asked, answer);
        size_t len = answer->body.len;
        response = memory_need(
            MHD_create_response_from_buffer(len, text_take(&answer->body), MHD_RESPMEM_MUST_FREE));
        if (etag)
            MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, etag);
    }
    headers_add(response, answer);
    enum MHD_Result result = MHD_queue_response(asked->connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

/* What is there of a request: its URL, and what a POST carries, piece by piece. */
struct upload {
    struct text body;
    bool is_begun, is_too_long, has_long_url;
};

static struct upload *upload_of(void **state)
{
    struct upload *upload = *state;
    if (!upload) {
        upload = *state = memory_need(calloc(1, sizeof *upload));
        upload->body = (struct text)TEXT_INIT;
    }
    return upload;
}

/* For more parameters than it has memory, libmicrohttpd 0.9 leaves the connection without an
 * answer. It asks here before it looks for them, in a buffer of its own: there it finds none. */
void *url_came(void *context, const char *url, struct MHD_Connection *connection)
{
    void *state = NULL;
    struct upload *upload = upload_of(&state);
    char *query = url ? strchr(url, '?') : NULL;
    size_t parameters = 0;
    (void)context, (void)connection;
    for (const char *at = query; at; at = strchr(at + 1, '&'))
        parameters++;
    upload->has_long_url = parameters > PARAMETERS_MAX || (url && strlen(url) > URL_BYTES_MAX);
    if (upload->has_long_url && query)
        query[1] = '\0';
    return upload;
}

/* False: the request is not all there. What is answered before it is ends its connection, so
 * that even a GET is answered at the second call. */
static bool upload_take(void **state, const char *data, size_t *data_size)
{
    struct upload *upload = upload_of(state);
    if (!upload->is_begun) {
        upload->is_begun = true;
        return false;
    }
    if (!*data_size)
        return true;
    upload->is_too_long = upload->is_too_long || upload->body.len + *data_size > BODY_BYTES_MAX;
    if (!upload->is_too_long)
        text_add_n(&upload->body, data, *data_size);
    *data_size = 0;
    return false;
}

void request_ended(void *context, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode why)
{
    struct upload *upload = *state;
    struct web *web = context;
    (void)why;
    patience_begin(web->patience, connection);
    if (upload)
        text_free(&upload->body);
    free(upload);
    *state = NULL;
}

static void posted(struct asked *asked, struct answer *answer, const struct upload *upload)
{
    if (upload->is_too_long) {
        answer_problem(answer, asked->arena, MHD_HTTP_CONTENT_TOO_LARGE,
                       "A decision is shorter than this.");
        return;
    }
    asked->body = upload->body.data ? upload->body.data : "";
    asked->body_len = upload->body.len;
    decide(asked, answer);
}

enum MHD_Result request_came(void *context, struct MHD_Connection *connection, const char *url,
                             const char *method, const char *version, const char *data,
                             size_t *data_size, void **state)
{
    struct asked asked = {.web = context, .connection = connection, .path = url};
    struct answer answer = {.status = MHD_HTTP_OK, .body = TEXT_INIT};
    bool is_post =
        strcmp(method, MHD_HTTP_METHOD_POST) == 0 && decisions_are_allowed(asked.web->site);
    (void)version;
    if (!upload_take(state, data, data_size))
        return MHD_YES;
    patience_end(asked.web->patience, connection);
    asked.arena = arena_new();
    answer.is_last = lengths_are_two(&asked);
    if (answer.is_last)
        answer_problem(&answer, asked.arena, MHD_HTTP_BAD_REQUEST,
                       "A request has one length: one Content-Length, or one Transfer-Encoding.");
    else if (((const struct upload *)*state)->has_long_url)
        answer_problem(&answer, asked.arena, MHD_HTTP_URI_TOO_LONG,
                       arena_printf(asked.arena, "A URL has at most %d bytes and %d parameters.",
                                    URL_BYTES_MAX, PARAMETERS_MAX));
    else if (!is_post && strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
             strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        answer_problem(&answer, asked.arena, MHD_HTTP_METHOD_NOT_ALLOWED,
                       "The viewer is read-only: GET and HEAD are all it knows.");
    else if (!host_is_ours(&asked))
        answer_problem(&answer, asked.arena, MHD_HTTP_MISDIRECTED_REQUEST,
                       "This is not the host that was asked for. Use its address, or localhost.");
    else if (is_post)
        posted(&asked, &answer, *state);
    else
        route(&asked, &answer);
    enum MHD_Result result = answer_send(&asked, &answer);
    text_free(&answer.body);
    arena_free(asked.arena);
    return result;
}

/* ---- answers ------------------------------------------------------------------------ */

void answer_json(struct answer *answer, struct arena *arena, const struct value *value)
{
    text_add(&answer->body, json_text(arena, value));
    answer->type = "application/json";
}

void answer_problem(struct answer *answer, struct arena *arena, unsigned status, const char *detail)
{
    struct value *problem = value_map(arena);
    value_set_text(arena, problem, "type", "about:blank");
    value_set_text(arena, problem, "title", MHD_get_reason_phrase_for(status));
    value_set_int(arena, problem, "status", status);
    value_set_text(arena, problem, "detail", detail);
    text_reset(&answer->body);
    answer_json(answer, arena, problem);
    answer->status = status;
    answer->type = "application/problem+json";
}
