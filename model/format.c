/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Texts with a grammar: one function each, one table. A refusal says what was
 * probably meant, because most of these are typed by hand.
 */
#include "model/format.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/net.h"

typedef int format_fn(struct arena *arena, const char *text, const char **canonical,
                      struct error *err);

bool format_is_label(const char *text)
{
    size_t len = strlen(text);

    return len >= 1 && len <= 63 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len &&
           *text != '-' && text[len - 1] != '-';
}

static int label_read(struct arena *arena, const char *text, const char **canonical,
                      struct error *err)
{
    (void)arena;
    if (!format_is_label(text))
        return error_set(err, ERR_INVALID,
                         "\"%.80s\" is not a name; use a-z, 0-9 and - inside, at most 63 "
                         "characters",
                         text);
    *canonical = text;
    return 0;
}

static int cidr_read(struct arena *arena, const char *text, const char **canonical,
                     struct error *err)
{
    char buf[PREFIX_MAX_TEXT];
    struct prefix prefix;
    struct prefix network;

    if (prefix_read(text, &prefix, err) < 0)
        return (int)err->code;
    network = prefix_network(&prefix);
    prefix_text(&network, buf);
    if (!address_equal(&network.address, &prefix.address))
        return error_set(err, ERR_INVALID, "\"%s\" has host bits set; did you mean %s?", text, buf);
    *canonical = arena_text(arena, buf);
    return 0;
}

static int address_format(struct arena *arena, const char *text, const char **canonical,
                          struct error *err)
{
    char buf[ADDRESS_MAX_TEXT];
    struct address address;

    if (address_read(text, &address, err) < 0)
        return (int)err->code;
    *canonical = arena_text(arena, address_text(&address, buf));
    return 0;
}

static int mac_format(struct arena *arena, const char *text, const char **canonical,
                      struct error *err)
{
    char buf[MAC_TEXT];
    struct mac mac;

    if (mac_read(text, &mac, err) < 0)
        return (int)err->code;
    if (mac.bytes[0] & 1)
        return error_set(err, ERR_INVALID,
                         "\"%s\" is a multicast MAC; the second digit must be even", text);
    *canonical = arena_text(arena, mac_text(&mac, buf));
    return 0;
}

static int url_read(struct arena *arena, const char *text, const char **canonical,
                    struct error *err)
{
    static const char *const schemes[] = {"https://", "http://", "file:///"};

    (void)arena;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]);

        if (strncmp(text, schemes[i], len) == 0 && text[len] && !strpbrk(text, " \t\r\n\"'\\")) {
            *canonical = text;
            return 0;
        }
    }
    return error_set(err, ERR_INVALID,
                     "\"%.200s\" is not a URL that can be fetched; it starts with https://, "
                     "http:// or file:/// and holds no blank",
                     text);
}

static int digest_read(struct arena *arena, const char *text, const char **canonical,
                       struct error *err)
{
    size_t want = strncmp(text, "sha256:", 7) == 0   ? 64
                  : strncmp(text, "sha512:", 7) == 0 ? 128
                                                     : 0;
    char *lower;

    if (want == 0)
        return error_set(err, ERR_INVALID,
                         "\"%.40s\" is not a digest; it starts with sha256: or sha512:", text);
    if (strlen(text + 7) != want || strspn(text + 7, "0123456789abcdefABCDEF") != want)
        return error_set(err, ERR_INVALID,
                         "the digest has %zu characters; %.6s has %zu hexadecimal "
                         "digits",
                         strlen(text + 7), text, want);
    lower = arena_text(arena, text);
    for (char *c = lower; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    *canonical = lower;
    return 0;
}

/* True if a component of the path is exactly "..". */
static bool path_climbs(const char *path)
{
    for (const char *at = path; (at = strstr(at, "/..")) != NULL; at += 3)
        if (at[3] == '/' || at[3] == '\0')
            return true;
    return false;
}

static int path_read(struct arena *arena, const char *text, const char **canonical,
                     struct error *err)
{
    char *path = arena_text(arena, text);
    char *to = path;

    if (*text != '/')
        return error_set(err, ERR_INVALID, "\"%.200s\" is not an absolute path", text);
    if (path_climbs(text))
        return error_set(err, ERR_INVALID, "\"%.200s\" climbs with \"..\"; write the path out",
                         text);
    for (const char *from = text; *from; from++) {
        bool is_dot = from[0] == '/' && from[1] == '.' && (from[2] == '/' || from[2] == '\0');

        if (is_dot)
            from++;
        else if (!(from[0] == '/' && (from[1] == '/' || from[1] == '\0')))
            *to++ = *from;
    }
    if (to == path)
        *to++ = '/';
    *to = '\0';
    *canonical = path;
    return 0;
}

/* A port number at *at; moves *at behind it. 0 if there is none from 1 to 65535. */
static long port_read(const char **at)
{
    long port = 0;
    const char *start = *at;

    for (; isdigit((unsigned char)**at) && port <= 65535; (*at)++)
        port = port * 10 + (**at - '0');
    return *at == start || port > 65535 ? 0 : port;
}

static int ports_read(struct arena *arena, const char *text, const char **canonical,
                      struct error *err)
{
    const char *at = text;
    long first = port_read(&at);
    long last = first;

