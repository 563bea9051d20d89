/* SPDX-License-Identifier: MPL-2.0 */
/* What the streams can do, asked once and of the stream that is written to. */
#include "reconciler/cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static enum color_when color_when;

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
    return isatty(fileno(stream)) == 1;
}

const char *paint(FILE *stream, enum paint paint)
{
    static const char *const escapes[] = {
        [PAINT_PLAIN] = "\033[0m", [PAINT_GOOD] = "\033[32m",  [PAINT_WARN] = "\033[33m",
        [PAINT_BAD] = "\033[31m",  [PAINT_STRONG] = "\033[1m", [PAINT_FAINT] = "\033[2m",
    };

    return terminal_has_color(stream) ? escapes[paint] : "";
}

int terminal_columns(FILE *stream)
{
    struct winsize size;

    if (isatty(fileno(stream)) != 1)
        return 0;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

bool terminal_can_ask(void)
{
    return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
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
