#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Proof that the tests bite: each patch beside this file plants one bug in a copy of the
tree, and one of the suites must fail. Stops at the first suite that does.

  units        the unit tests of what the patch touches
  seeds        the simulator's random runs
  crash        the crash enumeration, a sample of it
  determinism  the same seed twice, in surroundings that differ

A suite has found the bug if it says what is wrong: the test that fails, the invariant that is
broken, or the product's own invariant() that ended it. Any other end (a time limit, a signal, a
program that is missing) is unclear, and counts as a failure.

usage: bugs.py [--sample N] [--jobs J] [--suites LIST] [--tree DIR] [--json FILE] [NAME...]
  --sample N       that many, another choice every day
  --suites LIST    these only, in this order: "seeds,crash" says how many the simulation finds alone
  --seeds N        random runs of each, at most (60)
  --crash N        every Nth crash point (199)
  --tree DIR       where the copy is kept, so that two can run at a time
  --json FILE      the outcome of each, and the sums, go there
Exit: 0 all caught; 1 one was not, is unclear, does not apply, or does not compile."""
import argparse, glob, json, os, re, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..', '..'))


def tests(folder):
    found = sorted(glob.glob(os.path.join(ROOT, 'tests', folder, 'test_*.c')),
                   key=lambda name: ('test_part.c' in name, name))  # that one takes long
    return [f'{folder}/{os.path.basename(name)[:-2]}' for name in found if 'test_growth' not in name]


UNITS = {
    'reconciler/engine/part': ['engine/test_part_rules', 'engine/test_part'],
    'reconciler/engine': tests('engine'),
    'reconciler/plan': tests('plan') + ['engine/test_core', 'engine/test_approval', 'engine/test_lost', 'engine/test_rename', 'engine/test_collapse', 'engine/test_hold', 'engine/test_hold_end', 'engine/test_backup'],
    'reconciler/store': tests('store') + ['sim/test_vfs'],
    'model/durable': ['driver/test_file_sync', 'driver/test_qemu'],
    'drivers/file': ['driver/test_place', 'driver/test_file_sync', 'driver/test_file_group', 'driver/test_pool', 'driver/test_image', 'driver/test_file'],
    'drivers/linux-vpc': tests('linux_vpc'),
    'drivers/qemu': tests('qemu'),
    'drivers/lib': ['qemu/test_process', 'driver/test_guard', 'driver/test_ledger', 'driver/test_call', 'driver/test_group', 'driver/test_conformance', 'driver/test_image', 'driver/test_file'],
}


def run(command, tree, seconds=900):
    """The return code is that of the program, negative if a signal ended it; None: it had no end."""
    try:
        return subprocess.run('exec ' + command, cwd=tree, shell=True, timeout=seconds, text=True,
                              errors='replace', stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, 'BUILD': 'build'})
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b'').decode(errors='replace')
        return subprocess.CompletedProcess(command, None, text, '')


def copy(tree):
    """Only what differs, so that only that is built again."""
    names = run('git ls-files', ROOT).stdout.split()
    for name in names:
        source, target = os.path.join(ROOT, name), os.path.join(tree, name)
        content = open(source, 'rb').read()
        if os.path.exists(target) and open(target, 'rb').read() == content:
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, 'wb').write(content)
        os.chmod(target, os.stat(source).st_mode)


def make(tree, targets):
    cc = os.environ.get('CC', 'cc')
    jobs = os.environ.get('JOBS', '2')
    return run(f'make -j{jobs} CC="{cc}" {targets}', tree)


AT_ONCE = 20  # seeds; most bugs show in the first


def suites(patch, options):
    """Of each: its name, what is to be built, and the command."""
    sim = 'build/tests/sim/spinel-sim'
    touched = [line[6:].split()[0] for line in open(patch) if line.startswith('+++ b/')] if patch else []
    units = dict.fromkeys(name for prefix, names in UNITS.items() for name in names
                          if not patch or touched[0].startswith(prefix))
    commands = {
        'units': [(f'{"all " if unit.startswith("driver") else ""}build/tests/{unit}',
                   f'build/tests/{unit}') for unit in units],
        'seeds': [(sim, f'{sim} run --no-minimise --from {first} --jobs {options.jobs}'
                        f' --seeds {min(AT_ONCE, options.seeds + 1 - first)}')
                  for first in range(1, options.seeds + 1, AT_ONCE)],
        'crash': [(sim, f'{sim} crash --sample {options.crash} --jobs {options.jobs}')],
        'determinism': [(sim, f'{sim} determinism --seeds 5')],
    }
    for suite in options.suites.split(','):
        for target, command in commands[suite]:
            yield suite, target, command


# What each suite says of what it has found.
FOUND = {
    'units': re.compile(r'^\[  FAILED  \] (?!\d)(.+)$', re.M),
    'seeds': re.compile(r'^(seed \d+: \w+ broken \(.*)$', re.M),
    'crash': re.compile(r'^(.+: (?!it died$).+)\n  replay: build/tests/sim/spinel-sim crash'
                        r'|^(.+: (?:fails undisturbed|does not begin): (?!it died$).+)$', re.M),
    'determinism': re.compile(r'^(seed \d+: trace \w+, elsewhere \w+)$', re.M),
}
# model/invariant.c, when the product finds itself wrong and ends.
BUG = re.compile(r'^\S+: bug: (.+)$', re.M)


def judge(suite, result):
    """'passed', 'caught' or 'unclear', and what was found or happened."""
    code, text = result.returncode, result.stdout
    found = FOUND[suite].search(text)
    bug = BUG.search(text)
    if code == 0:
        return 'passed', ''
    if code is None:
        return 'unclear', 'no end in time'
    if code > 0 and code < 126 and found:
        return 'caught', next(group for group in found.groups() if group)
    if bug and (code == -6 or 'signal 6' in text):
        return 'caught', f'the product: {bug.group(1)}'
    last = text.strip().splitlines()
    return 'unclear', f'exit {code}: {last[-1] if last else "nothing said"}'


def plant(patch, tree, options):
    """{name, outcome, suite, what, seconds}; outcome: caught, missed, unclear or broken."""
    name = os.path.basename(patch)[:-6] if patch else ''
    began = time.time()

    def row(outcome, suite, what):
        return {'name': name, 'outcome': outcome, 'suite': suite, 'what': what.strip()[:300],
                'seconds': round(time.time() - began, 1)}

    if patch and run(f'patch -p1 --no-backup-if-mismatch <{patch}', tree).returncode != 0:
        return row('broken', None, 'does not apply')
    try:
        for suite, target, command in suites(patch, options):
            built = make(tree, target)
            if built.returncode != 0:
                return row('broken', suite, 'does not compile: ' + next(
                    (l for l in built.stdout.splitlines() if 'error' in l), ''))
            outcome, what = judge(suite, run(command, tree))
            if outcome != 'passed':
                return row(outcome, suite, what)
        return row('missed', None, '')
    finally:
        if patch:
            run(f'patch -R -p1 --no-backup-if-mismatch <{patch}', tree)


def chosen(options):
    patches = sorted(glob.glob(os.path.join(HERE, '*.patch')))
    if options.names:
        return [p for p in patches if os.path.basename(p)[:-6] in options.names]
    if not options.sample:
        return patches
    start = int(time.time() // 86400) * options.sample % len(patches)
    return (patches + patches)[start:start + options.sample]


def summary(rows):
    by = {}
    for row in rows:
        key = row['suite'] if row['outcome'] == 'caught' else row['outcome']
        by[key] = by.get(key, 0) + 1
    return {'planted': len(rows), 'caught': sum(row['outcome'] == 'caught' for row in rows),
            'by': dict(sorted(by.items()))}


def write(options, rows):
    with open(options.json, 'w') as file:
        json.dump({'suites': options.suites, 'seeds': options.seeds, 'crash': options.crash,
                   **summary(rows), 'bugs': rows}, file, indent=1)
        file.write('\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('names', nargs='*')
    parser.add_argument('--sample', type=int, default=0)
    parser.add_argument('--jobs', type=int, default=1)
    parser.add_argument('--seeds', type=int, default=60)
    parser.add_argument('--crash', type=int, default=199)
    parser.add_argument('--suites', default='units,seeds,crash,determinism')
    parser.add_argument('--json')
    parser.add_argument('--tree', default=os.path.join(ROOT, os.environ.get('BUILD', 'build'), 'bugs'))
    parser.add_argument('--no-clean', action='store_true', help='not without any bug first')
    options = parser.parse_args()
    tree = options.tree
    os.makedirs(tree, exist_ok=True)
    copy(tree)
    built = make(tree, 'build/tests/sim/spinel-sim')
    if built.returncode != 0:
        print(built.stdout)
        return 1
    if not options.no_clean:
        clean = plant(None, tree, options)
        if clean['outcome'] != 'missed':
            print(f'without any bug {clean["suite"]} does not pass: {clean["what"]}')
            return 1
    rows = []
    for patch in chosen(options):
        rows.append(plant(patch, tree, options))
        last = rows[-1]
        outcome = last['suite'] if last['outcome'] == 'caught' else last['outcome'].upper()
        print(f'{last["name"]:40} {outcome:8} {last["seconds"]:4.0f} s  {last["what"][:110]}', flush=True)
        if options.json:  # after each: what is measured so far is not lost
            write(options, rows)
    sums = summary(rows)
    print(f'{sums["caught"]} of {sums["planted"]} planted bugs caught by {options.suites}:',
          ', '.join(f'{key} {count}' for key, count in sums['by'].items()))
    return sums['caught'] != sums['planted']


if __name__ == '__main__':
    sys.exit(main())
