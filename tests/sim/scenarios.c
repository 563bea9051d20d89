/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/sim/scenarios.h"

#include <stdio.h>
#include <string.h>
#include "tests/sim/sim.h"

/* A tenant with a network, two volumes and two machines; the other has a volume only. */
struct wish scenario_base(void)
{
    struct wish wish = {.has_pool = true};
    struct wish_project *east = &wish.projects[0], *west = &wish.projects[1];
    *east = (struct wish_project){.is_declared = true,
                                  .has_network = true,
                                  .mtu = 1500,
                                  .port = 8000,
                                  .rules = 1,
                                  .nat = true};
    east->volumes[0] = (struct wish_volume){.is_declared = true, .gib = 1};
    east->volumes[1] = (struct wish_volume){.is_declared = true, .gib = 2, .is_deleted = true};
    east->machines[0] = (struct wish_machine){.is_declared = true,
                                              .is_on = true,
                                              .has_nic = true,
                                              .cpus = 1,
                                              .memory = 1,
                                              .disk = 0,
                                              .restart = 1};
    east->machines[1] = (struct wish_machine){
        .is_declared = true, .is_on = true, .cpus = 2, .memory = 1, .disk = -1, .restart = 1};
    *west = (struct wish_project){.is_declared = true};
    west->volumes[0] = (struct wish_volume){.is_declared = true, .gib = 1, .is_protected = true};
    return wish;
}

#define EAST (&wish->projects[0])
#define EDIT(name, ...)                 \
    static void name(struct wish *wish) \
    {                                   \
        __VA_ARGS__;                    \
    }

EDIT(only_pool, wish->projects[0].is_declared = wish->projects[1].is_declared = false)
EDIT(no_network, EAST->has_network = EAST->machines[0].has_nic = false)
EDIT(no_machines, EAST->machines[0].is_declared = EAST->machines[1].is_declared = false)
EDIT(volume_added,
     EAST->volumes[3] = (struct wish_volume){.is_declared = true, .gib = 1, .is_deleted = true})
EDIT(image_volume_added,
     EAST->volumes[WISH_FROM_IMAGE] = (struct wish_volume){.is_declared = true, .gib = 1})
EDIT(image_changed, image_volume_added(wish); wish->image = 1)
EDIT(outside_added, EAST->has_floating = EAST->has_forward = true)
EDIT(outside_moved, outside_added(wish); EAST->machines[1].has_nic = true;
     EAST->machines[0].has_nic = false)
EDIT(one_machine, outside_added(wish); EAST->machines[1].is_declared = false)
EDIT(another_machine, outside_added(wish); EAST->machines[0].is_declared = false;
     EAST->machines[1].has_nic = true; EAST->machines[1].disk = 0)
