/* SPDX-License-Identifier: MPL-2.0 */
/* A conversation with a kernel that is played here: what one request left unread is none of the
 * next one's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/rtnetlink.h>
#include <libmnl/libmnl.h>
#include <errno.h>
#include <string.h>

static ssize_t kernel_take(const struct mnl_socket *socket, const void *request, size_t len);
static ssize_t kernel_give(const struct mnl_socket *socket, void *answer, size_t size);
#define mnl_socket_sendto kernel_take
#define mnl_socket_recvfrom kernel_give
#include "drivers/linux-vpc/rtnl.c"
#undef mnl_socket_sendto
#undef mnl_socket_recvfrom

int netns_enter(const char *netns, int *home, struct error *err)
{
    (void)netns, (void)home, (void)err;
    return 0;
}

void netns_leave(int home)
{
    (void)home;
}

/* ---- the kernel ----------------------------------------------------------------------- */

enum { DATAGRAMS = 16, BYTES = 256 };

static struct {
    char bytes[DATAGRAMS][BYTES];
    size_t size[DATAGRAMS]; /* 0: reading it fails */
    int error[DATAGRAMS];   /* with this */
    unsigned first, end;
    bool is_dumping;     /* until its DONE was read */
    int answer;          /* minus errno of the next acknowledgement */
    unsigned parts;      /* datagrams of a dump, before its end */
    bool is_interrupted; /* something changed while it dumps */
    int fail_next;       /* reading fails once, with this, before the answer */
} kernel;

static struct nlmsghdr *datagram_put(unsigned seq, uint16_t type, uint16_t flags, int payload)
{
    assert_true(kernel.end < DATAGRAMS);
    char *bytes = kernel.bytes[kernel.end];
    memset(bytes, 0, BYTES);
    struct nlmsghdr *message = mnl_nlmsg_put_header(bytes);
    message->nlmsg_type = type;
    message->nlmsg_flags = flags;
    message->nlmsg_seq = seq;
    if (type == NLMSG_ERROR)
        ((struct nlmsgerr *)mnl_nlmsg_put_extra_header(message, sizeof(struct nlmsgerr)))->error =
            payload;
    else
        *(int *)mnl_nlmsg_put_extra_header(message, sizeof(int)) = payload;
    kernel.size[kernel.end++] = message->nlmsg_len;
    return message;
}

static ssize_t kernel_take(const struct mnl_socket *socket, const void *request, size_t len)
{
    const struct nlmsghdr *asked = request;
    (void)socket;
    if (kernel.fail_next) {
        kernel.error[kernel.end] = kernel.fail_next;
        kernel.size[kernel.end++] = 0;
        kernel.fail_next = 0;
    }
    if ((asked->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP) {
        datagram_put(asked->nlmsg_seq, NLMSG_ERROR, 0, kernel.answer);
        return (ssize_t)len;
    }
    if (kernel.is_dumping) {
        datagram_put(asked->nlmsg_seq, NLMSG_ERROR, 0, -EBUSY);
        return (ssize_t)len;
    }
    kernel.is_dumping = true;
    uint16_t flags = NLM_F_MULTI | (kernel.is_interrupted ? NLM_F_DUMP_INTR : 0);
    for (unsigned i = 0; i < kernel.parts; i++)
        datagram_put(asked->nlmsg_seq, RTM_NEWLINK, flags, (int)asked->nlmsg_seq);
    datagram_put(asked->nlmsg_seq, NLMSG_DONE, flags, 0);
    return (ssize_t)len;
}

static ssize_t kernel_give(const struct mnl_socket *socket, void *answer, size_t size)
{
    (void)socket;
    if (kernel.first == kernel.end)
        fail_msg("it waits for an answer that never comes");
    unsigned at = kernel.first++;
    if (!kernel.size[at]) {
        errno = kernel.error[at];
        return -1;
    }
    assert_true(kernel.size[at] <= size);
    memcpy(answer, kernel.bytes[at], kernel.size[at]);
    if (((struct nlmsghdr *)answer)->nlmsg_type == NLMSG_DONE)
        kernel.is_dumping = false;
    return (ssize_t)kernel.size[at];
}

/* ---- asking --------------------------------------------------------------------------- */

static struct rtnl conversation;

static int setup(void **state)
{
    (void)state;
    memset(&kernel, 0, sizeof kernel);
    memset(&conversation, 0, sizeof conversation);
    kernel.parts = 3;
    return 0;
}

static int ask(int answer)
{
    void *head;
    kernel.answer = answer;
    return rtnl_ask(&conversation,
                    rtnl_request(&conversation, RTM_NEWLINK, 0, sizeof(struct ifinfomsg), &head));
}

struct reading {
    unsigned count;
    unsigned seq; /* of the request that each message is an answer to */
    int refuse;   /* the callback gives up with this; 0: never */
};

static int message_taken(const struct nlmsghdr *message, void *context)
{
    struct reading *reading = context;
    reading->count++;
    reading->seq = (unsigned)*(const int *)mnl_nlmsg_get_payload(message);
    errno = reading->refuse;
    return reading->refuse ? MNL_CB_ERROR : MNL_CB_OK;
}

static int dump(struct reading *reading)
{
    void *head;
    return rtnl_dump(&conversation,
                     rtnl_request(&conversation, RTM_GETLINK, 0, sizeof(struct ifinfomsg), &head),
                     message_taken, reading);
}

static void a_late_answer_is_not_the_next_ones(void **state)
{
    (void)state;
    kernel.fail_next = ENOBUFS;
    assert_int_equal(ask(0), -ENOBUFS);
    assert_int_equal(ask(-EEXIST), -EEXIST); /* and not the 0 that came for the first */
    kernel.fail_next = ENOBUFS;
    assert_int_equal(ask(-EPERM), -ENOBUFS);
    assert_int_equal(ask(0), 0);
}

static void a_dump_that_was_interrupted_spoils_nothing_after_it(void **state)
{
    struct reading broken = {0}, whole = {0};
    (void)state;
    kernel.is_interrupted = true;
    assert_int_equal(dump(&broken), -EINTR);
    kernel.is_interrupted = false;
    assert_int_equal(dump(&whole), 0);
    assert_int_equal(whole.count, 3);
    assert_int_equal(whole.seq, 2);
    assert_int_equal(ask(-ENODEV), -ENODEV);
}

static void a_dump_that_is_given_up_is_read_to_its_end(void **state)
{
    struct reading refused = {.refuse = EPROTO}, whole = {0};
    (void)state;
    assert_int_equal(dump(&refused), -EPROTO);
    assert_int_equal(refused.count, 1);
    assert_int_equal(ask(0), 0);
    assert_int_equal(dump(&whole), 0);
    assert_int_equal(whole.count, 3);
}

static void a_dump_whose_last_part_fails_waits_for_no_other(void **state)
{
    struct reading none = {0};
    (void)state;
    kernel.is_interrupted = true;
    kernel.parts = 0;
    assert_int_equal(dump(&none), -EINTR);
    kernel.is_dumping = true; /* another one's, so that it is refused */
    assert_int_equal(dump(&none), -EBUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_late_answer_is_not_the_next_ones, setup),
        cmocka_unit_test_setup(a_dump_that_was_interrupted_spoils_nothing_after_it, setup),
        cmocka_unit_test_setup(a_dump_that_is_given_up_is_read_to_its_end, setup),
        cmocka_unit_test_setup(a_dump_whose_last_part_fails_waits_for_no_other, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
