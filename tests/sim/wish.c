/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/sim/wish.h"

#include <stdio.h>

const char wish_secret[] = "c4n4ry-9f2b71d0e8";

static const char *const restarts[] = {"onNextStop", "immediate", "window", "never"};
static const char *const restart_modes[] = {"always", "onFailure", "never"};

void wish_volume_name(char out[WISH_NAME], int volume, unsigned name)
{
    snprintf(out, WISH_NAME, "vol%d-%u", volume, name);
}

void wish_machine_name(char out[WISH_NAME], int machine, unsigned name)
{
    snprintf(out, WISH_NAME, "vm%d-%u", machine, name);
}

/* ---- making ------------------------------------------------------------------------- */

static void volume_make(struct wish_volume *volume, struct prng *prng)
{
    volume->is_declared = true;
    volume->is_protected = prng_chance(prng, 250);
    volume->is_deleted = prng_chance(prng, 400);
    volume->gib = (int)prng_between(prng, 1, 4);
    volume->renamed_from = volume->name;
}

static bool disk_is_free(const struct wish_project *project, int disk)
{
    if (!project->volumes[disk].is_declared)
        return false;
    for (int i = 0; i < WISH_MACHINES; i++)
        if (project->machines[i].is_declared && project->machines[i].disk == disk)
            return false;
    return true;
}

static int disk_choose(const struct wish_project *project, struct prng *prng)
{
    int disk = (int)prng_below(prng, WISH_FEW);
    return disk_is_free(project, disk) ? disk : -1;
}

static void machine_make(struct wish_project *project, int index, struct prng *prng)
{
    struct wish_machine *machine = &project->machines[index];
    machine->is_declared = true;
    machine->disk = -1;
    machine->disk = disk_choose(project, prng);
    machine->has_nic = project->has_network && prng_chance(prng, 700);
    machine->is_on = prng_chance(prng, 850);
    machine->may_be_replaced = prng_chance(prng, 300);
    machine->is_uefi = prng_chance(prng, 500);
    machine->has_cloud_init = prng_chance(prng, 500);
    machine->cpus = (int)prng_between(prng, 1, 4);
    machine->memory = (int)prng_between(prng, 1, 4);
    machine->restart = (int)prng_below(prng, 4);
    machine->restart_policy = (int)prng_below(prng, 3);
    machine->renamed_from = machine->name;
}

static void project_make(struct wish_project *project, struct prng *prng)
{
    project->is_declared = true;
    project->has_network = prng_chance(prng, 800);
    project->has_firewall = project->has_network && prng_chance(prng, 500);
    project->has_floating = project->has_network && prng_chance(prng, 300);
    project->has_forward = project->has_network && prng_chance(prng, 300);
    project->mtu = 1500;
    project->nat = true;
    project->port = 8000;
    project->rules = 1;
    for (int i = 0; i < WISH_FEW; i++)
        if (prng_chance(prng, 600))
            volume_make(&project->volumes[i], prng);
    for (int i = 0; i < WISH_MACHINES; i++)
        if (prng_chance(prng, 600))
            machine_make(project, i, prng);
}

struct wish wish_first(struct prng *prng)
{
    struct wish wish = {.has_pool = true, .has_image = prng_chance(prng, 500)};
    for (int i = 0; i < WISH_PROJECTS; i++)
        project_make(&wish.projects[i], prng);
    return wish;
}

struct wish wish_empty(void)
{
    return (struct wish){.has_pool = false};
}

struct wish wish_merge(const struct wish *left, const struct wish *right)
{
    struct wish merged = *left;
    merged.projects[1] = right->projects[1];
    return merged;
}

/* ---- editing ------------------------------------------------------------------------ */

static void volume_drop(struct wish_project *project, int index)
{
    project->volumes[index].is_declared = false;
    for (int i = 0; i < WISH_MACHINES; i++)
        if (project->machines[i].disk == index)
            project->machines[i].disk = -1;
}

static void volume_edit(struct wish_project *project, struct prng *prng)
{
    int index = (int)prng_below(prng, WISH_FEW);
    struct wish_volume *volume = &project->volumes[index];
    volume->renamed_from = volume->name;
    if (!volume->is_declared) {
        volume->name += prng_chance(prng, 300); /* else the old name comes back */
        volume_make(volume, prng);
        return;
    }
    switch (prng_below(prng, 7)) {
    case 0:
    case 1:
        volume->gib += (int)prng_between(prng, 1, 2);
        break;
    case 2:
        volume->gib -= volume->gib > 1; /* refused, and said so */
        break;
    case 3:
        volume->is_protected = !volume->is_protected;
        break;
    case 4:
        volume->is_deleted = !volume->is_deleted;
        break;
    case 5:
        volume->name++;
        break;
    default:
        volume_drop(project, index);
    }
}

