/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A step changes one record and then makes the kernel agree with all records of
 * that VPC. So a step that comes again, a repair, and the rebuilding of everything
 * after a reboot are the same thing. Rules are written as a whole, so that steps of
 * one VPC that wait together are carried out together: first all records, then the
 * links of each, then the rules once.
 */
#include <string.h>
#include <unistd.h>
#include "drivers/linux-vpc/admission.h"
#include "drivers/linux-vpc/netns.h"
#include "drivers/linux-vpc/realise.h"
#include "drivers/linux-vpc/sysctl.h"
#include "drivers/linux-vpc/vpc.h"
#include "model/arena.h"
#include "model/error.h"
#include "model/native.h"

struct step {
    struct spinel_host *host;
    struct arena *arena;
    const char *own_dir;
    const struct vpc_settings *settings;
    const struct spinel_op *op; /* the one of the group that is carried out now */
    enum record_kind kind;
    const char *vpc; /* uid */
    struct records records;
    struct network network;
    struct realise_session session;
    struct record_drafts drafts; /* of NICs' records, until one has to see them */
};

/* The group, beside what its steps share. */
struct group {
    const struct spinel_op **ops;
    struct error **outcomes;
    size_t count;
};

static struct realise realise_of(struct step *step)
{
    return (struct realise){.arena = step->arena,
                            .own_dir = step->own_dir,
                            .dhcp = &step->settings->dhcp,
                            .network = &step->network,
                            .session = &step->session};
}

/* ---- which VPC ---------------------------------------------------------------------- */

static const char *vpc_of_refs(const struct spinel_op *op)
{
    const struct value *vpcs = value_get(op->refs, "VPC");
    const char *subnet = value_get_text(op->spec, "subnet", NULL);
    const char *name = value_get_text(op->spec, "vpc", NULL);
    if (subnet)
        name = value_get_text(value_get(value_get(value_get(op->refs, "Subnet"), subnet), "spec"),
                              "vpc", name);
    return name ? value_get_text(value_get(vpcs, name), "uid", NULL) : NULL;
}

/* NULL: neither a record nor the step knows, so there is nothing here; or `err` is set. */
static const char *vpc_of(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    enum record_kind kind;
    if (record_kind_read(op->kind, &kind) < 0)
        return NULL;
    if (kind == RECORD_VPC)
        return op->uid;
    const char *known =
        records_vpc_of(spinel_arena(host), spinel_own_dir(host), kind, op->uid, err);
    return known || err->code != ERR_NONE ? known : vpc_of_refs(op);
}

const char *vpc_group(struct spinel_host *host, const struct spinel_op *op)
{
    struct error said_by_apply = ERROR_INIT;
    return strcmp(op->kind, record_kind_text(RECORD_VPC)) == 0 ? NULL
                                                               : vpc_of(host, op, &said_by_apply);
}

static int step_reload(struct step *step, struct error *err)
{
    if (records_load(step->arena, step->own_dir, step->vpc, &step->records, err) < 0)
        return err->code;
    return network_make(step->arena, &step->records, &step->network, err);
}

/* ---- records ------------------------------------------------------------------------ */

static struct value *chosen_of(const struct step *step)
{
    const struct record *record = records_find(&step->records, step->op->uid);
    return record ? value_copy(step->arena, record->chosen) : value_map(step->arena);
}

static struct record record_of(const struct step *step, struct value *chosen)
{
    const struct spinel_op *op = step->op;
    return (struct record){
        .kind = step->kind,
        .uid = op->uid,
        .project = op->project,
        .name = op->name,
        .epoch = op->epoch,
        .is_released = op->verb == SPINEL_RELEASE,
        .spec = op->spec ? op->spec : value_map(step->arena),
        .chosen = chosen,
    };
}

/* What the driver chooses for a VPC: the transit link, once, under the lock that all
 * VPCs share; and the tag, which each step renews. */
