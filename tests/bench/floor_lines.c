/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The floor under speaking with a driver: what jansson, a pipe and printf take by themselves.
 *
 *     floor_lines list|calls N
 *
 * list: one process writes the listing of N objects, [uid, epoch, etag] each, as one line of JSON,
 * and the other reads and parses it. calls: N requests of the size of a volume's apply go out
 * one a line, are parsed, answered, and the answers parsed, 64 at a time.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 64 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static json_t *line_read(FILE *in)
{
    static char *line;
    static size_t room;
    json_error_t err;
    ssize_t len = getline(&line, &room, in);
    if (len <= 0)
        return NULL;
    json_t *value = json_loadb(line, (size_t)len, 0, &err);
    if (!value)
        fail("parse");
    return value;
}

static void listing_write(FILE *out, long count)
{
    fputs("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"list\":[", out);
    for (long i = 0; i < count; i++)
        fprintf(out, "%s[\"%032lx\",%ld,\"%016lx\"]", i ? "," : "", i * 2654435761L, i % 9 + 1,
                i * 40503L);
    fputs("],\"complete\":true}}\n", out);
}

static void request_write(FILE *out, long i)
{
    fprintf(out,
            "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"method\":\"apply\",\"params\":{\"op\":\"%064lx\","
            "\"uid\":\"%032lx\",\"epoch\":1,\"verb\":\"create\",\"kind\":\"Volume\",\"project\":"
            "\"bench\",\"name\":\"v%07ld\",\"generation\":1,\"spec\":{\"size\":67108864,"
            "\"format\":\"raw\",\"onRemove\":\"release\",\"protect\":false},\"labels\":{\"tier\":"
            "\"t1\",\"owner\":\"team-3\"},\"changed\":[],\"refs\":{},\"deadline\":30}}\n",
            i, i * 40503L, i * 2654435761L, i);
}

static void requests_answer(FILE *in, FILE *out)
{
    for (json_t *request; (request = line_read(in)); json_decref(request)) {
        fprintf(out, "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"epoch\":1}}\n",
                (long long)json_integer_value(json_object_get(request, "id")));
        fflush(out);
    }
}

/* The other process: its input and output are ours. */
static void child_run(int in, int out, int is_list, long count)
{
    FILE *from = fdopen(in, "r"), *to = fdopen(out, "w");
    if (is_list)
        listing_write(to, count);
    else
        requests_answer(from, to);
    fclose(to);
    _exit(0);
}

static void calls_make(FILE *in, FILE *out, long count)
{
    for (long i = 0; i < count; i += BATCH) {
        long end = i + BATCH < count ? i + BATCH : count;
        for (long n = i; n < end; n++)
            request_write(out, n);
        fflush(out);
        for (long n = i; n < end; n++)
            json_decref(line_read(in));
    }
}

int main(int argc, char **argv)
{
    int there[2], back[2];
    if (argc != 3)
        return 64;
    int is_list = strcmp(argv[1], "list") == 0;
    if (pipe(there) < 0 || pipe(back) < 0)
        fail("pipe");
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        close(there[1]);
        close(back[0]);
        child_run(there[0], back[1], is_list, atol(argv[2]));
    }
    close(there[0]);
    close(back[1]);
    FILE *in = fdopen(back[0], "r"), *out = fdopen(there[1], "w");
    if (is_list)
        json_decref(line_read(in));
    else
        calls_make(in, out, atol(argv[2]));
    fclose(out);
    return waitpid(pid, NULL, 0) != pid;
}
