/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a daemon answers and tells a command that follows it: lines, however they were cut on their
 * way. The first byte says into what pieces, and how wide the terminal is, if it is one. What is
 * shown of them holds nothing that moves a terminal's cursor but what we wrote ourselves.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "model/json.h"
#include "reconciler/cli/interrupt.h"
#include "reconciler/cli/terminal.h"
#include "tests/fuzz/fuzz.h"

static ssize_t told_read(int fd, void *to, size_t room);
static ssize_t told_send(int fd, const void *data, size_t len, int flags);
static int told_poll(struct pollfd *slots, nfds_t count, int timeout_ms);
#define read told_read
#define send told_send
#define poll told_poll
#define close(fd) ((void)(fd))
#include "reconciler/server/control.c"
#undef read
#undef send
#undef poll
#undef close
#define now_ms follow_now_ms
#include "reconciler/cli/follow.c"
#undef now_ms

static struct {
    const uint8_t *at, *end;
    size_t piece;
} told;

static ssize_t told_read(int fd, void *to, size_t room)
{
    size_t len = (size_t)(told.end - told.at);
    (void)fd;
    len = len < told.piece ? len : told.piece;
    len = len < room ? len : room;
    memcpy(to, told.at, len);
    told.at += len;
    return (ssize_t)len;
}

static ssize_t told_send(int fd, const void *data, size_t len, int flags)
{
    (void)fd, (void)data, (void)flags;
    return (ssize_t)len;
}

static int told_poll(struct pollfd *slots, nfds_t count, int timeout_ms)
{
    (void)slots, (void)count, (void)timeout_ms;
    return 1;
}

/* The bytes of a sequence of our own. */
static size_t ours_at(const char *at, size_t len)
{
    static const char *const ours[] = {"\n",       "\r\033[K", "\033[0m", "\033[32m",
                                       "\033[33m", "\033[31m", "\033[1m", "\033[2m"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (len >= strlen(ours[i]) && memcmp(at, ours[i], strlen(ours[i])) == 0)
            return strlen(ours[i]);
    return 0;
}

static void shown_check(const char *shown, size_t len)
{
    for (size_t at = 0, size; at < len; at += size) {
        bool is_shown = true;
        size = ours_at(shown + at, len - at);
        if (!size)
            size = text_next_shown(shown + at, len - at, &is_shown);
        MUST(is_shown);
    }
}

static struct control *control_make(void)
{
    struct control *control = memory_need(calloc(1, sizeof *control));
    control->fd = -1;
    control->lines = LINES_INIT;
    return control;
}

static void followed(struct follow *follow, struct arena *arena)
{
    struct control *control = control_make();
    struct error err = ERROR_INIT;
    enum follow_end end;
    int rc = follow_daemon(follow, control, arena, 3, 3600, &end, &err);
    MUST(rc <= 0 && (rc == 0) == (end != FOLLOW_ON));
    MUST(rc == 0 || err.message[0]);
    control_close(control);
}

/* As `spinel events` and `spinel top` do. */
static void read_all(struct arena *arena)
{
    struct control *control = control_make();
    struct error err = ERROR_INIT;
    struct value *event = NULL, *result = NULL;
    const struct value *data = NULL;
    int rc = control_call(control, arena, "follow", NULL, 2000, &result, &data, &err);
    MUST(rc == 0 || (rc < 0 && err.message[0]));
    err = (struct error)ERROR_INIT;
    while ((rc = control_next(control, arena, 1000, &event, &err)) == 1)
        (void)json_text(arena, value_get(event, "data"));
    MUST(rc < 0 && err.message[0]);
    control_close(control);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *shown = NULL;
    size_t shown_len = 0;
    if (size == 0)
        return 0;
    struct arena *arena = arena_new();
    struct follow follow = {.out = open_memstream(&shown, &shown_len)};
    MUST(follow.out);
    told.piece = (size_t)1 << (data[0] & 0x0f);
    follow.width = data[0] & 0x10 ? 80 : data[0] & 0x20 ? 1 : 0;
    follow.is_live = follow.width > 0;
    follow.revision = data[0] & 0x40 ? 7 : 0;
    terminal_set_color(data[0] & 0x10 ? COLOR_ALWAYS : COLOR_NEVER);
    told.at = data + 1;
    told.end = data + size;
    if (data[0] & 0x80)
        read_all(arena);
    else
        followed(&follow, arena);
    fclose(follow.out);
    shown_check(shown, shown_len);
    free(shown);
    arena_free(arena);
    return 0;
}