static void disk_move(struct wish_project *project, struct prng *prng)
{
    struct wish_machine *one = &project->machines[0], *other = &project->machines[1];
    int disk = one->disk;
    if (!one->is_declared || !other->is_declared || prng_chance(prng, 500)) {
        if (one->is_declared)
            one->disk = disk >= 0 ? -1 : disk_choose(project, prng);
        return;
    }
    one->disk = other->disk;
    other->disk = disk;
}

static void machine_edit(struct wish_project *project, struct prng *prng)
{
    int index = (int)prng_below(prng, WISH_MACHINES);
    struct wish_machine *machine = &project->machines[index];
    machine->renamed_from = machine->name;
    if (!machine->is_declared) {
        machine->name += prng_chance(prng, 300);
        machine_make(project, index, prng);
        return;
    }
    switch (prng_below(prng, 12)) {
    case 0:
        machine->is_declared = false;
        break;
    case 1:
        machine->is_on = !machine->is_on;
        break;
    case 2:
    case 3:
        machine->cpus = (int)prng_between(prng, 1, 6);
        break;
    case 4:
        machine->memory = (int)prng_between(prng, 1, 6);
        break;
    case 5:
        machine->restart = (int)prng_below(prng, 4);
        break;
    case 6:
        machine->has_nic = project->has_network && !machine->has_nic;
        break;
    case 7:
        machine->is_uefi = !machine->is_uefi;
        break;
    case 8:
        machine->name++;
        break;
    case 9:
        machine->may_be_replaced = !machine->may_be_replaced;
        break;
    default:
        disk_move(project, prng);
    }
}

static void network_drop(struct wish_project *project)
{
    project->has_network = project->has_firewall = false;
    project->has_floating = project->has_forward = false;
    for (int i = 0; i < WISH_MACHINES; i++)
        project->machines[i].has_nic = false;
}

static void network_edit(struct wish_project *project, struct prng *prng)
{
    if (!project->has_network) {
        project->has_network = true;
        return;
    }
    switch (prng_below(prng, 6)) {
    case 0:
        project->mtu = (int)prng_between(prng, 1280, 1500);
        break;
    case 1:
        project->nat = !project->nat;
        break;
    case 2:
        project->has_firewall = !project->has_firewall;
        break;
    case 3:
        project->rules = (int)prng_between(prng, 0, 3);
        break;
    case 4:
        project->port = (int)prng_between(prng, 8000, 8003);
        break;
    default:
        if (prng_chance(prng, 400))
            network_drop(project);
    }
}

static void volumes_edit(struct wish_project *project, struct prng *prng)
{
    struct wish_volume *volumes = &project->volumes[WISH_FEW];
    const int count = WISH_VOLUMES - WISH_FEW;
    const bool comes = !volumes[0].is_declared, goes = !comes && prng_chance(prng, 300);
    const int most = (int)prng_between(prng, 3, count);
    for (int i = 0; i < count; i++)
        if (comes && i < most)
            volume_make(&volumes[i], prng);
        else if (goes)
            volumes[i].is_declared = false;
        else
            volumes[i].gib++;
}

static void nics_edit(struct wish_project *project, struct prng *prng)
{
    struct wish_machine *machine = &project->machines[prng_below(prng, WISH_MACHINES)];
    machine->renamed_from = machine->name;
    if (machine->nics && prng_chance(prng, 500))
        machine->labels++;
    else
        machine->nics = machine->nics ? 0 : (int)prng_between(prng, 3, WISH_NICS - 1);
}

/* Many of a kind, by one commit. */
static void many_edit(struct wish_project *project, struct prng *prng)
{
    if (prng_chance(prng, 500))
        volumes_edit(project, prng);
    else
        nics_edit(project, prng);
}

/* How a machine is reached from without. */
static void outside_edit(struct wish_project *project, struct prng *prng)
{
    bool *has = prng_chance(prng, 500) ? &project->has_floating : &project->has_forward;
    *has = project->has_network && !*has;
}

static void image_edit(struct wish *wish, struct prng *prng)
{
    if (wish->has_image && prng_chance(prng, 500))
        wish->image++;
    else
        wish->has_image = !wish->has_image;
}

/* Something that only another process of the hypervisor can have, and may at once. */
static void machine_restart(struct wish_project *project, struct prng *prng)
{
    struct wish_machine *machine = &project->machines[prng_below(prng, WISH_MACHINES)];
    machine->renamed_from = machine->name;
    if (!machine->is_declared)
        machine_make(project, (int)(machine - project->machines), prng);
    machine->is_on = true;
    machine->restart = 1;
    machine->cpus = machine->cpus == 5 ? 6 : 5; /* beyond what it was started with */
}

