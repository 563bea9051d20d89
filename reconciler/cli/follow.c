/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Events as progress. Each event's text reads well alone, so which events are
 * shown, and how, is a table.
 */
#include "reconciler/cli/follow.h"

#include <string.h>
#include <time.h>

#include "model/text.h"
#include "reconciler/cli/daemon.h"
#include "reconciler/cli/interrupt.h"
#include "reconciler/cli/terminal.h"

enum shown { SHOWN_NEVER, SHOWN_LIVE, SHOWN_ALWAYS };

static const struct {
    const char *type;
    enum shown shown;
    enum paint paint;
    const char *mark;
} looks[] = {
    {"op.started", SHOWN_LIVE, PAINT_FAINT, "…"},
    {"op.progress", SHOWN_LIVE, PAINT_FAINT, "…"},
    {"op.confirmed", SHOWN_ALWAYS, PAINT_GOOD, "+"},
    {"op.failed", SHOWN_ALWAYS, PAINT_BAD, "!"},
    {"place.full", SHOWN_ALWAYS, PAINT_BAD, "!"},
    {"drift.found", SHOWN_ALWAYS, PAINT_WARN, "~"},
    {"drift.healed", SHOWN_ALWAYS, PAINT_GOOD, "+"},
    {"hold.raised", SHOWN_ALWAYS, PAINT_WARN, "#"},
    {"hold.approved", SHOWN_ALWAYS, PAINT_GOOD, "#"},
    {"freeze.set", SHOWN_ALWAYS, PAINT_WARN, "#"},
    {"revision.refused", SHOWN_ALWAYS, PAINT_BAD, "!"},
    {"converged", SHOWN_ALWAYS, PAINT_GOOD, "="},
    {"waiting", SHOWN_ALWAYS, PAINT_WARN, "."},
    {"driver.stopped", SHOWN_ALWAYS, PAINT_WARN, "!"},
    {"daemon.stopping", SHOWN_ALWAYS, PAINT_WARN, "!"},
};

void follow_init(struct follow *follow, FILE *out)
{
    int columns = terminal_columns(out);

    *follow = (struct follow){.out = out, .width = columns, .is_live = columns > 0};
}

static void line_clear(struct follow *follow)
{
    if (follow->has_line)
        fputs("\r\033[K", follow->out);
    follow->has_line = false;
}

void follow_finish(struct follow *follow)
{
    line_clear(follow);
    fflush(follow->out);
}

/* Standard error is not buffered: the paragraph is put together, and written at once. */
static void words_add(struct follow *follow, struct text *out, int indent, const char *text,
                      enum paint color)
{
    int column = 0;

    while (*text) {
        size_t len = strcspn(text, " \n");
        int width = text_columns_n(text, len);

        if (column > 0 && follow->width > 0 && column + 1 + width > follow->width) {
            text_printf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > 0) {
            text_add_char(out, ' ');
            column++;
        }
        if (column == 0)
            text_add(out, paint(follow->out, color));
        text_add_n(out, text, len);
        if (column == 0)
            text_add(out, paint(follow->out, PAINT_PLAIN));
        column += width;
        text += len;
        text += strspn(text, " \n");
    }
    text_add_char(out, '\n');
}

/* As follow_say(), with the first word painted. */
static void paragraph_put(struct follow *follow, int indent, const char *text, enum paint color)
{
    struct text out = TEXT_INIT;

    line_clear(follow);
    words_add(follow, &out, indent, text, color);
    terminal_write(follow->out, out.data, out.len);
    text_free(&out);
    fflush(follow->out);
}

void follow_say(struct follow *follow, int indent, const char *text)
{
    paragraph_put(follow, indent, text, PAINT_PLAIN);
}

/* The live line: cut to the terminal, so that it can be taken away again. */
static void line_show(struct follow *follow, const char *text)
{
    int room = follow->width > 1 ? follow->width - 1 : 79;

    line_clear(follow);
    terminal_print(follow->out, "%s%.*s%s", paint(follow->out, PAINT_FAINT),
                   (int)text_fitting(text, room), text, paint(follow->out, PAINT_PLAIN));
    fflush(follow->out);
    follow->has_line = true;
}