    if (*at == '-') {
        at++;
        last = port_read(&at);
    }
    if (first == 0 || last == 0 || *at)
        return error_set(err, ERR_INVALID,
                         "\"%.40s\" is not a port or a range; write 80 or \"8000-8080\", from 1 to "
                         "65535",
                         text);
    if (first > last)
        return error_set(err, ERR_INVALID, "\"%s\" ends before it starts; did you mean %ld-%ld?",
                         text, last, first);
    *canonical = first == last ? arena_printf(arena, "%ld", first)
                               : arena_printf(arena, "%ld-%ld", first, last);
    return 0;
}

/* The key's type as it stands inside its base64, which must be the one in front. */
static bool key_type_matches(const char *type, size_t type_len, const char *blob, size_t blob_len)
{
    unsigned char bytes[8192];
    size_t len;
    size_t inner;

    if (sodium_base642bin(bytes, sizeof(bytes), blob, blob_len, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        len < 4)
        return false;
    inner = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
    return inner == type_len && len > 4 + inner && memcmp(bytes + 4, type, inner) == 0;
}

static int ssh_key_read(struct arena *arena, const char *text, const char **canonical,
                        struct error *err)
{
    size_t end = strlen(text);
    size_t type_len = strcspn(text, " ");
    const char *blob = text + type_len + strspn(text + type_len, " ");
    size_t blob_len = strcspn(blob, " \n");

    while (end > 0 && isspace((unsigned char)text[end - 1]))
        end--;
    if (memchr(text, '\n', end))
        return error_set(err, ERR_INVALID, "a public key is one line");
    if (strstr(text, "PRIVATE KEY"))
        return error_set(err, ERR_INVALID,
                         "this is a private key; give the .pub file's line, and "
                         "take the private one out of the repository's history");
    if (!key_type_matches(text, type_len, blob, blob_len))
        return error_set(err, ERR_INVALID,
                         "this is not a public key as ssh-keygen writes it: "
                         "\"ssh-ed25519 AAAA... comment\"");
    *canonical = arena_text_n(arena, text, end);
    return 0;
}

static int time_read(struct arena *arena, const char *text, const char **canonical,
                     struct error *err)
{
    (void)arena;
    if (strlen(text) == 5 && isdigit((unsigned char)text[0]) && isdigit((unsigned char)text[1]) &&
        text[2] == ':' && isdigit((unsigned char)text[3]) && isdigit((unsigned char)text[4]) &&
        atoi(text) < 24 && atoi(text + 3) < 60) {
        *canonical = text;
        return 0;
    }
    return error_set(err, ERR_INVALID, "\"%.40s\" is not a time of day; write it as 02:00", text);
}

static const struct {
    const char *name;
    format_fn *read;
} formats[] = {
    {"address", address_format}, {"cidr", cidr_read},       {"digest", digest_read},
    {"label", label_read},       {"mac", mac_format},       {"path", path_read},
    {"ports", ports_read},       {"ssh-key", ssh_key_read}, {"time-of-day", time_read},
    {"url", url_read},
};

bool format_is_known(const char *format)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (strcmp(formats[i].name, format) == 0)
            return true;
    return false;
}

int format_read(struct arena *arena, const char *format, const char *text, const char **canonical,
                struct error *err)
{
    size_t i = 0;

    while (strcmp(formats[i].name, format) != 0) {
        i++;
        invariant(i < sizeof(formats) / sizeof(formats[0]),
                  "a kind names the format %s, which there is not", format);
    }
    return formats[i].read(arena, text, canonical, err);
}

/* What Kubernetes takes as the name of a label, or as its value. */
static bool is_label_word(const char *text, size_t len)
{
    if (len < 1 || len > 63 || !isalnum((unsigned char)text[0]) ||
        !isalnum((unsigned char)text[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("-_.", text[i]))
            return false;
    return true;
}

static bool is_subdomain(const char *text, size_t len)
{
    if (len < 1 || len > 253 || !isalnum((unsigned char)text[0]) ||
        !isalnum((unsigned char)text[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i]) &&
            !strchr("-.", text[i]))
            return false;
    return true;
}

int format_label_key(const char *key, struct error *err)
{
    const char *slash = strchr(key, '/');
    const char *word = slash ? slash + 1 : key;

    if ((slash && !is_subdomain(key, (size_t)(slash - key))) || !is_label_word(word, strlen(word)))
        return error_set(err, ERR_INVALID,
                         "\"%.80s\" is not a label; use letters, digits, -, _ and ., at most 63 of "
                         "them, with an optional domain and / in front",
                         key);
    return 0;
}

int format_label_value(const char *value, struct error *err)
{
    if (*value && !is_label_word(value, strlen(value)))
        return error_set(err, ERR_INVALID,
                         "\"%.80s\" is not a label's value; use letters, digits, -, _ and ., at "
                         "most 63 of them",
                         value);
    return 0;
}