/* A volume leaves Git and is kept, or comes back. */
static void volume_keep(struct wish_project *project, struct prng *prng)
{
    int index = (int)prng_below(prng, WISH_FEW);
    struct wish_volume *volume = &project->volumes[index];
    volume->renamed_from = volume->name;
    if (!volume->is_declared) {
        volume_make(volume, prng);
        volume->is_deleted = false;
    } else if (volume->is_deleted) {
        volume->is_deleted = false;
    } else {
        volume_drop(project, index);
    }
}

static void anything_drop(struct wish_project *project, struct prng *prng)
{
    int index = (int)prng_below(prng, WISH_MACHINES);
    struct wish_machine *machine = &project->machines[index];
    machine->renamed_from = machine->name;
    if (machine->is_declared)
        machine->is_declared = false;
    else
        machine_make(project, index, prng);
}

static bool taste_edit(struct wish_project *project, enum wish_taste taste, struct prng *prng)
{
    static void (*const edits[TASTES])(struct wish_project *, struct prng *) = {
        [TASTE_RESTARTS] = machine_restart,
        [TASTE_KEEPS] = volume_keep,
        [TASTE_REMOVES] = anything_drop,
    };
    if (taste == TASTE_ALL || prng_chance(prng, 300))
        return false;
    edits[taste](project, prng);
    return true;
}

void wish_edit(struct wish *wish, enum wish_taste taste, struct prng *prng)
{
    struct wish_project *project = &wish->projects[prng_below(prng, WISH_PROJECTS)];
    for (int p = 0; p < WISH_PROJECTS; p++) { /* renamedFrom has done its work */
        for (int i = 0; i < WISH_VOLUMES; i++)
            if (prng_chance(prng, 700))
                wish->projects[p].volumes[i].renamed_from = wish->projects[p].volumes[i].name;
        for (int i = 0; i < WISH_MACHINES; i++)
            if (prng_chance(prng, 700))
                wish->projects[p].machines[i].renamed_from = wish->projects[p].machines[i].name;
    }
    wish->has_pool = true;
    if (!project->is_declared) {
        project_make(project, prng);
        return;
    }
    if (taste_edit(project, taste, prng))
        return;
    uint64_t what = prng_below(prng, 100);
    if (what < 40)
        volume_edit(project, prng);
    else if (what < 46)
        many_edit(project, prng);
    else if (what < 80)
        machine_edit(project, prng);
    else if (what < 92)
        network_edit(project, prng);
    else if (what < 96)
        outside_edit(project, prng);
    else if (what < 98)
        image_edit(wish, prng);
    else
        project->is_declared = false;
}

/* ---- text --------------------------------------------------------------------------- */

static void head_text(struct text *out, const char *kind, const char *name, const char *project,
                      const char *renamed_from)
{
    text_printf(out, "apiVersion: spinel/v1\nkind: %s\nmetadata:\n  name: %s\n", kind, name);
    if (project)
        text_printf(out, "  project: %s\n", project);
    if (renamed_from)
        text_printf(out, "  renamedFrom: %s\n", renamed_from);
}

static void volume_text(struct text *out, const struct wish_volume *volume, int index,
                        const char *project)
{
    char name[WISH_NAME], former[WISH_NAME];
    wish_volume_name(name, index, volume->name);
    wish_volume_name(former, index, volume->renamed_from);
    head_text(out, "Volume", name, project, volume->renamed_from != volume->name ? former : NULL);
    text_printf(out, "spec: {size: %dGiB, pool: fast, %sprotect: %s, onRemove: %s}\n---\n",
                volume->gib, index == WISH_FROM_IMAGE ? "image: base, " : "",
                volume->is_protected ? "true" : "false", volume->is_deleted ? "delete" : "release");
}

