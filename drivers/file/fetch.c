/* SPDX-License-Identifier: MPL-2.0 */
/* Bringing an image here: from a path or a URL, hashed while it is written, so that no
 * byte is ever used that was not verified. */
#include "drivers/file/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "drivers/file/reach.h"

enum {
    CONNECT_TIMEOUT_S = 10,
    STALL_BYTES_A_SECOND = 512,
    STALL_S = 30,
    REDIRECTS_MAX = 5,
    PROGRESS_EVERY_MS = 500,
    CHUNK = 1 << 18,
};

struct fetch {
    struct spinel_host *host;
    int fd; /* -1: only hash */
    bool is_sha512;
    crypto_hash_sha256_state sha256;
    crypto_hash_sha512_state sha512;
    int64_t done_bytes, limit_bytes;
    int64_t told_at_ms; /* time left when progress was last told */
    int failed_errno;
    bool is_too_long;
};

int checksum_read(const char *text, struct checksum *checksum, struct error *err)
{
    static const char digits[] = "0123456789abcdef";
    bool is_256 = strncmp(text, "sha256:", 7) == 0, is_512 = strncmp(text, "sha512:", 7) == 0;
    size_t len = is_512 ? 128 : 64;
    if ((!is_256 && !is_512) || strlen(text + 7) != len || strspn(text + 7, digits) != len)
        return error_set(err, ERR_INVALID,
                         "digest \"%.160s\" is not sha256: with 64 or sha512: with 128 "
                         "hexadecimal digits",
                         text);
    *checksum = (struct checksum){is_512, text + 7};
    return 0;
}

/* ---- hashing and writing ------------------------------------------------------------ */

static void fetch_begin(struct fetch *fetch)
{
    crypto_hash_sha256_init(&fetch->sha256);
    crypto_hash_sha512_init(&fetch->sha512);
    fetch->done_bytes = 0;
    fetch->told_at_ms = INT64_MAX;
}

static int fetch_take(struct fetch *fetch, const char *data, size_t len)
{
    fetch->done_bytes += (int64_t)len;
    if (fetch->done_bytes > fetch->limit_bytes) {
        fetch->is_too_long = true;
        return -1;
    }
    if (fetch->is_sha512)
        crypto_hash_sha512_update(&fetch->sha512, (const unsigned char *)data, len);
    else
        crypto_hash_sha256_update(&fetch->sha256, (const unsigned char *)data, len);
    while (fetch->fd >= 0 && len > 0) {
        ssize_t n = write(fetch->fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            fetch->failed_errno = errno;
            return -1;
        }
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static void fetch_tell(struct fetch *fetch, int64_t total_bytes)
{
    int64_t left_ms = spinel_remaining_ms(fetch->host);
    if (total_bytes <= 0 || fetch->told_at_ms - left_ms < PROGRESS_EVERY_MS)
        return;
    fetch->told_at_ms = left_ms;
    spinel_progress(fetch->host, (int)(fetch->done_bytes * 100 / total_bytes), "fetching image");
}

static void fetch_hex(struct fetch *fetch, char hex[129])
{
    unsigned char raw[64];
    if (fetch->is_sha512)
        crypto_hash_sha512_final(&fetch->sha512, raw);
    else
        crypto_hash_sha256_final(&fetch->sha256, raw);
    sodium_bin2hex(hex, 129, raw, fetch->is_sha512 ? 64 : 32);
}

static int too_long(const struct fetch *fetch, struct error *err)
{
    return error_set(err, ERR_INVALID, "it is larger than the limit of %" PRId64 " bytes",
                     fetch->limit_bytes);
}

static int fetch_fault(const struct fetch *fetch, struct error *err)
{
    if (fetch->is_too_long)
        return too_long(fetch, err);
    errno = fetch->failed_errno;
    return error_sys(err, "cannot write the image");
}

/* ---- from a path -------------------------------------------------------------------- */

/* Whether every user of the host gets as far as the file that is open: its own mode says nothing of
 * the directories above it. */
static bool is_in_open_directories(int fd)
{
    char link[32], path[PATH_MAX];
    struct stat st;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= 0 || path[0] != '/')
        return false;
    path[len] = '\0';
    for (char *slash = strrchr(path, '/'); slash != path; slash = strrchr(path, '/')) {
        *slash = '\0';
        if (stat(path, &st) < 0 || !(st.st_mode & S_IXOTH))
            return false;
    }
    return true;
}

/* We read as root, for somebody who may only push. What a machine shall be made from has to be a
 * file that every user of the host may read. */
static int path_open_public(const char *path, int *out, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        error_sys(err, "cannot open %s", path);
        error_hint(err, "Put the file there, or correct spec.path.");
    } else if (!S_ISREG(st.st_mode)) {
        error_set(err, ERR_DENIED, "%s is not a regular file", path);
    } else if (!(st.st_mode & S_IROTH)) {
        error_set(err, ERR_DENIED, "%s is not a file that everybody may read", path);
        error_hint(err,
                   "Whoever may push could read it in a machine. If that is meant: chmod o+r.");
    } else {
        *out = fd;
        return 0;
    }
    if (fd >= 0)
        close(fd);
    return err->code;
}

static int own_open(const char *path, int *out, struct error *err)
{
    *out = open(path, O_RDONLY | O_CLOEXEC);
    return *out < 0 ? error_sys(err, "cannot open %s", path) : 0;
}

