/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_GIT_H
#define RECONCILER_CLI_GIT_H

#include "model/error.h"

/* Runs git in `dir` with the arguments `argv` (argv[0] is "git", NULL at the end), without a
 * shell and without the environment of a hook that may have started us. ERR_SYSTEM if it
 * cannot be run, ERR_INVALID if it fails: what it said is on standard error already. */
int git_run(const char *dir, const char *const argv[], struct error *err);

/* As git_run(), quiet: the exit status of git, or -1. */
int git_status(const char *dir, const char *const argv[]);

#endif
