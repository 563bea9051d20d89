/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_FRESH_H
#define DRIVER_FRESH_H

/* A file that was not there before, for writing, 0600, close-on-exec. What stood under the name
 * (the draft of a process that died, or a link that somebody else put there) goes, and is never
 * written to. `flags` are more for open(). -1 with errno set if it cannot be made. */
int fresh_open(const char *path, int flags);

#endif
