/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_DRAFT_H
#define LINUX_VPC_DRAFT_H

struct error;
struct value;

/*
 * A file that is written anew beside the one that it replaces, so that a reader sees the old one or
 * the new one. Who wants it to be there after a power loss syncs it before it gets its name.
 */

/* Writes `value` as JSON beside `path`; the file's descriptor, which draft_publish() closes. */
int draft_write(const char *path, const struct value *value, struct error *err);

/* Gives it its name; takes it away if `failed`, the errno of its sync, is not 0. */
int draft_publish(const char *path, int fd, int failed, struct error *err);

#endif
