/* SPDX-License-Identifier: MPL-2.0 */
/* The daemon as commands see it: it may be up or not, and both are normal. */
#include "reconciler/cli/daemon.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

int daemon_open(const struct site *site, struct control **control, struct error *err)
{
    struct error why = ERROR_INIT;
    int rc = control_open(site, control, &why);

    if (rc == ERR_NOT_FOUND) {
        *control = NULL;
        return 0;
    }
    if (rc < 0)
        *err = why;
    return rc;
}

int daemon_ask(const struct site *site, struct arena *arena, const char *method,
               const struct value *params, struct value **result, struct error *err)
{
    struct control *control;
    int rc = daemon_open(site, &control, err);

    *result = NULL;
    if (rc < 0 || !control)
        return rc;
    rc = control_call(control, arena, method, params ? params : value_map(arena), -1, result, NULL,
                      err);
    control_close(control);
    return rc;
}

const char *daemon_who(struct arena *arena)
{
    const char *sudo = getenv("SUDO_USER");
    const struct passwd *user = getpwuid(getuid());

    if (getuid() == 0 && sudo && sudo[0])
        return arena_text(arena, sudo);
    return user ? arena_text(arena, user->pw_name)
                : arena_printf(arena, "uid %u", (unsigned)getuid());
}
