/* SPDX-License-Identifier: MPL-2.0 */
/* What the core makes of what the supervisor tells it of a driver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>
#include "reconciler/server/server.h"
#include "reconciler/server/supervisor.h"

/* As when the core has no descriptor left for a pipe that comes with a message. */
static void a_driver_whose_streams_did_not_all_come_is_to_be_killed(void **state)
{
    int pair[2], fds[3], out[2];
    struct process process = {.pid = 0};
    struct shell shell = {.loop = ev_loop_new(0), .processes = &process, .program_count = 1};
    struct server server = {.shell = &shell};
    struct supervisor_message message = {.verb = SUPERVISOR_STARTED, .driver = 0, .pid = 4242};
    (void)state;
    assert_non_null(shell.loop);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(pipe(out), 0);
    shell.follow_context = &server;
    server.channel = pair[0];
    remote_open(&server);
    assert_int_equal(supervisor_send(pair[1], &message, out, 2), 0);
    ev_run(shell.loop, EVRUN_ONCE);
    assert_true(supervisor_receive(pair[1], &message, fds) > 0);
    assert_int_equal(message.verb, SUPERVISOR_KILL);
    assert_int_equal(message.driver, 0);
    assert_int_equal(process.pid, 4242);
    ev_io_stop(shell.loop, &server.supervised);
    ev_loop_destroy(shell.loop);
    close(out[0]);
    close(out[1]);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_driver_whose_streams_did_not_all_come_is_to_be_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
