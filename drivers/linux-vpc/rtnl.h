/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_RTNL_H
#define LINUX_VPC_RTNL_H

#include <stdbool.h>
#include <stdint.h>
#include <libmnl/libmnl.h>

struct error;

/*
 * A netlink conversation: one request, one answer, by libmnl. The socket belongs
 * to the namespace that was entered when it was opened, whatever the process
 * enters later. Used for routes and links (NETLINK_ROUTE) and for connection
 * tracking (NETLINK_NETFILTER).
 */
struct rtnl;

/* In the current namespace. The caller closes it; NULL is allowed there. */
int rtnl_open(int bus, struct rtnl **out, struct error *err);
/* In the namespace of that name. */
int rtnl_open_in(const char *netns, int bus, struct rtnl **out, struct error *err);
void rtnl_close(struct rtnl *rtnl);

/* Starts a request of `type` with a family header of `size` bytes (zeroed, `*header`
 * points to it) in the conversation's own buffer, valid until the next one. */
struct nlmsghdr *rtnl_request(struct rtnl *rtnl, int type, int flags, size_t size, void *header);

/* Sends it and waits for the acknowledgement. Returns 0 or minus errno. */
int rtnl_ask(struct rtnl *rtnl, struct nlmsghdr *request);

/* The same, and gives the one message of the answer to `answer`. */
int rtnl_get(struct rtnl *rtnl, struct nlmsghdr *request, mnl_cb_t answer, void *context);

/* Sends it and gives each message of the answer to `each`. Returns 0 or minus errno. */
int rtnl_dump(struct rtnl *rtnl, struct nlmsghdr *request, mnl_cb_t each, void *context);

/* An attribute's payload. One that is shorter than that reads as 0 or as what there is of it:
 * nothing is read beyond what came. The text ends with a NUL within `size`. */
uint8_t rtnl_u8(const struct nlattr *attr);
uint16_t rtnl_u16(const struct nlattr *attr);
uint32_t rtnl_u32(const struct nlattr *attr);
const char *rtnl_text(const struct nlattr *attr, char *out, size_t size);

/* The family header of `size` bytes; NULL if the message is shorter. */
const void *rtnl_head(const struct nlmsghdr *message, size_t size);

/* Fills `err` from what rtnl_ask() gave (negative errno), and returns its code. */
int rtnl_error(struct error *err, int negative_errno, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