static int vpc_choose(const struct step *step, struct value *chosen, struct error *err)
{
    char netns[16];
    int64_t number;
    if (!value_get(chosen, "transit")) {
        const char *pool = step->settings->transit_pool;
        if (admission_transit(step->arena, step->own_dir, pool, &number, err) < 0)
            return err->code;
        value_set_int(step->arena, chosen, "transit", number);
        value_set_text(step->arena, chosen, "transitPool", pool);
    }
    native_netns(step->op->uid, netns);
    value_unset(chosen, "tag");
    value_set_text(step->arena, chosen, "tag",
                   spinel_tag_make(step->host, step->op, netns, chosen));
    return 0;
}

static int vpc_record(struct step *step, struct value *chosen, struct error *err)
{
    int lock = records_lock(step->own_dir, NULL, err);
    if (lock < 0)
        return lock;
    int result = vpc_choose(step, chosen, err);
    if (result == 0) {
        struct record record = record_of(step, chosen);
        result = record_write(step->own_dir, step->vpc, &record, err);
    }
    close(lock);
    return result;
}

/* One that cannot be realised would be in the way of all others. */
static int record_check(const struct step *step, struct record *record, struct error *err)
{
    const struct records alone = {.vpc = step->vpc, .items = record, .count = 1};
    struct network probe;
    return network_make(step->arena, &alone, &probe, err);
}

static int child_record(struct step *step, struct value *chosen, struct error *err)
{
    if (step->kind == RECORD_PORTFORWARD)
        value_set_int(step->arena, chosen, "transitPort",
                      admission_transit_port(&step->records, step->op->uid, step->op->spec));
    struct record record = record_of(step, chosen);
    if (record_check(step, &record, err) < 0 ||
        admission_check(step->arena, step->own_dir, &record, err) < 0)
        return err->code;
    return step->kind == RECORD_NIC
               ? record_draft(&step->drafts, step->own_dir, step->vpc, &record, err)
               : record_write(step->own_dir, step->vpc, &record, err);
}

/* ---- converging --------------------------------------------------------------------- */

/* The namespace, and the proof that it is the one that we made: its inode number,
 * recorded as soon as it is there. */
static int namespace_converge(struct step *step, struct error *err)
{
    const struct record *vpc = step->network.vpc;
    const char *netns = step->network.netns;
    int64_t known = value_get_int(vpc->chosen, "inode", 0);
    uint64_t inode;
    if (netns_find(netns, &inode, err) < 0)
        return err->code;
    int64_t found = (int64_t)inode;
    if (known && found && known != found) {
        error_set(err, ERR_CONFLICT, "network namespace %s is not the one that was made for VPC %s",
                  netns, vpc->name);
        return error_hint(err, "Somebody made it anew: ip netns delete %s, and it is rebuilt.",
                          netns);
    }
    if (known && found)
        return 0;
    /* Inodes, indices and generations begin again: what was sealed could seem to be of this one. */
    records_note_drop(step->own_dir, step->vpc, REALISE_SEAL);
    if (netns_create(netns, err) < 0 || netns_find(netns, &inode, err) < 0)
        return err->code;
    struct record record = *vpc;
    struct value *chosen = value_copy(step->arena, vpc->chosen);
    value_set_int(step->arena, chosen, "inode", (int64_t)inode);
    record.chosen = chosen;
    if (record_write(step->own_dir, step->vpc, &record, err) < 0 ||
        records_sync(step->own_dir, step->vpc, err) < 0)
        return err->code;
    return step_reload(step, err);
}

static int vpc_must_be_there(const struct step *step, struct error *err)
{
    const struct record *vpc = step->network.vpc;
    uint64_t inode;
    if (netns_find(step->network.netns, &inode, err) < 0)
        return err->code;
    if (vpc && inode && (int64_t)inode == value_get_int(vpc->chosen, "inode", 0))
        return 0;
    return error_set(err, ERR_BUSY, "%s %s waits for its VPC to be there",
                     record_kind_text(step->kind), step->op->name);
}

/* MTU and settings of a VPC reach every link in it that exists. */
static int links_converge(const struct realise *realise, struct error *err)
{
    const struct network *network = realise->network;
    for (size_t i = 0; i < network->subnet_count; i++)
        if (realise_subnet(realise, &network->subnets[i], err) < 0)
            return err->code;
    for (size_t i = 0; i < network->nic_count; i++)
        if (network->nics[i].subnet && realise_nic(realise, &network->nics[i], err) < 0)
            return err->code;
    return 0;
}

