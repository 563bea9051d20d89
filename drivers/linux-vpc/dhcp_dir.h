/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_DHCP_DIR_H
#define LINUX_VPC_DHCP_DIR_H

#include <stdbool.h>
#include "drivers/linux-vpc/network.h"

struct arena;
struct error;
struct passwd;

/*
 * The files of a VPC's dnsmasq, under /run/spinel/<namespace>. It reads three of them
 * again when it is told to by SIGHUP; a fourth, `read`, says what they were when it was told
 * last, so that whoever dies between a file and the signal leaves a trace. The directory is root's
 * and the files in it belong to dnsmasq's user, who can write leases and log and put nothing else
 * in a file's place. Private to dhcp.c.
 */
#define RUN_DIR "/run/spinel"
#define DHCP_READ "read"

/* `name` NULL: the directory. */
char *dhcp_path(struct arena *arena, const struct network *network, const char *name);
int dhcp_dir_prepare(struct arena *arena, const struct network *network, struct error *err);

/* With all that is in it, also drafts of whoever died before it could rename them. */
int dhcp_dir_remove(struct arena *arena, const struct network *network, struct error *err);

/* At most 4 MiB of it; "" for what is not there, or is no file. */
char *dhcp_file_text(struct arena *arena, const char *path);
/* 1 if the file was written, 0 if it said that already. */
int dhcp_file_update(struct arena *arena, const char *path, const char *content,
                     const struct passwd *owner, struct error *err);

/* 1 if any of the files that SIGHUP reads again was written. */
int dhcp_files_update(struct arena *arena, const struct network *network,
                      const struct passwd *owner, struct error *err);

/* Whether dnsmasq was told to read them as they should be; and that it was. */
bool dhcp_is_read(struct arena *arena, const struct network *network);
int dhcp_have_read(struct arena *arena, const struct network *network, const struct passwd *owner,
                   struct error *err);
void dhcp_unread(struct arena *arena, const struct network *network);

/* Whether they are as they should be, and were read, as far as is known. */
bool dhcp_files_are_right(struct arena *arena, const struct network *network);

#endif
