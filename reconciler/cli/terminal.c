/* SPDX-License-Identifier: MPL-2.0 */
/* What the streams can do, asked once and of the stream that is written to. */
#include "reconciler/cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "model/invariant.h"
#include "model/text.h"

static enum color_when color_when;

/* Of standard input, output and error: 0 until it was asked, -1 if it is no terminal. */
static signed char terminals[3];

static bool is_terminal(FILE *stream)
{
    int fd = fileno(stream);

    if (fd < 0 || fd > STDERR_FILENO)
        return isatty(fd) == 1;
    if (terminals[fd] == 0)
        terminals[fd] = isatty(fd) == 1 ? 1 : -1;
    return terminals[fd] > 0;
}

void terminal_init(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if ((no_color && no_color[0]) || (term && strcmp(term, "dumb") == 0))
        color_when = COLOR_NEVER;
}

void terminal_set_color(enum color_when when)
{
    if (when != COLOR_AUTO)
        color_when = when;
}

bool terminal_has_color(FILE *stream)
{
    if (color_when != COLOR_AUTO)
        return color_when == COLOR_ALWAYS;
    return is_terminal(stream);
}

const char *paint(FILE *stream, enum paint paint)
{
    static const char *const escapes[] = {
        [PAINT_PLAIN] = "\033[0m", [PAINT_GOOD] = "\033[32m",  [PAINT_WARN] = "\033[33m",
        [PAINT_BAD] = "\033[31m",  [PAINT_STRONG] = "\033[1m", [PAINT_FAINT] = "\033[2m",
    };

    return terminal_has_color(stream) ? escapes[paint] : "";
}

/* The length of a paint of ours at `bytes`, or 0. */
static size_t paint_at(FILE *stream, const char *bytes, size_t len)
{
    if (bytes[0] != '\033' || !terminal_has_color(stream))
        return 0;
    for (enum paint i = PAINT_PLAIN; i <= PAINT_FAINT; i++) {
        size_t size = strlen(paint(stream, i));

        if (size <= len && memcmp(bytes, paint(stream, i), size) == 0)
            return size;
    }
    return 0;
}

void terminal_write(FILE *stream, const char *bytes, size_t len)
{
    struct text shown = TEXT_INIT;

    for (size_t at = 0, size; at < len; at += size) {
        bool is_shown;

        size = bytes[at] == '\n' ? 1 : paint_at(stream, bytes + at, len - at);
        if (size > 0) {
            text_add_n(&shown, bytes + at, size);
            continue;
        }
        size = text_next_shown(bytes + at, len - at, &is_shown);
        text_add_shown(&shown, bytes + at, size);
    }
    fwrite(shown.data, 1, shown.len, stream);
    text_free(&shown);
}

void terminal_vprint(FILE *stream, const char *fmt, va_list args)
{
    char *text = NULL;
    int len = vasprintf(&text, fmt, args);

    if (len < 0)
        memory_out(); /* of what vasprintf can fail by, the only one that text makes happen */
    terminal_write(stream, text, (size_t)len);
    free(text);
}

void terminal_print(FILE *stream, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    terminal_vprint(stream, fmt, args);
    va_end(args);
}

int terminal_columns(FILE *stream)
{
    struct winsize size;

    if (!is_terminal(stream))
        return 0;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

bool terminal_can_ask(void)
{
    return is_terminal(stdin) && is_terminal(stderr);
}

bool terminal_ask(const char *question)
{
    char answer[16];

    fflush(stdout);
    fprintf(stderr, "%s [yes/no] ", question);
    fflush(stderr);
    if (!fgets(answer, sizeof(answer), stdin))
        return false;
    answer[strcspn(answer, "\r\n")] = '\0';
    return strcasecmp(answer, "yes") == 0 || strcasecmp(answer, "y") == 0;
}