EDIT(free_grown, EAST->volumes[1].gib = 4)
EDIT(held_grown, EAST->volumes[0].gib = 4)
EDIT(held_grown_and_kept, EAST->volumes[0].gib = 4; EAST->volumes[0].is_deleted = true)
EDIT(shrunk, EAST->volumes[1].gib = 1)
EDIT(protected, EAST->volumes[1].is_protected = true)
EDIT(unprotected, wish->projects[1].volumes[0].is_protected = false)
EDIT(deletable, EAST->volumes[0].is_deleted = true)
EDIT(volume_renamed, EAST->volumes[1].name = 1)
EDIT(held_renamed, EAST->volumes[0].name = 1)
EDIT(volume_gone, EAST->volumes[1].is_declared = false)
EDIT(kept_gone, EAST->machines[0].disk = -1; EAST->volumes[0].is_declared = false)
EDIT(guarded_gone, wish->projects[1].volumes[0].is_declared = false)
EDIT(nothing, (void)wish)
EDIT(cpus_live, EAST->machines[0].cpus = 3)
EDIT(cpus_restart, EAST->machines[0].cpus = 6)
EDIT(cpus_later, EAST->machines[0].cpus = 6; EAST->machines[0].restart = 0)
EDIT(memory_live, EAST->machines[1].memory = 3)
EDIT(disk_added, EAST->machines[1].disk = 1)
EDIT(disk_dropped, EAST->machines[0].disk = -1)
EDIT(disk_moved, EAST->machines[0].disk = -1; EAST->machines[1].disk = 0)
EDIT(disks_both, EAST->machines[1].disk = 1)
EDIT(disks_swapped, EAST->machines[0].disk = 1; EAST->machines[1].disk = 0)
EDIT(power_off, EAST->machines[0].is_on = false)
EDIT(machine_renamed, EAST->machines[0].name = 1)
EDIT(replaceable, EAST->machines[0].may_be_replaced = true)
EDIT(replaced, EAST->machines[0].may_be_replaced = true; EAST->machines[0].is_uefi = true)
EDIT(not_replaced, EAST->machines[0].is_uefi = true)
EDIT(machine_gone, EAST->machines[0].is_declared = false)
EDIT(nic_added, EAST->machines[1].has_nic = true)
EDIT(nic_dropped, EAST->machines[0].has_nic = false)
EDIT(seed_added, EAST->machines[1].has_cloud_init = true)
EDIT(mtu_changed, EAST->mtu = 1400)
EDIT(firewall_added, EAST->has_firewall = true)
EDIT(rules_changed, EAST->has_firewall = true; EAST->rules = 3; EAST->port = 8002)
EDIT(tenant_gone, EAST->is_declared = false)
EDIT(all_gone, *wish = wish_empty())
EDIT(much_at_once, EAST->mtu = 1300; EAST->volumes[1].gib = 3; EAST->machines[0].cpus = 2;
     EAST->machines[1].has_nic = true; EAST->has_firewall = true)

/* As `file` and `linux-vpc`; and the next go while the core hears of the first. */
#define TOGETHER                                           \
    {                                                      \
        .groups = true, .group_max = 5, .tells_etag = true \
    }

static void volumes_added(struct wish *wish)
{
    for (int i = WISH_FEW; i < WISH_VOLUMES; i++)
        EAST->volumes[i] = (struct wish_volume){.is_declared = true, .gib = 1};
    for (int i = WISH_FEW; i < 6; i++)
        wish->projects[1].volumes[i] = (struct wish_volume){.is_declared = true, .gib = 1};
}

static void volumes_grown(struct wish *wish)
{
    volumes_added(wish);
    for (int i = WISH_FEW; i < WISH_VOLUMES; i++)
        EAST->volumes[i].gib = 2;
}

EDIT(nics_added, EAST->machines[0].nics = WISH_NICS - 1)
EDIT(nics_labelled, nics_added(wish); EAST->machines[0].labels = 1)

static struct thing *find(struct sim *sim, const char *kind, const char *project)
{
    for (size_t i = 0; i < sim->truth.count; i++)
        if (strcmp(sim->truth.things[i].kind, kind) == 0 &&
            strcmp(sim->truth.things[i].project, project) == 0)
            return &sim->truth.things[i];
    return NULL;
}

static void vanish(struct sim *sim, struct thing *thing)
{
    thing->exists = false;
    thing->booted = NULL;
    thing->version++;
    sim_driver_notice(sim_driver_of_kind(sim, thing->kind), thing->uid, "deleted from outside");
}

static void network_vanishes(struct sim *sim)
{
    vanish(sim, find(sim, "VPC", "east"));
}

static void volume_vanishes(struct sim *sim)
{
    vanish(sim, find(sim, "Volume", "west"));
}

static void guest_crashes(struct sim *sim)
{
    struct thing *machine = find(sim, "Instance", "east");
    struct value *spec = value_copy(sim->arena, machine->spec);
    value_set_text(sim->arena, spec, "power", "off");
    machine->spec = spec;
    machine->booted = NULL;
    machine->exit_reason = "crash";
    machine->version++;
    sim_driver_notice(&sim->drivers[DRIVER_VM], machine->uid, "the guest crashed");
}

