/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/store/home.h"
#include "model/invariant.h"

#include <stdio.h>
#include <sys/stat.h>

void store_home(const char *state_dir, char home[PATH_MAX])
{
    struct stat st;
    invariant(state_dir && state_dir[0], "a store without a directory");
    int len = snprintf(home, PATH_MAX, "%s/" STORE_HOME, state_dir);
    if (len < 0 || len >= PATH_MAX || lstat(home, &st) < 0 || !S_ISDIR(st.st_mode))
        snprintf(home, PATH_MAX, "%s", state_dir);
}
