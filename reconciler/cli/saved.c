/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Saved plans as files. Written beside their place and renamed into it, so that a
 * reader sees the old plan or the new one and never half of one.
 */
#include "reconciler/cli/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/durable.h"
#include "model/json.h"
#include "model/text.h"
#include "reconciler/cli/report_file.h"
#include "reconciler/plan/plan.h"

enum { SAVED_MAX = 256 << 20 };

int saved_write(struct arena *arena, const char *path, const struct value *plan, struct error *err)
{
    struct text text = TEXT_INIT;
    char *beside;
    int rc = 0;

    json_write_pretty(&text, plan_save_document(arena, plan));
    text_add_char(&text, '\n');
    if (file_is_stdout(path)) {
        rc = report_file_write(arena, path, &text, err);
        text_free(&text);
        return rc;
    }
    if (file_need_own(arena, &path, err) < 0) {
        text_free(&text);
        return err->code;
    }
    beside = arena_printf(arena, "%s.XXXXXX", path);
    int fd = mkostemp(beside, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        text_free(&text);
        return error_sys(err, "cannot write the plan to %s", path);
    }
    if (write_all(fd, text.data, text.len) < 0 || fsync(fd) < 0 || rename(beside, path) < 0) {
        rc = error_sys(err, "cannot write the plan to %s", path);
        unlink(beside);
    }
    close(fd);
    text_free(&text);
    return rc;
}

int saved_read(struct arena *arena, const char *path, struct value **saved, struct error *err)
{
    struct text text = TEXT_INIT;
    const char *hash, *commit, *world;
    struct value *read = NULL;
    char chunk[65536];
    size_t len;
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *in = is_stdin ? stdin : fopen(path, "re");
    int rc = 0;

    if (!in)
        return error_sys(err, "cannot read the saved plan %s", path);
    while (text.len <= SAVED_MAX && (len = fread(chunk, 1, sizeof(chunk), in)) > 0)
        text_add_n(&text, chunk, len);
    if (ferror(in))
        rc = error_sys(err, "cannot read the saved plan %s", path);
    if (!is_stdin)
        fclose(in);
    if (rc == 0)
        rc = json_read(arena, text.data, text.len, &read, err);
    if (rc == 0)
        rc = plan_saved_check(read, &hash, &commit, &world, err);
    text_free(&text);
    if (rc < 0)
        return error_wrap(err, "%s", path);
    *saved = read;
    return 0;
}
