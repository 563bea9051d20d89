/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_WATCH_H
#define QEMU_WATCH_H

struct error;
struct spinel_host;

/* Watches every instance, those there are and those to come, and tells the daemon
 * when to look again. In the main process only. */
int watch_start(struct spinel_host *host, struct error *err);
int watch_fd(struct spinel_host *host);
void watch_ready(struct spinel_host *host);

#endif
