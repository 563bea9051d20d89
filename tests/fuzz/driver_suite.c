/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a driver says to the conformance suite: somebody's own, which may be anything. The first
 * two bytes say how it ends; a line "====" ends what one process of it says, and the next begins.
 * In whatever order and however much: there is a verdict on each promise, and nothing of the
 * driver's reaches a terminal as it came.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/fuzz/fuzz.h"

static int told_pipe(int ends[2], int flags);
static pid_t told_wait(pid_t pid, int *status, int flags);
static int told_poll(struct pollfd *slots, nfds_t count, int timeout_ms);

enum { DRIVER = 1 << 23 }; /* no kernel gives such a number */

#define pipe2 told_pipe
#define poll told_poll
#define fork() ((pid_t)DRIVER)
#define kill(pid, number) ((void)(pid))
#define waitpid told_wait
#define waitid(type, pid, info, flags) ((info)->si_pid = DRIVER, 0)
#define signal(number, action) ((void)(action))
#include "reconciler/server/subject.c"
#include "reconciler/server/conformance.c"
#undef pipe2

static struct {
    const char *at, *end;
    const uint8_t *statuses;
    unsigned pipes, ends;
} told;

static pid_t told_wait(pid_t pid, int *status, int flags)
{
    MUST(pid == DRIVER && flags == 0);
    uint8_t said = status ? told.statuses[told.ends++ % 2] : 0;
    if (status)
        *status = said & 0x80 ? said & 0x0f : said << 8;
    return pid;
}

/* Its end is the driver's. */
static int answers_open(void)
{
    static const char mark[] = "====\n";
    size_t left = (size_t)(told.end - told.at);
    const char *cut = memmem(told.at, left, mark, sizeof mark - 1);
    size_t len = cut ? (size_t)(cut - told.at) : left;
    int fd = memfd_create("answers", MFD_CLOEXEC);
    MUST(fd >= 0 && (len == 0 || pwrite(fd, told.at, len, 0) == (ssize_t)len));
    told.at += cut ? len + sizeof mark - 1 : len;
    return fd;
}

/* First to the driver, which takes anything; then from it. */
static int told_pipe(int ends[2], int flags)
{
    ends[0] = told.pipes++ % 2 ? answers_open() : open("/dev/null", O_RDWR | O_CLOEXEC);
    ends[1] = dup(ends[0]);
    (void)flags;
    MUST(ends[0] >= 0 && ends[1] >= 0);
    return 0;
}

/* Who has said all waits for what is asked next. */
static int told_poll(struct pollfd *slots, nfds_t count, int timeout_ms)
{
    int ready = 0;
    (void)timeout_ms;
    for (nfds_t i = 0; i < count; i++) {
        struct stat st;
        bool has_more = slots[i].fd >= 0 && fstat(slots[i].fd, &st) == 0 &&
                        lseek(slots[i].fd, 0, SEEK_CUR) < st.st_size;
        slots[i].revents = slots[i].events == POLLOUT ? POLLOUT : has_more ? POLLIN : 0;
        ready += slots[i].revents != 0;
    }
    return ready;
}

static bool begins(const char *line, size_t len, const char *with)
{
    return len >= strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

static void verdict_check(const char *said, size_t size, bool is_conforming)
{
    struct fuzz_lines lines = fuzz_lines((const uint8_t *)said, size);
    const char *line;
    size_t len, kept = 0, broken = 0, bails = 0;
    MUST(fuzz_line(&lines, &line, &len) && begins(line, len, "TAP version 13"));
    MUST(fuzz_line(&lines, &line, &len) && begins(line, len, "1.."));
    while (fuzz_line(&lines, &line, &len)) {
        kept += begins(line, len, "ok ");
        broken += begins(line, len, "not ok ");
        bails += begins(line, len, "Bail out! ");
        for (size_t at = 0, taken; at < len; at += taken) {
            bool is_shown;
            taken = text_next_shown(line + at, len - at, &is_shown);
            MUST(is_shown);
        }
    }
    MUST(bails == 1 ? kept + broken == 0 : bails == 0 && kept + broken == PROMISE_COUNT);
    MUST(is_conforming == (kept == PROMISE_COUNT));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const argv[] = {"driver", NULL};
    char *said = NULL;
    size_t said_len = 0;
    if (size < 2)
        return 0;
    told.statuses = data;
    told.at = (const char *)data + 2;
    told.end = (const char *)data + size;
    told.pipes = told.ends = 0;
    FILE *out = open_memstream(&said, &said_len);
    MUST(out);
    int result = conformance_run(argv, out);
    fclose(out);
    verdict_check(said, said_len, result == 0);
    free(said);
    return 0;
}