static void machine_text(struct text *out, const struct wish_project *project, int index,
                         const char *project_name)
{
    const struct wish_machine *machine = &project->machines[index];
    char name[WISH_NAME], former[WISH_NAME], disk[WISH_NAME];
    wish_machine_name(name, index, machine->name);
    wish_machine_name(former, index, machine->renamed_from);
    head_text(out, "Instance", name, project_name,
              machine->renamed_from != machine->name ? former : NULL);
    if (machine->labels)
        text_printf(out, "  labels: {number: n%d}\n", machine->labels);
    text_printf(out, "spec:\n  cpus: %d\n  maxCpus: %d\n  memory: %dGiB\n  maxMemory: %dGiB\n",
                machine->cpus, machine->cpus > 4 ? machine->cpus : 4, machine->memory,
                machine->memory > 4 ? machine->memory : 4);
    text_printf(out, "  firmware: %s\n  power: \"%s\"\n", machine->is_uefi ? "uefi" : "bios",
                machine->is_on ? "on" : "off");
    text_printf(out, "  updatePolicy: {restart: %s, replace: %s}\n  restartPolicy: {mode: %s}\n",
                restarts[machine->restart], machine->may_be_replaced ? "allowed" : "never",
                restart_modes[machine->restart_policy]);
    if (machine->disk >= 0 && project->volumes[machine->disk].is_declared) {
        wish_volume_name(disk, machine->disk, project->volumes[machine->disk].name);
        text_printf(out, "  disks: [{name: data, volume: %s}]\n", disk);
    }
    if (machine->has_nic && project->has_network) {
        text_add(out, "  nics:\n");
        for (int i = 0; i <= machine->nics; i++)
            text_printf(out, "    - {name: eth%d, subnet: apps}\n", i);
    }
    if (machine->has_cloud_init)
        text_printf(out, "  cloudInit: {userData: \"#cloud-config %s\"}\n", wish_secret);
    text_add(out, "---\n");
}

static void outside_text(struct text *out, const struct wish_project *project, int index,
                         const char *project_name)
{
    char name[WISH_NAME];
    int to = 0;
    while (to < WISH_MACHINES &&
           !(project->machines[to].is_declared && project->machines[to].has_nic))
        to++;
    if (to < WISH_MACHINES)
        wish_machine_name(name, to, project->machines[to].name);
    if (project->has_floating) {
        head_text(out, "FloatingIP", "ip", project_name, NULL);
        text_printf(out, "spec: {address: 203.0.113.%d, vpc: net", 10 + index);
        if (to < WISH_MACHINES)
            text_printf(out, ", instance: %s", name);
        text_add(out, "}\n---\n");
    }
    if (project->has_forward && to < WISH_MACHINES) {
        head_text(out, "PortForward", "ssh", project_name, NULL);
        text_printf(out, "spec: {vpc: net, port: %d, targetPort: 22, instance: %s}\n---\n",
                    2222 + index, name);
    }
}

static void network_text(struct text *out, const struct wish_project *project, int index,
                         const char *name)
{
    head_text(out, "VPC", "net", name, NULL);
    text_printf(out, "spec: {prefixes: [10.%d.0.0/16], nat: %s, mtu: %d}\n---\n", 10 + index,
                project->nat ? "true" : "false", project->mtu);
    head_text(out, "Subnet", "apps", name, NULL);
    text_printf(out, "spec: {vpc: net, cidr: 10.%d.1.0/24}\n---\n", 10 + index);
    outside_text(out, project, index, name);
    if (!project->has_firewall)
        return;
    head_text(out, "Firewall", "fw", name, NULL);
    text_add(out, "spec:\n  vpc: net\n  rules:\n");
    for (int i = 0; i < project->rules; i++)
        text_printf(out, "    - {name: r%d, protocols: [{protocol: tcp, ports: [%d]}]}\n", i,
                    project->port + i);
    if (!project->rules)
        text_add(out, "    []\n");
    text_add(out, "---\n");
}

/* What volumes are made from is there while they are. */
static void image_text(struct text *out, const struct wish *wish)
{
    bool has_image = wish->has_image;
    for (int p = 0; p < WISH_PROJECTS; p++)
        has_image |=
            wish->projects[p].is_declared && wish->projects[p].volumes[WISH_FROM_IMAGE].is_declared;
    if (!has_image)
        return;
    head_text(out, "Image", "base", NULL, NULL);
    text_printf(out, "spec: {url: \"https://example.org/base\", digest: \"sha256:%064x\"}\n---\n",
                (unsigned)wish->image);
}

void wish_text(const struct wish *wish, struct text *out)
{
    image_text(out, wish);
    if (wish->has_pool) {
        head_text(out, "Pool", "fast", NULL, NULL);
        text_add(out, "spec: {}\n---\n");
    }
    for (int p = 0; p < WISH_PROJECTS; p++) {
        const struct wish_project *project = &wish->projects[p];
        const char *name = p ? "west" : "east";
        if (!project->is_declared)
            continue;
        head_text(out, "Project", name, NULL, NULL);
        text_add(out, "spec: {}\n---\n");
        if (project->has_network)
            network_text(out, project, p, name);
        for (int i = 0; i < WISH_VOLUMES; i++)
            if (project->volumes[i].is_declared)
                volume_text(out, &project->volumes[i], i, name);
        for (int i = 0; i < WISH_MACHINES; i++)
            if (project->machines[i].is_declared)
                machine_text(out, project, i, name);
    }
}
