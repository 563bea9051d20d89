/* SPDX-License-Identifier: MPL-2.0 */
/* Finding them: the kernel's list of our children, and the session and group of each. */
#include "drivers/lib/strays.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>
#include "drivers/lib/call.h"
#include "drivers/lib/host.h"
#include "drivers/lib/proc.h"
#include "model/invariant.h"

enum { PATIENCE_MS = 5000, KILL_ROUNDS = 100, PAUSE_NS = 1000000 };

static bool is_call(const struct spinel_host *host, pid_t pid)
{
    const struct call *call = host->calls;
    while (call && (call->state == CALL_WAITING || call->pid != pid))
        call = call->next;
    return call != NULL;
}

/* What the main process itself runs is in its own group; so is who was forked just now. */
static bool is_stray(const struct spinel_host *host, pid_t pid)
{
    return getsid(pid) == getsid(0) && getpgid(pid) != getpgrp() && !is_call(host, pid);
}

bool strays_kill(struct spinel_host *host)
{
    invariant(host->call_fd < 0, "the process of a call looks for strays");
    char path[64];
    int pid;
    bool has_strays = false;
    int64_t now_ms = host_now_ms();
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re"); /* a kernel without it leaves them alive, as it did before */
    while (file && fscanf(file, "%d", &pid) == 1)
        if (is_stray(host, pid) && kill(pid, SIGKILL) == 0)
            has_strays = true;
    if (file)
        fclose(file);
    if (!has_strays || !host->strays_until_ms)
        host->strays_until_ms = has_strays ? now_ms + PATIENCE_MS : 0;
    return has_strays && now_ms < host->strays_until_ms;
}

/* Whether it lived; of one that was listed and is gone nobody knows whose it was. Its group goes
 * with it, at one blow. The number may have changed hands by now: it is asked once more when it is
 * pinned.
 */
static bool member_kill(pid_t pid, pid_t session)
{
    pid_t its = getsid(pid);
    int pidfd = its == session ? pidfd_open(pid, 0) : -1;
    if (pidfd < 0)
        return its < 0 || its == session;
    bool is_alive = !proc_wait(pidfd, 0);
    pid_t group = getsid(pid) == session ? getpgid(pid) : -1;
    if (group > 1)
        kill(-group, SIGKILL);
    close(pidfd);
    return is_alive;
}

/* Whether anybody may have lived in it. */
static bool members_kill(pid_t session)
{
    bool has_lived = false;
    DIR *proc = opendir("/proc");
    for (const struct dirent *entry; proc && (entry = readdir(proc));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        has_lived |= pid > 1 && member_kill(pid, session);
    }
    if (proc)
        closedir(proc);
    return has_lived;
}

/* What is killed forks no more, so that each round meets only those who were forked before the last
 * one did; one that the kernel does not let go is not waited for without end. */
void session_kill(pid_t session)
{
    invariant(session > 1, "session %d is killed", (int)session);
    for (int i = 0; i < KILL_ROUNDS && members_kill(session); i++)
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}
