/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/engine/session.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>
#include "model/text.h"

#define MARK "SPINEL_SESSION="

enum { LOOK_MS = 2, MEMBERS_MS = 1000, STRAYS_MS = 2000 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void look_again_later(void)
{
    nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
}

/* ---- what the kernel says of a process ---------------------------------------------- */

static bool proc_read(pid_t pid, const char *name, struct text *text)
{
    char path[64], part[4096];
    ssize_t got = -1;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (got = read(fd, part, sizeof part)) > 0)
        text_add_n(text, part, (size_t)got);
    if (fd >= 0)
        close(fd);
    return got == 0 && text->len > 0;
}

/* One that is dead stays until its parent has heard of it, and some parents never listen. */
static bool is_alive(pid_t pid, pid_t *parent)
{
    struct text stat = TEXT_INIT;
    char state = 'X';
    int ppid = 0;
    const char *rest = proc_read(pid, "stat", &stat) ? strrchr(stat.data, ')') : NULL;
    if (rest && sscanf(rest + 1, " %c %d", &state, &ppid) != 2)
        state = 'X';
    text_free(&stat);
    *parent = ppid;
    return state != 'X' && state != 'Z';
}

/* Calls `kill_if` for each process; one that it killed, or 0. */
static pid_t processes_kill(bool (*kill_if)(pid_t pid, const void *context), const void *context)
{
    pid_t killed = 0;
    DIR *proc = opendir("/proc");
    for (const struct dirent *entry; proc && (entry = readdir(proc));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 1 && pid != getpid() && kill_if(pid, context))
            killed = pid;
    }
    if (proc)
        closedir(proc);
    return killed;
}

/* The number may have changed hands since somebody looked: it is asked once more when it is pinned.
 */
static bool pinned_kill(pid_t pid, pid_t session)
{
    int pidfd = pidfd_open(pid, 0);
    bool is_killed =
        pidfd >= 0 && getsid(pid) == session && pidfd_send_signal(pidfd, SIGKILL, NULL, 0) == 0;
    if (pidfd >= 0)
        close(pidfd);
    return is_killed;
}

/* ---- a session whose leader is at hand ---------------------------------------------- */

static bool member_kill(pid_t pid, const void *context)
{
    pid_t leader = *(const pid_t *)context, parent;
    return pid != leader && getsid(pid) == leader && is_alive(pid, &parent) &&
           pinned_kill(pid, leader);
}

void session_end(pid_t leader)
{
    if (leader <= 1)
        return;
    if (kill(-leader, SIGKILL) < 0)
        kill(leader, SIGKILL);
    /* More than once: one that was about to die may have forked. */
    for (int64_t until_ms = now_ms() + MEMBERS_MS;
         processes_kill(member_kill, &leader) && now_ms() < until_ms;)
        look_again_later();
}

/* ---- sessions that nobody buried ---------------------------------------------------- */

void session_mark(char mark[SESSION_MARK], pid_t launcher, pid_t session)
{
    snprintf(mark, SESSION_MARK, MARK "%d %d", (int)launcher, (int)session);
}

/* The word of an environment that begins so. */
static const char *word_find(const struct text *words, const char *begin)
{
    for (size_t at = 0; at < words->len; at += strlen(words->data + at) + 1)
        if (strncmp(words->data + at, begin, strlen(begin)) == 0)
            return words->data + at;
    return NULL;
}

static bool is_led(pid_t session, pid_t launcher)
{
    pid_t parent;
    return is_alive(session, &parent) && parent == launcher;
}

static bool stray_kill(pid_t pid, const void *context)
{
    const char *given = context;
    struct text words = TEXT_INIT;
    int launcher, session = 0;
    bool is_stray = false;
    if (proc_read(pid, "environ", &words)) {
        const char *mark = word_find(&words, MARK), *own = word_find(&words, given);
        is_stray = mark && own && strcmp(own, given) == 0 &&
                   sscanf(mark, MARK "%d %d", &launcher, &session) == 2 && getsid(pid) == session &&
                   !is_led(session, launcher);
    }
    text_free(&words);
    return is_stray && pinned_kill(pid, session);
}

int sessions_clear(const char *given, struct error *err)
{
    pid_t stray = 0;
    for (int64_t until_ms = now_ms() + STRAYS_MS;
         (stray = processes_kill(stray_kill, given)) && now_ms() < until_ms;)
        look_again_later();
    return stray ? error_set(err, ERR_BUSY,
                             "process %d, which a former driver left, was killed and is not dead: "
                             "it waits for the kernel, such as for a disk that does not answer",
                             (int)stray)
                 : 0;
}
