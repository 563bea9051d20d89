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
     EAST->volumes[2] = (struct wish_volume){.is_declared = true, .gib = 1, .is_deleted = true})
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
    {"create-all", only_pool, NULL, nothing, NULL},
    {"create-network", no_network, NULL, nothing, NULL},
    {"create-machines", no_machines, NULL, nothing, NULL},
    {"create-volume", NULL, NULL, volume_added, NULL},
    {"grow-volume", NULL, NULL, free_grown, NULL},
    {"grow-held-volume", NULL, NULL, held_grown, NULL},
    {"grow-held-volume-and-more", NULL, NULL, held_grown_and_kept, NULL},
    {"shrink-volume", NULL, NULL, shrunk, NULL},
    {"protect-volume", NULL, NULL, protected, NULL},
    {"unprotect-volume", NULL, NULL, unprotected, NULL},
    {"give-up-volume", NULL, NULL, deletable, NULL},
    {"rename-volume", NULL, NULL, volume_renamed, NULL},
    {"rename-held-volume", NULL, NULL, held_renamed, NULL},
    {"delete-volume", NULL, NULL, volume_gone, NULL},
    {"release-volume", NULL, NULL, kept_gone, NULL},
    {"adopt-volume", NULL, kept_gone, nothing, NULL},
    {"delete-and-create-volume", NULL, volume_gone, nothing, NULL},
    {"remove-protected-volume", NULL, NULL, guarded_gone, NULL},
    {"cpus-live", NULL, NULL, cpus_live, NULL},
    {"cpus-by-restart", NULL, NULL, cpus_restart, NULL},
    {"cpus-deferred", NULL, NULL, cpus_later, NULL},
    {"memory-live", NULL, NULL, memory_live, NULL},
    {"attach-disk", NULL, NULL, disk_added, NULL},
    {"detach-disk", NULL, NULL, disk_dropped, NULL},
    {"move-disk", NULL, NULL, disk_moved, NULL},
    {"swap-disks", disks_both, NULL, disks_swapped, NULL},
    {"power-off", NULL, NULL, power_off, NULL},
    {"power-on", power_off, NULL, nothing, NULL},
    {"rename-machine", NULL, NULL, machine_renamed, NULL},
    {"replace-machine", replaceable, NULL, replaced, NULL},
    {"replace-refused", NULL, NULL, not_replaced, NULL},
    {"delete-machine", NULL, NULL, machine_gone, NULL},
    {"add-nic", NULL, NULL, nic_added, NULL},
    {"drop-nic", NULL, NULL, nic_dropped, NULL},
    {"add-cloud-init", NULL, NULL, seed_added, NULL},
    {"change-mtu", NULL, NULL, mtu_changed, NULL},
    {"add-firewall", NULL, NULL, firewall_added, NULL},
    {"change-rules", firewall_added, NULL, rules_changed, NULL},
    {"drop-firewall", firewall_added, NULL, nothing, NULL},
    {"drop-network", NULL, NULL, no_network, NULL},
    {"tenant-vanishes", NULL, NULL, tenant_gone, NULL},
    {"everything-vanishes", NULL, NULL, all_gone, NULL},
    {"much-at-once", NULL, NULL, much_at_once, NULL},
    {"network-drifts", NULL, NULL, NULL, network_vanishes},
    {"volume-is-lost", NULL, NULL, NULL, volume_vanishes},
    {"guest-crashes", NULL, NULL, NULL, guest_crashes},
    {"store-is-lost", NULL, NULL, NULL, store_vanishes},
};
const size_t scenario_count = sizeof scenarios / sizeof *scenarios;
