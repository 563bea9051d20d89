/* SPDX-License-Identifier: MPL-2.0 */
/* A driver's ledger file: what reads says the same after it was claimed and read again. */
#include <fcntl.h>
#include <unistd.h>
#include "drivers/lib/ledger.c"
#include "tests/fuzz/fuzz.h"

static char directory[64];

static void file_put(const uint8_t *data, size_t size)
{
    char path[96];
    snprintf(path, sizeof path, "%s/ledger", directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size));
    close(fd);
}

static void same(const struct ledger *a, const struct ledger *b)
{
    char op[DIGEST_TEXT], other_op[DIGEST_TEXT];
    MUST(a->entries.count == b->entries.count);
    for (size_t i = 0; i < a->entries.count; i++) {
        const struct entry *entry = packed_row(&a->entries, i);
        const struct entry *other = packed_find(&b->entries, entry->uid);
        MUST(other && other->admitted == entry->admitted);
        MUST(other->acknowledged == entry->acknowledged && other->form == entry->form);
        MUST(entry->form == OP_NONE ||
             (!strcmp(op_text(entry, op), op_text(other, other_op)) && entry->verb == other->verb));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    struct ledger *ledger = NULL, *again = NULL;
    if (!directory[0])
        fuzz_directory(directory);
    file_put(data, size);
    if (ledger_open(directory, &ledger, &err) < 0)
        return 0;
    const struct spinel_op op = {
        .op = "o", .uid = "0123456789abcdef0123456789abcdef", .epoch = 7, .verb = SPINEL_DELETE};
    MUST(ledger_claim(ledger, &err) == 0);
    (void)ledger_has_deleted(ledger, &op);
    if (op.epoch >= ledger_admitted(ledger, op.uid)) {
        MUST(ledger_admit(ledger, &op, &err) == 0);
        MUST(ledger_acknowledge(ledger, &op, &err) == 0);
        MUST(ledger_acknowledged(ledger, op.uid) >= op.epoch && ledger_has_deleted(ledger, &op));
    }
    MUST(ledger_open(directory, &again, &err) == 0);
    same(ledger, again);
    ledger_free(again);
    ledger_free(ledger);
    return 0;
}
