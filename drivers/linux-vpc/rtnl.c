/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Requests are built one at a time in the conversation's buffer. An answer that came late,
 * after its request had failed here, is told by its sequence number and passed over: it is
 * neither taken for the next one's nor that one's failure. A dump that is given up is read to
 * its end, since the kernel begins no other one before.
 */
#include "drivers/linux-vpc/rtnl.h"
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "drivers/linux-vpc/netns.h"
#include "model/error.h"
#include "model/invariant.h"

enum { REQUEST_BYTES = 8192, ANSWER_BYTES = 65536 };

struct rtnl {
    struct mnl_socket *socket;
    unsigned seq;
    unsigned port;
    char request[REQUEST_BYTES];
    char answer[ANSWER_BYTES];
};

int rtnl_open(int bus, struct rtnl **out, struct error *err)
{
    struct rtnl *rtnl = memory_need(calloc(1, sizeof *rtnl));
    rtnl->socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
    if (!rtnl->socket || mnl_socket_bind(rtnl->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        error_sys(err, "cannot open a netlink socket (bus %d)", bus);
        rtnl_close(rtnl);
        return err->code;
    }
    rtnl->port = mnl_socket_get_portid(rtnl->socket);
    *out = rtnl;
    return 0;
}

int rtnl_open_in(const char *netns, int bus, struct rtnl **out, struct error *err)
{
    int home;
    int result = netns_enter(netns, &home, err);
    if (result < 0)
        return result;
    result = rtnl_open(bus, out, err);
    netns_leave(home);
    return result;
}

void rtnl_close(struct rtnl *rtnl)
{
    if (rtnl && rtnl->socket)
        mnl_socket_close(rtnl->socket);
    free(rtnl);
}

struct nlmsghdr *rtnl_request(struct rtnl *rtnl, int type, int flags, size_t size, void *header)
{
    struct nlmsghdr *request = mnl_nlmsg_put_header(rtnl->request);
    request->nlmsg_type = (uint16_t)type;
    request->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    request->nlmsg_seq = ++rtnl->seq;
    *(void **)header = mnl_nlmsg_put_extra_header(request, size);
    return request;
}

/* What an answer names as its error went into errno by libmnl, whatever it was. */
static int failure(void)
{
    return errno > 0 ? -errno : -EPROTO;
}

/* Bytes of an answer to the request of that number, or negative. */
static ssize_t answer_read(struct rtnl *rtnl, unsigned seq)
{
    for (;;) {
        ssize_t got = mnl_socket_recvfrom(rtnl->socket, rtnl->answer, sizeof rtnl->answer);
        const struct nlmsghdr *first = (const void *)rtnl->answer;
        if (got < 0 && errno == EINTR)
            continue;
        bool is_late =
            got > 0 && mnl_nlmsg_ok(first, (int)got) && first->nlmsg_seq && first->nlmsg_seq != seq;
        if (!is_late)
            return got;
    }
}

static bool is_end(const char *answer, ssize_t size)
{
    const struct nlmsghdr *message = (const void *)answer;
    int left = (int)size;
    while (mnl_nlmsg_ok(message, left)) {
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
            return true;
        message = mnl_nlmsg_next(message, &left);
    }
    return left > 0; /* what does not read has no end that could be waited for */
}

/* What is left of a dump, of which `got` bytes were the last to come. */
static void dump_drain(struct rtnl *rtnl, unsigned seq, ssize_t got)
{
    while (got > 0 && !is_end(rtnl->answer, got))
        got = answer_read(rtnl, seq);
}

static int rtnl_talk(struct rtnl *rtnl, struct nlmsghdr *request, mnl_cb_t each, void *context)
{
    assert(request->nlmsg_len <= REQUEST_BYTES);
    unsigned seq = request->nlmsg_seq;
    bool is_dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    if (mnl_socket_sendto(rtnl->socket, request, request->nlmsg_len) < 0)
        return failure();
    int more = MNL_CB_OK;
    while (more > MNL_CB_STOP) {
        ssize_t got = answer_read(rtnl, seq);
        if (got < 0)
            return failure();
        more = mnl_cb_run(rtnl->answer, (size_t)got, seq, rtnl->port, each, context);
        if (more < 0) {
            int failed = failure();
            if (is_dump)
                dump_drain(rtnl, seq, got);
            return failed;
        }
    }
    return 0;
}

int rtnl_ask(struct rtnl *rtnl, struct nlmsghdr *request)
{
    request->nlmsg_flags |= NLM_F_ACK;
    return rtnl_talk(rtnl, request, NULL, NULL);
}

int rtnl_get(struct rtnl *rtnl, struct nlmsghdr *request, mnl_cb_t answer, void *context)
{
    request->nlmsg_flags |= NLM_F_ACK;
    return rtnl_talk(rtnl, request, answer, context);
}

int rtnl_dump(struct rtnl *rtnl, struct nlmsghdr *request, mnl_cb_t each, void *context)
{
    request->nlmsg_flags |= NLM_F_DUMP;
    return rtnl_talk(rtnl, request, each, context);
}

/* ---- reading ------------------------------------------------------------------------ */

static void payload_copy(const struct nlattr *attr, void *out, size_t size)
{
    if (mnl_attr_get_payload_len(attr) >= size)
        memcpy(out, mnl_attr_get_payload(attr), size);
}

uint8_t rtnl_u8(const struct nlattr *attr)
{
    uint8_t value = 0;
    payload_copy(attr, &value, sizeof value);
    return value;
}

uint16_t rtnl_u16(const struct nlattr *attr)
{
    uint16_t value = 0;
    payload_copy(attr, &value, sizeof value);
    return value;
}

uint32_t rtnl_u32(const struct nlattr *attr)
{
    uint32_t value = 0;
    payload_copy(attr, &value, sizeof value);
    return value;
}

const char *rtnl_text(const struct nlattr *attr, char *out, size_t size)
{
    size_t len = mnl_attr_get_payload_len(attr);
    len = len < size ? len : size - 1;
    memcpy(out, mnl_attr_get_payload(attr), len);
    out[len] = '\0';
    return out;
}

const void *rtnl_head(const struct nlmsghdr *message, size_t size)
{
    return mnl_nlmsg_get_payload_len(message) >= size ? mnl_nlmsg_get_payload(message) : NULL;
}

int rtnl_error(struct error *err, int negative_errno, const char *fmt, ...)
{
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    errno = -negative_errno;
    return error_sys(err, "%s", what);
}