static int kind_converge(const struct step *step, const struct realise *realise, struct error *err)
{
    const struct network_subnet *subnet = network_subnet_find(&step->network, step->op->uid);
    const struct network_nic *nic = network_nic_find(&step->network, step->op->uid);
    if (step->kind == RECORD_VPC)
        return realise_vpc(realise, err) < 0 ? err->code : links_converge(realise, err);
    if (step->kind == RECORD_SUBNET && subnet)
        return realise_subnet(realise, subnet, err);
    if (step->kind == RECORD_NIC && nic)
        return realise_nic(realise, nic, err);
    return 0;
}

static int rules_converge(struct step *step, struct error *err)
{
    size_t ended;
    struct realise realise = realise_of(step);
    if (realise_rules(&realise, &ended, err) < 0)
        return err->code;
    if (ended)
        spinel_log(step->host, SPINEL_INFO,
                   "%zu connections ended that the rules of VPC %s do not allow any more", ended,
                   step->network.vpc->name);
    return 0;
}

/* ---- verbs -------------------------------------------------------------------------- */

static int step_assert(struct step *step, struct error *err)
{
    struct value *chosen = chosen_of(step);
    if (step->kind != RECORD_VPC && vpc_must_be_there(step, err) < 0)
        return err->code;
    return step->kind == RECORD_VPC ? vpc_record(step, chosen, err)
                                    : child_record(step, chosen, err);
}

/* What its record asks for and is its own, such as its link. */
static int step_realise(struct step *step, struct error *err)
{
    struct realise realise = realise_of(step);
    if (step->kind == RECORD_VPC && namespace_converge(step, err) < 0)
        return err->code;
    return kind_converge(step, &realise, err);
}

static int vpc_delete(struct step *step, struct error *err)
{
    struct realise realise = realise_of(step);
    struct value *left;
    const struct network *network = &step->network;
    if (network->nic_count)
        return error_set(err, ERR_BUSY, "VPC %s still has %zu NICs, such as %s", step->op->name,
                         network->nic_count, network->nics[0].record->name);
    if (realise_remove_vpc(&realise, err) < 0)
        return err->code;
    int lock = records_lock(step->own_dir, NULL, err);
    if (lock < 0)
        return lock;
    int result = records_vpcs(step->arena, step->own_dir, &left, err);
    if (result == 0 && left->count == 0)
        result = sysctl_restore(step->own_dir, err);
    close(lock);
    return result;
}

/* The link or the answering of ARP that only this object had. */
static int own_parts_remove(const struct step *step, const struct realise *realise,
                            const struct record *record, struct error *err)
{
    char name[16];
    struct address address;
    const struct network_nic *nic = network_nic_find(realise->network, record->uid);
    switch (record->kind) {
    case RECORD_SUBNET:
        for (size_t i = 0; i < realise->network->nic_count; i++)
            if (realise->network->nics[i].subnet &&
                realise->network->nics[i].subnet->record == record)
                return error_set(err, ERR_BUSY, "Subnet %s still has NIC %s", step->op->name,
                                 realise->network->nics[i].record->name);
        return realise_remove_link(realise, native_bridge(record->uid, name), err);
    case RECORD_NIC:
        if (nic && realise_remove_neighbour(realise, nic, err) < 0)
            return err->code;
        return realise_remove_link(realise, native_tap(record->uid, name), err);
    case RECORD_FLOATINGIP:
        if (address_read(value_get_text(record->spec, "address", ""), &address, err) < 0)
            return err->code;
        return realise_remove_proxy(realise, &address, err);
    default:
        return 0;
    }
}

static int child_delete(struct step *step, struct error *err)
{
    struct realise realise = realise_of(step);
    const struct record *record = records_find(&step->records, step->op->uid);
    if (record && (own_parts_remove(step, &realise, record, err) < 0 ||
                   record_remove(step->own_dir, step->vpc, record, err) < 0))
        return err->code;
    return 0;
}

static int step_delete(struct step *step, struct error *err)
{
    return step->kind == RECORD_VPC ? vpc_delete(step, err) : child_delete(step, err);
}

