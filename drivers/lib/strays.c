/* SPDX-License-Identifier: MPL-2.0 */
/* Finding them: the kernel's list of our children, and the session and group of each. */
#include "drivers/lib/strays.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "drivers/lib/call.h"
#include "drivers/lib/host.h"

enum { PATIENCE_MS = 5000, KILL_ROUNDS = 5 };

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

/* Whether there was anybody. */
static bool session_look(pid_t session)
{
    bool has_members = false;
    DIR *proc = opendir("/proc");
    for (const struct dirent *entry; proc && (entry = readdir(proc));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 1 && getsid(pid) == session && kill(pid, SIGKILL) == 0)
            has_members = true;
    }
    if (proc)
        closedir(proc);
    return has_members;
}

void session_kill(pid_t session)
{
    for (int i = 0; i < KILL_ROUNDS && session_look(session); i++)
        ; /* one that was about to die may have forked; the dead are met until they are reaped */
}
