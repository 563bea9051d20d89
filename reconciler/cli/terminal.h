/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_TERMINAL_H
#define RECONCILER_CLI_TERMINAL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * What the streams can do. Colors only on a terminal that is not TERM=dumb and
 * without NO_COLOR (https://no-color.org), unless --color says otherwise.
 */
enum color_when { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

enum paint { PAINT_PLAIN, PAINT_GOOD, PAINT_WARN, PAINT_BAD, PAINT_STRONG, PAINT_FAINT };

void terminal_init(void);
void terminal_set_color(enum color_when when);

bool terminal_has_color(FILE *stream);

/* The escape sequence for it, or "" where the stream shows no colors. Static. */
const char *paint(FILE *stream, enum paint paint);

/* Columns of the terminal behind `stream`; 0 if there is none: no limit. */
int terminal_columns(FILE *stream);

/* Someone is there to answer: standard input and error are both a terminal. */
bool terminal_can_ask(void);

/* Asks a question on standard error; true only for an answer of "yes" or "y". */
bool terminal_ask(const char *question);

/* As fwrite() and fprintf(), of text that may hold what others wrote: a driver, a commit, a
 * file's name. Control and invisible characters and what is no UTF-8 become U+FFFD; newlines,
 * tabs and our own paint stay. */
void terminal_write(FILE *stream, const char *bytes, size_t len);
void terminal_print(FILE *stream, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void terminal_vprint(FILE *stream, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

#endif