static void store_vanishes(struct sim *sim)
{
    struct host *host = &sim->host;
    const uint64_t crash_at = host->crash_at;
    const bool has_no_power = host->has_no_power;
    daemon_crash(sim, false);
    host->crash_at = crash_at; /* what is armed is of the life that begins now */
    host->has_no_power = has_no_power;
    daemon_store_lose(sim);
}

const struct scenario scenarios[] = {
    {.name = "create-all", .from = only_pool, .to = nothing},
    {.name = "create-network", .from = no_network, .to = nothing},
    {.name = "create-machines", .from = no_machines, .to = nothing},
    {.name = "create-volume", .to = volume_added},
    {.name = "grow-volume", .to = free_grown},
    {.name = "grow-held-volume", .to = held_grown},
    {.name = "grow-held-volume-and-more", .to = held_grown_and_kept},
    {.name = "shrink-volume", .to = shrunk},
    {.name = "protect-volume", .to = protected},
    {.name = "unprotect-volume", .to = unprotected},
    {.name = "give-up-volume", .to = deletable},
    {.name = "rename-volume", .to = volume_renamed},
    {.name = "rename-held-volume", .to = held_renamed},
    {.name = "delete-volume", .to = volume_gone},
    {.name = "release-volume", .to = kept_gone},
    {.name = "adopt-volume", .middle = kept_gone, .to = nothing},
    {.name = "delete-and-create-volume", .middle = volume_gone, .to = nothing},
    {.name = "remove-protected-volume", .to = guarded_gone},
    {.name = "cpus-live", .to = cpus_live},
    {.name = "cpus-by-restart", .to = cpus_restart},
    {.name = "cpus-deferred", .to = cpus_later},
    {.name = "memory-live", .to = memory_live},
    {.name = "attach-disk", .to = disk_added},
    {.name = "detach-disk", .to = disk_dropped},
    {.name = "move-disk", .to = disk_moved},
    {.name = "swap-disks", .from = disks_both, .to = disks_swapped},
    {.name = "power-off", .to = power_off},
    {.name = "power-on", .from = power_off, .to = nothing},
    {.name = "rename-machine", .to = machine_renamed},
    {.name = "replace-machine", .from = replaceable, .to = replaced},
    {.name = "replace-refused", .to = not_replaced},
    {.name = "delete-machine", .to = machine_gone},
    {.name = "add-nic", .to = nic_added},
    {.name = "drop-nic", .to = nic_dropped},
    {.name = "add-cloud-init", .to = seed_added},
    {.name = "change-mtu", .to = mtu_changed},
    {.name = "add-firewall", .to = firewall_added},
    {.name = "change-rules", .from = firewall_added, .to = rules_changed},
    {.name = "drop-firewall", .from = firewall_added, .to = nothing},
    {.name = "drop-network", .to = no_network},
    {.name = "tenant-vanishes", .to = tenant_gone},
    {.name = "everything-vanishes", .to = all_gone},
    {.name = "much-at-once", .to = much_at_once},
    {.name = "network-drifts", .act = network_vanishes},
    {.name = "volume-is-lost", .act = volume_vanishes},
    {.name = "guest-crashes", .act = guest_crashes},
    {.name = "store-is-lost", .act = store_vanishes},
    {.name = "create-volume-from-image", .to = image_volume_added},
    {.name = "change-image", .from = image_volume_added, .to = image_changed},
    {.name = "add-floating-and-forward", .to = outside_added},
    {.name = "move-floating-and-forward", .from = outside_added, .to = outside_moved},
    {.name = "another-machine-takes-all", .from = one_machine, .to = another_machine},
    {.name = "create-volumes-together", .to = volumes_added, .able = TOGETHER},
    {.name = "grow-volumes-together", .from = volumes_added, .to = volumes_grown, .able = TOGETHER},
    {.name = "add-nics-together", .to = nics_added, .able = TOGETHER},
    {.name = "change-nics-together", .from = nics_added, .to = nics_labelled, .able = TOGETHER},
};
const size_t scenario_count = sizeof scenarios / sizeof *scenarios;
