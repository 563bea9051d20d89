/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/cli/report_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *entity(char c)
{
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    default:
        return NULL;
    }
}

void markup_add(struct text *out, const char *text)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;

        if (entity(*text))
            text_add(out, entity(*text));
        else if ((byte < ' ' && byte != '\t' && byte != '\n') || byte == 0x7f)
            text_add(out, "\xEF\xBF\xBD");
        else
            text_add_char(out, *text);
    }
}

bool file_is_stdout(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

static int stdout_write(const struct text *text, struct error *err)
{
    if (fwrite(text->data, 1, text->len, stdout) != text->len || fflush(stdout) != 0)
        return error_sys(err, "cannot write to standard output");
    return 0;
}

int file_need_own(struct arena *arena, const char **path, struct error *err)
{
    struct stat st;
    char *real = realpath(*path, NULL);

    if (real)
        *path = arena_text(arena, real);
    free(real);
    if (stat(*path, &st) < 0 || S_ISREG(st.st_mode))
        return 0;
    error_set(err, ERR_INVALID, "%s is there, and is not a regular file", *path);
    return error_hint(err, "- stands for standard output.");
}

int report_file_write(struct arena *arena, const char *path, const struct text *text,
                      struct error *err)
{
    if (file_is_stdout(path))
        return stdout_write(text, err);
    if (file_need_own(arena, &path, err) < 0)
        return err->code;
    char *beside = arena_printf(arena, "%s.XXXXXX", path);
    int fd = mkostemp(beside, O_CLOEXEC);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    int rc = 0;

    if (!out)
        return error_sys(err, "cannot write %s", path);
    if (fwrite(text->data, 1, text->len, out) != text->len || fchmod(fd, 0644) < 0)
        rc = error_sys(err, "cannot write %s", path);
    if (fclose(out) != 0 && rc == 0)
        rc = error_sys(err, "cannot write %s", path);
    if (rc == 0 && rename(beside, path) < 0)
        rc = error_sys(err, "cannot write %s", path);
    if (rc < 0)
        unlink(beside);
    return rc;
}
