/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_TORTURE_VIEWER_H
#define TESTS_TORTURE_VIEWER_H

#include "reconciler/cli/command.h"

extern const struct command viewer_command;

#endif