static void counter_add(struct text *line, const struct value *data)
{
    int64_t of = value_get_int(data, "of", 0);

    if (of > 0)
        text_printf(line, "[%lld/%lld] ", (long long)value_get_int(data, "step", 0), (long long)of);
}

static void event_show(struct follow *follow, const struct value *event, size_t look)
{
    const struct value *data = value_get(event, "data");
    const char *hint = value_get_text(data, "hint", "");
    struct text line = TEXT_INIT;

    text_printf(&line, "%s ", looks[look].mark);
    counter_add(&line, data);
    text_add(&line, value_get_text(event, "text", ""));
    if (looks[look].shown == SHOWN_LIVE) {
        if (follow->is_live)
            line_show(follow, line.data);
    } else {
        paragraph_put(follow, 2, line.data, looks[look].paint);
        if (hint[0]) {
            text_reset(&line);
            text_printf(&line, "  %s", hint);
            follow_say(follow, 2, line.data);
        }
    }
    text_free(&line);
}

static bool is_ours(const struct follow *follow, const struct value *data)
{
    return follow->revision == 0 || value_get_int(data, "revision", 0) >= follow->revision;
}

enum follow_end follow_event(struct follow *follow, const struct value *event)
{
    const char *type = value_get_text(event, "type", "");

    bool is_end = strcmp(type, "converged") == 0;

    if (is_end && !is_ours(follow, value_get(event, "data")))
        return FOLLOW_ON;
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        if (strcmp(type, looks[i].type) == 0)
            event_show(follow, event, i);
    }
    if (is_end)
        return FOLLOW_CONVERGED;
    return strcmp(type, "revision.refused") == 0 ? FOLLOW_REFUSED : FOLLOW_ON;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int follow_daemon(struct follow *follow, struct control *control, struct arena *arena, int64_t seq,
                  int64_t wait_s, enum follow_end *end, struct error *err)
{
    int64_t until = now_ms() + wait_s * 1000;
    struct value *params = value_map(arena);
    struct value *result;
    int rc;

    value_set_int(arena, params, "seq", seq);
    rc = control_call(control, arena, "follow", params, -1, &result, NULL, err);
    *end = FOLLOW_ON;
    while (rc >= 0 && *end == FOLLOW_ON && !*interrupt_flag() && !ferror(follow->out)) {
        int64_t left = until - now_ms();
        struct value *event;

        if (left <= 0)
            break;
        rc = control_next(control, arena, left, &event, err);
        if (rc == 1)
            *end = follow_event(follow, event);
    }
    follow_finish(follow);
    return rc < 0 ? rc : 0;
}

static int each_next(struct control *control, void (*show)(const struct value *event),
                     struct error *err)
{
    struct arena *arena = arena_new();
    struct value *event;
    int rc = control_next(control, arena, 1000, &event, err);

    if (rc == 1)
        show(event);
    arena_free(arena);
    return rc;
}

int follow_each(const struct site *site, struct arena *arena, const int64_t *seq,
                void (*show)(const struct value *event), struct error *err)
{
    struct value *params = value_map(arena);
    struct control *control;
    struct value *result;
    int rc = daemon_open(site, &control, err);

    if (rc < 0)
        return rc;
    if (!control) {
        error_set(err, ERR_NOT_FOUND, "no daemon is up, so there is nothing to follow");
        return error_hint(err, "Start it with 'spinel serve'.");
    }
    interrupt_catch();
    value_set(arena, params, "seq", seq ? value_int(arena, *seq) : NULL);
    rc = control_call(control, arena, "follow", params, -1, &result, NULL, err);
    while (rc >= 0 && !*interrupt_flag() && !ferror(stdout))
        rc = each_next(control, show, err);
    control_close(control);
    return rc < 0 ? rc : 0;
}
