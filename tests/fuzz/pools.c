/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What lies in the file driver's places, after a crash, a restore or somebody's hand: notes on
 * pools, tags, files of any name, what was thrown away, the driver's uptime. A line is one of
 *
 *   n NAME JSON     a note on a pool; its path is taken to be below the run's directory
 *   u TEXT          the uptime
 *   f PLACE NAME    a file in a place: p(ool), t(rash), i(mages), s(eeds)
 *   g PLACE NAME JSON  ... with a tag beside it, or instead of it for an image, signed by us
 *   p JSON          the pool's own tag, signed by us
 *
 * What is listed and told is what the protocol allows; what grows old and goes is in the trash
 * and has the name that we gave it.
 */
#include <ctype.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include "drivers/lib/callback.h"
#include "drivers/lib/host.h"
#include "drivers/spinel-driver.h"
#include "model/json.h"
#include "tests/fuzz/fuzz.h"

#undef SPINEL_DRIVER
#define SPINEL_DRIVER(driver) static const struct spinel_driver *const files = &(driver);
#include "drivers/file/file.c"
#include "drivers/file/mark.h"
#include "drivers/file/trash.c"

#define UID "0123456789abcdef0123456789abcdef"

enum { LINES_MAX = 40, NAME_ROOM = 80 };

static char root[64], state_dir[80], own_dir[96], pool_dir[96];
static struct spinel_host host = {.state_dir = state_dir,
                                  .own_dir = own_dir,
                                  .rack = "test",
                                  .rack_id = "r1",
                                  .key = {1, 2, 3},
                                  .call_fd = -1};