/* Reads it all, and closes it. */
static int file_read(struct fetch *fetch, const char *path, int fd, struct error *err)
{
    char chunk[CHUNK];
    ssize_t got;
    int result = 0;
    off_t total = lseek(fd, 0, SEEK_END);
    if (total < 0 || lseek(fd, 0, SEEK_SET) < 0)
        result = error_sys(err, "cannot read %s", path);
    while (result == 0 && (got = read(fd, chunk, sizeof chunk)) != 0) {
        if (got < 0)
            result = error_sys(err, "cannot read %s", path);
        else if (fetch_take(fetch, chunk, (size_t)got) < 0)
            result = fetch_fault(fetch, err);
        else if (spinel_remaining_ms(fetch->host) == 0)
            result = error_set(err, ERR_BUSY, "time was up while %s was read", path);
        fetch_tell(fetch, (int64_t)total);
    }
    close(fd);
    return result;
}

/* ---- from a URL --------------------------------------------------------------------- */

static size_t url_body(char *data, size_t one, size_t len, void *context)
{
    (void)one;
    return fetch_take(context, data, len) < 0 ? CURL_WRITEFUNC_ERROR : len;
}

static int url_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
                        curl_off_t up_now)
{
    struct fetch *fetch = context;
    (void)now, (void)up_total, (void)up_now;
    fetch_tell(fetch, total);
    return spinel_remaining_ms(fetch->host) == 0;
}

/* Without any of them it would go elsewhere, or for longer, than it may. */
static bool is_url_set(CURL *curl, struct fetch *fetch, const char *url, char *reason)
{
    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https,http") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES_A_SECOND) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_S) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)fetch->limit_bytes) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_USERAGENT, "spinel") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, url_body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, url_progress) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XFERINFODATA, fetch) == CURLE_OK;
}

static int url_fault(const struct fetch *fetch, const char *url, CURLcode code, const char *reason,
                     struct error *err)
{
    switch (code) {
    case CURLE_ABORTED_BY_CALLBACK:
        return error_set(err, ERR_BUSY, "time was up after %" PRId64 " bytes of %s",
                         fetch->done_bytes, url);
    case CURLE_FILESIZE_EXCEEDED: /* the server said so before it sent any */
        return too_long(fetch, err);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return error_set(err, ERR_INVALID, "cannot download %s: %s", url, reason);
    default:
        error_set(err, ERR_BUSY, "cannot download %s: %s", url, reason);
        return error_hint(err, "Check that this host reaches it; it is tried again.");
    }
}

static int url_read(struct fetch *fetch, const char *url, struct error *err)
{
    char reason[CURL_ERROR_SIZE] = "";
    struct reach reach = {.curl = curl_easy_init()};
    if (!reach.curl)
        return error_set(err, ERR_SYSTEM, "libcurl cannot start");
    if (!is_url_set(reach.curl, fetch, url, reason) || !reach_guard(&reach)) {
        curl_easy_cleanup(reach.curl);
        return error_set(err, ERR_SYSTEM, "libcurl refuses an option that %s needs", url);
    }
    CURLcode code = curl_easy_perform(reach.curl);
    curl_easy_cleanup(reach.curl);
    if (code == CURLE_OK)
        return 0;
    if (fetch->is_too_long || fetch->failed_errno)
        return fetch_fault(fetch, err);
    if (reach.has_refused) {
        error_set(err, ERR_DENIED,
                  "cannot download %s: it leads to an address of this host itself or of its link",
                  url);
        return error_hint(err, "Put the image where other hosts reach it, or name the host in the "
                               "site file: settings.file.imageHosts.");
    }
    return url_fault(fetch, url, code, reason[0] ? reason : curl_easy_strerror(code), err);
}

/* ---- both --------------------------------------------------------------------------- */

int fetch_verified(struct spinel_host *host, const char *source, const struct checksum *expected,
                   int fd, int64_t size_limit_bytes, struct error *err)
{
    struct fetch fetch = {
        .host = host, .fd = fd, .is_sha512 = expected->is_sha512, .limit_bytes = size_limit_bytes};
    char hex[129];
    fetch_begin(&fetch);
    const char *path = strncmp(source, "file://", 7) == 0 ? source + 7 : source;
    bool is_url = path[0] != '/', is_secret = false;
    int from = -1, result;
    if (is_url)
        result = url_read(&fetch, source, err);
    else if ((result = path_open_public(path, &from, err)) == 0) {
        is_secret = !is_in_open_directories(from);
        result = file_read(&fetch, path, from, err);
    }
    if (result < 0)
        return result;
    fetch_hex(&fetch, hex);
    if (strcmp(hex, expected->hex) == 0)
        return 0;
    if (is_secret) {
        error_set(err, ERR_INVALID, "%s has another digest than %s", source, expected->hex);
        return error_hint(err, "Its digest is not told here: not every user of this host may enter "
                               "the directories above it. Compute it there.");
    }
    if (is_url) { /* nor may a push learn by two digests what this host reaches and others do not */
        error_set(err, ERR_INVALID, "%s has another digest than %s", source, expected->hex);
        return error_hint(err, "Download it where you are, compute its digest, and correct "
                               "spec.digest if these bytes are the wanted ones.");
    }
    error_set(err, ERR_INVALID, "%s has another digest: expected %s, found %s", source,
              expected->hex, hex);
    return error_hint(err, "Correct spec.digest if these bytes are the wanted ones.");
}

int checksum_matches(struct spinel_host *host, const char *path, const struct checksum *expected,
                     struct error *err)
{
    struct fetch fetch = {
        .host = host, .fd = -1, .is_sha512 = expected->is_sha512, .limit_bytes = INT64_MAX};
    char hex[129];
    fetch_begin(&fetch);
    int from = -1, result = own_open(path, &from, err);
    if (result == 0)
        result = file_read(&fetch, path, from, err);
    if (result < 0)
        return result;
    fetch_hex(&fetch, hex);
    return strcmp(hex, expected->hex) == 0;
}