/* A released object stays as it is, and its record says so. */
static int step_release(struct step *step, struct error *err)
{
    const struct record *found = records_find(&step->records, step->op->uid);
    if (!found)
        return 0;
    struct record record = *found;
    record.is_released = true;
    record.epoch = step->op->epoch;
    return record_write(step->own_dir, step->vpc, &record, err);
}

static int (*const verbs[])(struct step *step, struct error *err) = {
    [SPINEL_CREATE] = step_assert, [SPINEL_UPDATE] = step_assert,   [SPINEL_RESTART] = step_assert,
    [SPINEL_DELETE] = step_delete, [SPINEL_RELEASE] = step_release, [SPINEL_ADOPT] = step_assert,
};

/* What observe() reports as not ours is not changed and not removed, whatever our records say. */
static int namespace_is_ours(const struct step *step, struct error *err)
{
    const struct record *vpc = step->network.vpc;
    uint64_t inode = 0;
    if (vpc && netns_find(step->network.netns, &inode, err) < 0)
        return err->code;
    if (!inode || (int64_t)inode != value_get_int(vpc->chosen, "inode", 0) ||
        vpc_tag_verifies(step->host, &step->network))
        return 0;
    error_set(err, ERR_DENIED, "the tag of namespace %s does not verify", step->network.netns);
    return error_hint(err, "Its record was altered, or the rack's key is another one.");
}

static bool is_assert(const struct spinel_op *op)
{
    return op->verb != SPINEL_DELETE && op->verb != SPINEL_RELEASE;
}

/* Makes `op` the one that the step is about. */
static void step_turn(struct step *step, const struct spinel_op *op)
{
    step->op = op;
    record_kind_read(op->kind, &step->kind);
}

/* True if any has changed. What a NIC's record is to say depends on no other's; the rest has to see
 * what came before. */
static bool records_change(struct step *step, const struct group *group)
{
    bool is_changed = false;
    for (size_t i = 0; i < group->count; i++) {
        struct error *err = group->outcomes[i];
        step_turn(step, group->ops[i]);
        if (step->kind != RECORD_NIC)
            records_publish(&step->drafts);
        if (is_changed && step->kind != RECORD_NIC && step_reload(step, err) < 0)
            continue;
        int result = verbs[step->op->verb](step, err);
        if (result < 0)
            realise_session_close(&step->session); /* half an answer may be left in it */
        is_changed = result == 0 || is_changed;
    }
    records_publish(&step->drafts);
    return is_changed;
}

/* A fast path: links of NICs that are to go take their time one by one, and hardly any together.
 * Each step then finds its own gone, or removes it. */
static void taps_remove(struct step *step, const struct group *group)
{
    struct error ignored = ERROR_INIT;
    struct realise realise = realise_of(step);
    const char **taps = arena_array(step->arena, group->count, sizeof *taps);
    size_t count = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct spinel_op *op = group->ops[i];
        const struct network_nic *nic =
            op->verb == SPINEL_DELETE ? network_nic_find(&step->network, op->uid) : NULL;
        if (nic)
            taps[count++] = nic->tap;
    }
    if (count > 1 && realise_remove_links(&realise, taps, count, &ignored) < 0)
        realise_session_close(&step->session);
}

static void group_fail(const struct group *group, const struct error *err)
{
    for (size_t i = 0; i < group->count; i++)
        if (group->outcomes[i]->code == ERR_NONE)
            *group->outcomes[i] = *err;
}

/* If it cannot be told whether the namespace is there, the rules are tried, and say why not. */
static bool is_whole(const struct step *step)
{
    struct error said_later = ERROR_INIT;
    uint64_t inode;
    return step->network.vpc && (netns_find(step->network.netns, &inode, &said_later) < 0 || inode);
}

/* Without its record, too, the rest has to agree: who removed it may have died right after. */
static bool needs_rules(const struct step *step, const struct group *group, bool is_changed)
{
    bool is_there = is_whole(step), needs = is_changed && is_there;
    for (size_t i = 0; i < group->count; i++)
        needs |= group->outcomes[i]->code == ERR_NONE &&
                 (is_assert(group->ops[i]) || (is_there && group->ops[i]->verb == SPINEL_DELETE));
    return needs;
}