/* ---- what lies there ----------------------------------------------------------------- */

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void places_make(void)
{
    static const char *const places[] = {"pools/main/.trash", "images", "seeds"};
    struct error err = ERROR_INIT;
    nftw(state_dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        MUST(directories_make(&host, arena_printf(host.arena, "%s/%s", state_dir, places[i]),
                              &err) == 0);
    MUST(directories_make(&host, arena_printf(host.arena, "%s/pools", own_dir), &err) == 0);
}

static bool file_put(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false; /* there is a directory of that name */
    MUST(write(fd, text, len) == (ssize_t)len);
    close(fd);
    return true;
}

/* The next word of a line, as a name in one directory. */
static const char *name_take(const char **line)
{
    static char name[NAME_ROOM];
    size_t len = strcspn(*line, " ");
    snprintf(name, sizeof name, "%.*s", (int)(len < NAME_ROOM ? len : NAME_ROOM - 1), *line);
    *line += len + ((*line)[len] == ' ');
    if (!name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        snprintf(name, sizeof name, UID ".raw");
    return name;
}

static const char *place_take(const char **line)
{
    switch (*name_take(line)) {
    case 't':
        return arena_printf(host.arena, "%s/.trash", pool_dir);
    case 'i':
        return arena_printf(host.arena, "%s/images", state_dir);
    case 's':
        return arena_printf(host.arena, "%s/seeds", state_dir);
    default:
        return pool_dir;
    }
}

static struct value *map_read(const char *text)
{
    struct error err = ERROR_INIT;
    struct value *map = NULL;
    return json_read(host.arena, text, strlen(text), &map, &err) == 0 && value_is_map(map) ? map
                                                                                           : NULL;
}

/* As spinel_tag_make() signs it. */
static const char *signed_text(const char *text, const char *native)
{
    struct value *tag = map_read(text);
    struct text covered = TEXT_INIT;
    char mac[DIGEST_TEXT];
    if (!tag)
        return text;
    value_unset(tag, "mac");
    value_set_text(host.arena, tag, "rack", host.rack_id);
    json_write_canonical(&covered, tag);
    text_printf(&covered, "\n%s", native);
    digest_keyed(host.key, sizeof host.key, covered.data, covered.len, mac);
    value_set_text(host.arena, tag, "mac", mac);
    text_free(&covered);
    return json_text(host.arena, tag);
}

static void note_put(const char *line)
{
    const char *path = arena_printf(host.arena, "%s/pools/%s", own_dir, name_take(&line));
    struct value *note = map_read(line);
    const char *dir = value_get_text(note, "path", NULL);
    if (dir) {
        char *below = arena_printf(host.arena, "%s/%s", root, dir);
        for (char *up; (up = strstr(below, ".."));)
            *up = '_';
        value_set_text(host.arena, note, "path", below);
        line = json_text(host.arena, note);
    }
    file_put(path, line, strlen(line));
}

static void tagged_put(const char *line)
{
    struct stat st = {0};
    const char *dir = place_take(&line), *name = name_take(&line);
    const char *path = arena_printf(host.arena, "%s/%s", dir, name);
    bool is_image = strcmp(strrchr(dir, '/'), "/images") == 0;
    const char *uid = arena_text_n(host.arena, name, strcspn(name, "."));
    if (!is_image && (!file_put(path, "QFI\xfb", 4) || stat(path, &st) < 0))
        return;
    const char *native =
        is_image ? uid : arena_printf(host.arena, "%s:%ju", name, (uintmax_t)st.st_ino);
    const char *tag = signed_text(line, native);
    file_put(is_image ? path : mark_sidecar(&host, path), tag, strlen(tag));
}

static void pool_tag_put(const char *line)
{
    struct stat st;
    MUST(stat(pool_dir, &st) == 0);
    const char *tag =
        signed_text(line, arena_printf(host.arena, "%s:%ju", pool_dir, (uintmax_t)st.st_ino));
    file_put(arena_printf(host.arena, "%s/" POOL_TAG, pool_dir), tag, strlen(tag));
}

static void line_put(const char *line)
{
    const char *rest = line[0] && line[1] ? line + 2 : "";
    if (line[0] == 'n')
        note_put(rest);
    else if (line[0] == 'u')
        file_put(arena_printf(host.arena, "%s/uptime", own_dir), rest, strlen(rest));
    else if (line[0] == 'g')
        tagged_put(rest);
    else if (line[0] == 'p')
        pool_tag_put(rest);
    else if (line[0] == 'f') {
        const char *dir = place_take(&rest);
        file_put(arena_printf(host.arena, "%s/%s", dir, name_take(&rest)), rest, strlen(rest));
    }
}

/* ---- what is made of it -------------------------------------------------------------- */

static const struct value *answer_read(const struct text *answer)
{
    struct error err = ERROR_INIT;
    struct value *value = NULL;
    MUST(json_read(host.arena, answer->data, answer->len, &value, &err) == 0);
    MUST(value_is_map(value));
    return value;
}

/* What is free changes by itself, for others write as well. */
static void free_mask(struct text *answer)
{
    static const char key[] = "\"free\":";
    char *at = answer->data;
    while (at && (at = strstr(at, key)) != NULL) {
        at += sizeof(key) - 1;
        size_t digits = strspn(at, "0123456789");
        MUST(digits > 0);
        *at++ = '0';
        memmove(at, at + digits - 1, strlen(at + digits - 1) + 1);
        answer->len -= digits - 1;
    }
}

/* Looked at alone or among many, it is the same. */
static void look_try(const char *uid)
{
    struct text answer = TEXT_INIT, among = TEXT_INIT;
    callback_look(&host, uid, &answer);
    callback_look_all(&host, &uid, 1, &among);
    free_mask(&answer);
    free_mask(&among);
    MUST(answer.len == among.len && memcmp(answer.data, among.data, among.len) == 0);
    text_free(&among);
    const struct value *object = answer_read(&answer);
    if (!value_get_bool(object, "unknown", false))
        MUST(value_get_int(object, "epoch", -1) >= 0);
    text_free(&answer);
}

static void list_try(void)
{
    struct error err = ERROR_INIT;
    struct text answer = TEXT_INIT;
    look_try(UID);
    if (callback_list(&host, NULL, &answer, &err) < 0) {
        MUST(err.message[0]);
        return;
    }
    const struct value *told = answer_read(&answer), *list = value_get(told, "list");
    for (size_t i = 0; i < list->count; i++) {
        MUST(list->items[i]->items[1]->integer >= 0);
        look_try(list->items[i]->items[0]->text);
    }
    const struct value *kept = value_get(told, "trash");
    for (size_t i = 0; i < kept->count; i++)
        MUST(strlen(value_get_text(kept->items[i], "uid", "")) == UID_TEXT - 1);
    text_free(&answer);
}

static bool is_number(const char **at)
{
    const char *from = *at;
    while (isdigit((unsigned char)**at))
        ++*at;
    return *at > from;
}

static bool has_our_name(const char *name)
{
    const char *at = name + 32;
    return strspn(name, "0123456789abcdef") == 32 && *at++ == '.' && is_number(&at) &&
           *at++ == '.' && is_number(&at) && !*at;
}

static size_t others_left;

static int other_count(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)ftw;
    const char *name = strrchr(path, '/') + 1, *dir = strstr(path, "/.trash/");
    size_t len = strlen(name);
    char plain[NAME_ROOM + 8];
    snprintf(plain, sizeof plain, "%.*s", (int)(mark_is_sidecar(name) ? len - 4 : len), name);
    others_left += type == FTW_F && (!dir || !has_our_name(plain));
    return 0;
}

static size_t others(void)
{
    others_left = 0;
    nftw(state_dir, other_count, 16, FTW_PHYS);
    return others_left;
}

static void trash_try(void)
{
    struct error err = ERROR_INIT;
    trash.retention_s = 7 * 86400;
    trash.uptime_s = uptime_read(&host);
    trash.counted_s = boottime_s();
    uptime_count(&host);
    size_t before = others();
    (void)trash_each(&host, expire_each, NULL, &err);
    (void)trash_purge(&host, UID, &err);
    MUST(others() == before);
}

static void started(void)
{
    struct error err = ERROR_INIT;
    fuzz_directory(root);
    snprintf(state_dir, sizeof state_dir, "%s/state", root);
    snprintf(own_dir, sizeof own_dir, "%s/drivers", state_dir);
    snprintf(pool_dir, sizeof pool_dir, "%s/pools/main", state_dir);
    host.driver = files;
    host.deadline_ms = INT64_MAX;
    MUST(sodium_init() >= 0 && ledger_open(root, &host.ledger, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_lines lines = fuzz_lines(data, size);
    const char *line;
    size_t len;
    if (!root[0])
        started();
    host.arena = arena_new();
    places_make();
    for (int i = 0; i < LINES_MAX && fuzz_line(&lines, &line, &len); i++) {
        char *text = fuzz_text((const uint8_t *)line, len);
        line_put(text);
        free(text);
    }
    list_try();
    trash_try();
    arena_free(host.arena);
    return 0;
}
