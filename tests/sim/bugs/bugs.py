#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Proof that the tests bite: each patch beside this file plants one bug in a copy of the
tree, and one of the suites must fail. Stops at the first suite that does.

  units    the unit tests of what the patch touches
  seeds    the simulator's random runs
  crash    the crash enumeration, a sample of it

usage: bugs.py [--sample N] [--jobs J] [--suites LIST] [--tree DIR] [NAME...]
  --sample N       that many, another choice every day
  --suites LIST    these only, in this order (units,seeds,crash)
  --tree DIR       where the copy is kept, so that two can run at a time
Exit: 0 all caught; 1 one was not, does not apply, or does not compile."""
import argparse, glob, os, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..', '..'))


def tests(folder):
    found = sorted(glob.glob(os.path.join(ROOT, 'tests', folder, 'test_*.c')),
                   key=lambda name: ('test_part.c' in name, name))  # that one takes long
    return [f'{folder}/{os.path.basename(name)[:-2]}' for name in found if 'test_growth' not in name]


UNITS = {
    'reconciler/engine/part': ['engine/test_part_rules', 'engine/test_part'],
    'reconciler/engine': tests('engine'),
    'reconciler/plan': tests('plan') + ['engine/test_core', 'engine/test_lost', 'engine/test_backup'],
    'reconciler/store': tests('store') + ['sim/test_vfs'],
    'model/durable': ['driver/test_file_sync', 'driver/test_qemu'],
    'drivers/file': ['driver/test_file_sync', 'driver/test_file_group', 'driver/test_file'],
    'drivers/lib': ['driver/test_ledger', 'driver/test_call', 'driver/test_group', 'driver/test_conformance', 'driver/test_file'],
}


def run(command, tree, seconds=900):
    try:
        return subprocess.run(command, cwd=tree, shell=True, timeout=seconds, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, 'BUILD': 'build'})
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b'').decode(errors='replace')
        return subprocess.CompletedProcess(command, 124, f'broken: no end in {seconds} s\n{text}', '')


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


def suites(patch, options):
    sim = 'build/tests/sim/spinel-sim'
    touched = [line[6:].strip() for line in open(patch) if line.startswith('+++ b/')] if patch else []
    units = dict.fromkeys(name for prefix, names in UNITS.items() for name in names
                          if not patch or touched[0].startswith(prefix))
    commands = {
        'units': [(unit, f'{"all " if unit.startswith("driver") else ""}build/tests/{unit}',
                   f'build/tests/{unit}') for unit in units],
        'seeds': [('seeds', sim, f'{sim} run --from 1 --seeds {options.seeds} --jobs {options.jobs}')],
        'crash': [('crash', sim, f'{sim} crash --sample {options.crash} --jobs {options.jobs}')],
    }
    for suite in options.suites.split(','):
        yield from commands[suite]


def say(text):
    return next((line.strip() for line in text.splitlines() if '[ RUN' not in line and
                 ('broken' in line or 'signal' in line or 'FAILED' in line or ': the end' in line
                  or 'fails undisturbed' in line or 'does not begin' in line)), '')[:110]


def plant(patch, tree, options):
    name = os.path.basename(patch)[:-6] if patch else ''
    began = time.time()
    if patch and run(f'patch -p1 --no-backup-if-mismatch <{patch}', tree).returncode != 0:
        return name, None, 'does not apply', 0
    try:
        for suite, target, command in suites(patch, options):
            built = make(tree, target)
            if built.returncode != 0:
                return name, None, 'does not compile: ' + next(
                    (l for l in built.stdout.splitlines() if 'error' in l), ''), 0
            result = run(command, tree)
            if result.returncode != 0:
                return name, suite, say(result.stdout), time.time() - began
        return name, None, 'not caught', time.time() - began
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('names', nargs='*')
    parser.add_argument('--sample', type=int, default=0)
    parser.add_argument('--jobs', type=int, default=1)
    parser.add_argument('--seeds', type=int, default=60)
    parser.add_argument('--crash', type=int, default=199)
    parser.add_argument('--suites', default='units,seeds,crash')
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
    clean = plant(None, tree, options) if not options.no_clean else ('', None)
    if clean[1]:
        print(f'without any bug {clean[1]} fails: {clean[2]}')
        return 1
    rows = []
    for patch in chosen(options):
        rows.append(plant(patch, tree, options))
        name, suite, what, seconds = rows[-1]
        print(f'{name:34} {suite or "NOT CAUGHT":20} {seconds:4.0f} s  {what}', flush=True)
    caught = sum(1 for row in rows if row[1])
    by_suite = {}
    for row in rows:
        by_suite[row[1] or 'none'] = by_suite.get(row[1] or 'none', 0) + 1
    print(f'{caught} of {len(rows)} planted bugs caught:',
          ', '.join(f'{suite} {count}' for suite, count in sorted(by_suite.items())))
    return caught != len(rows)


if __name__ == '__main__':
    sys.exit(main())
