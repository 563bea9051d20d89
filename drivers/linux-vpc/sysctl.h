/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_SYSCTL_H
#define LINUX_VPC_SYSCTL_H

struct error;

/*
 * Kernel settings below /proc/sys, of the namespace that the process is in.
 * Inside our own namespaces they are just written; what is changed on the host
 * is recorded first, and put back when the last VPC goes.
 */

/* `name` as "net/ipv4/ip_forward". */
int sysctl_write(const char *name, const char *value, struct error *err);
/* 1: it has that value; 0: another one, or this kernel does not have it; <0: it cannot be told. */
int sysctl_look(const char *name, const char *value, struct error *err);

/* Records the old value in <own_dir>/sysctl.json (the first time in a boot only) and writes. */
int sysctl_change(const char *own_dir, const char *name, const char *value, struct error *err);

/* Puts back what was recorded, unless somebody else has set it since, and forgets it. */
int sysctl_restore(const char *own_dir, struct error *err);

#endif
