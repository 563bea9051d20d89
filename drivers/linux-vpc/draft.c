/* SPDX-License-Identifier: MPL-2.0 */
#include "drivers/linux-vpc/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include "model/durable.h"
#include "model/error.h"
#include "model/json.h"
#include "model/text.h"

#define DRAFT "%s.new"

int draft_write(const char *path, const struct value *value, struct error *err)
{
    char draft[PATH_MAX + 8];
    struct text text = TEXT_INIT;
    snprintf(draft, sizeof draft, DRAFT, path);
    int fd = fresh_open(AT_FDCWD, draft, O_WRONLY);
    if (fd < 0)
        return error_sys(err, "cannot write %s", draft);
    json_write(&text, value);
    text_add_char(&text, '\n');
    if (write_all(fd, text.data, text.len) < 0) {
        error_sys(err, "cannot write %s", draft);
        close(fd);
        unlink(draft);
        fd = err->code;
    }
    text_free(&text);
    return fd;
}

int draft_publish(const char *path, int fd, int failed, struct error *err)
{
    char draft[PATH_MAX + 8];
    int result = 0;
    snprintf(draft, sizeof draft, DRAFT, path);
    close(fd);
    errno = failed;
    if (failed)
        result = error_sys(err, "cannot write %s", draft);
    else if (rename(draft, path) < 0)
        result = error_sys(err, "cannot write %s", path);
    if (result < 0)
        unlink(draft);
    return result;
}
