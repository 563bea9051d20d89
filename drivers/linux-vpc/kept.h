/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_KEPT_H
#define LINUX_VPC_KEPT_H

struct stat;
struct value;

/*
 * Files of VPCs that were read already. Each call is a process of its own and begins with all that
 * lies in a VPC's directory, thousands of files of a large one. The main process reads what is new
 * there before it starts a call, and the call finds it in its memory.
 *
 * A fast path: a file counts as read only while stat() says all that it said then. Any other is
 * read, as before.
 */

/* In the main process, before a call begins. */
void kept_refresh(const char *own_dir);

/* What the file `name` of that VPC holds, if `st` is what it was when it was read; else NULL. Until
 * the next kept_refresh(). */
const struct value *kept_find(const char *vpc, const char *name, const struct stat *st);
/* The same of a record. */
struct record;
const struct record *kept_record(const char *vpc, const char *name, const struct stat *st);

#endif