/* From the first record that says something new until the rules say it too, what records say is
 * not told without the word that it is unfinished: who was about to write them may have died. */
static int group_run(struct step *step, const struct group *group, struct error *err)
{
    if (step_reload(step, err) < 0 || namespace_is_ours(step, err) < 0)
        return err->code;
    const struct value *was_unfinished;
    if (records_read_file(step->arena, step->own_dir, step->vpc, REALISE_UNFINISHED,
                          &was_unfinished, err) < 0 ||
        records_note_file(step->own_dir, step->vpc, REALISE_UNFINISHED, value_map(step->arena),
                          err) < 0)
        return err->code;
    taps_remove(step, group);
    bool is_changed = records_change(step, group);
    if (records_sync(step->own_dir, step->vpc, err) < 0 || step_reload(step, err) < 0)
        return err->code;
    for (size_t i = 0; i < group->count; i++) {
        step_turn(step, group->ops[i]);
        if (group->outcomes[i]->code == ERR_NONE && is_assert(step->op) &&
            step_realise(step, group->outcomes[i]) < 0)
            realise_session_close(&step->session);
    }
    if (needs_rules(step, group, is_changed)) {
        if (rules_converge(step, err) < 0)
            return err->code;
    } else if (is_whole(step) && was_unfinished) {
        return 0;
    }
    records_note_drop(step->own_dir, step->vpc, REALISE_UNFINISHED);
    return 0;
}

static void group_carry_out(struct step *step, const struct group *group)
{
    struct error err = ERROR_INIT;
    int lock = records_lock(step->own_dir, step->vpc, &err);
    if (lock < 0 || group_run(step, group, &err) < 0)
        group_fail(group, &err);
    realise_session_close(&step->session);
    if (lock < 0)
        return;
    if (step->records.count == 0 && group->outcomes[0]->code != ERR_NONE)
        records_forget_empty(step->own_dir, step->vpc);
    close(lock);
}

/* NULL: it is done, or refused. */
static const char *step_vpc(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    enum record_kind kind;
    if (record_kind_read(op->kind, &kind) < 0) {
        error_set(err, ERR_UNSUPPORTED, "linux-vpc does not know kind %s", op->kind);
        return NULL;
    }
    const char *vpc = vpc_of(host, op, err);
    if (err->code != ERR_NONE)
        return NULL;
    if (is_assert(op) && (!vpc || !op->spec)) {
        error_set(err, ERR_INVALID, "%s %s does not say in which VPC it is", op->kind, op->name);
        return NULL;
    }
    return vpc;
}

void vpc_apply_all(struct spinel_host *host, const struct vpc_settings *settings,
                   const struct spinel_op *const *ops, size_t count, struct error *outcomes)
{
    struct arena *arena = spinel_arena(host);
    const char **vpcs = arena_array(arena, count, sizeof *vpcs);
    struct group group = {.ops = arena_array(arena, count, sizeof *group.ops),
                          .outcomes = arena_array(arena, count, sizeof *group.outcomes)};
    for (size_t i = 0; i < count; i++)
        vpcs[i] = step_vpc(host, ops[i], &outcomes[i]);
    for (size_t i = 0; i < count; i++) {
        if (!vpcs[i])
            continue;
        struct step step = {.host = host,
                            .arena = arena,
                            .own_dir = spinel_own_dir(host),
                            .settings = settings,
                            .vpc = vpcs[i]};
        group.count = 0;
        for (size_t n = i; n < count; n++) {
            if (!vpcs[n] || strcmp(vpcs[n], step.vpc) != 0)
                continue;
            group.ops[group.count] = ops[n];
            group.outcomes[group.count++] = &outcomes[n];
            vpcs[n] = NULL;
        }
        group_carry_out(&step, &group);
    }
}

int vpc_apply(struct spinel_host *host, const struct vpc_settings *settings,
              const struct spinel_op *op, struct error *err)
{
    struct error outcome = ERROR_INIT;
    vpc_apply_all(host, settings, &op, 1, &outcome);
    if (outcome.code != ERR_NONE)
        *err = outcome;
    return outcome.code;
}
