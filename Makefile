# Spinel: one Makefile, nothing recursive.
#
#   make            build everything into build/
#   make help       every target with one line
#
# A new .c file in an existing folder, a new folder under drivers/ and a new
# test file need no edit here. CC, CFLAGS, LDFLAGS, PREFIX, DESTDIR,
# SANITIZE (address,undefined or thread) and JOBS (how many at once) are
# honoured; V=1 shows commands.

CC      ?= gcc
CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local
BUILD   ?= build
JOBS    ?= $(shell nproc)
VERSION := $(shell git describe --always --dirty --tags 2>/dev/null || cat VERSION 2>/dev/null || echo unknown)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wmissing-prototypes \
        -Wstrict-prototypes -Wformat=2 -Wundef -Werror
HARD := -fstack-protector-strong -fPIE
comma := ,
ifdef SANITIZE
BUILD := build-$(firstword $(subst $(comma),$() ,$(SANITIZE)))
SAN   := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
else
HARD  += -D_FORTIFY_SOURCE=2
endif

ALL_CFLAGS  = -std=c17 -D_GNU_SOURCE -I. $(WARN) $(HARD) $(SAN) -MMD -MP $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now $(SAN) $(LDFLAGS)

LIBS_model  := -lyaml -ljansson -lsodium -lutf8proc
LIBS_spinel := -lgit2 -lsqlite3 -lev -lpopt -lmicrohttpd -lncursesw -ltinfo $(LIBS_model)
LIBS_file   := -lcurl
LIBS_linux-vpc := -lmnl -lnftables

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

model_src   := $(wildcard model/*.c)
core_src    := $(filter-out reconciler/cli/main.c,$(wildcard reconciler/*/*.c))
lib_src     := $(wildcard drivers/lib/*.c)
driver_names := $(filter-out lib,$(patsubst drivers/%/,%,$(wildcard drivers/*/)))
driver_names := $(foreach d,$(driver_names),$(if $(wildcard drivers/$(d)/*.c),$(d)))
drivers     := $(driver_names:%=$(BUILD)/drivers/%)
kinds       := $(wildcard model/kinds/*.yaml)
unit_src    := $(wildcard tests/*/test_*.c)
UNITS       ?= $(unit_src:%.c=%)
units       := $(UNITS:%=$(BUILD)/%)
headers     := $(wildcard model/*.h reconciler/*/*.h drivers/*.h drivers/*/*.h)

ifndef V
Q := @
say = @printf '  %-7s %s\n' '$(1)' '$(2)';
endif

all: $(BUILD)/spinel $(drivers)  ## build the program and the drivers (the default)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# New flags rebuild everything; the same flags rebuild nothing.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS)' >$@

$(BUILD)/gen/kinds.S: $(kinds) model/embed.sh
	@mkdir -p $(@D)
	$(call say,GEN,$@)sh model/embed.sh $(sort $(kinds)) >$@

$(BUILD)/gen/kinds.o: $(BUILD)/gen/kinds.S
	$(call say,AS,$<)$(CC) -c -o $@ $<

# Hooks and the first example, for `spinel init`.
share := contrib/hooks/post-receive contrib/hooks/pre-receive examples/starter/starter.yaml
$(BUILD)/gen/share.S: $(share) model/embed.sh
	@mkdir -p $(@D)
	$(call say,GEN,$@)sh model/embed.sh $(share) | sed 's/kind_files/share_files/' >$@

$(BUILD)/gen/share.o: $(BUILD)/gen/share.S
	$(call say,AS,$<)$(CC) -c -o $@ $<

# The viewer's page.
web := $(wildcard reconciler/server/web/*)
$(BUILD)/gen/web.S: $(web) model/embed.sh
	@mkdir -p $(@D)
	$(call say,GEN,$@)sh model/embed.sh $(sort $(web)) | sed 's/kind_files/web_files/' >$@

$(BUILD)/gen/web.o: $(BUILD)/gen/web.S
	$(call say,AS,$<)$(CC) -c -o $@ $<

$(BUILD)/gen/version.h: FORCE
	@mkdir -p $(@D)
	@echo '#define SPINEL_VERSION "$(VERSION)"' | cmp -s - $@ || echo '#define SPINEL_VERSION "$(VERSION)"' >$@
versioned := $(call obj,$(wildcard reconciler/cli/*.c) reconciler/server/web_metrics.c)
$(versioned): private ALL_CFLAGS += -I$(BUILD)/gen
$(versioned): | $(BUILD)/gen/version.h

# An assembler file that a .c includes is not in the .d that the compiler writes.
$(BUILD)/obj/drivers/qemu/canary.o: drivers/qemu/canary.S

$(BUILD)/libmodel.a: $(call obj,$(model_src)) $(BUILD)/gen/kinds.o
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/libcore.a: $(call obj,$(core_src)) $(BUILD)/gen/share.o $(BUILD)/gen/web.o
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/libspinel-driver.a: $(call obj,$(lib_src))
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/spinel: $(call obj,reconciler/cli/main.c) $(BUILD)/libcore.a $(BUILD)/libmodel.a
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_spinel)

.SECONDEXPANSION:
$(drivers): $(BUILD)/drivers/%: $$(call obj,$$(wildcard drivers/%/*.c)) $(BUILD)/libspinel-driver.a $(BUILD)/libmodel.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_$*) $(LIBS_model)

# A unit test links everything below the CLI; a driver's test includes the .c it tests.
$(units): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BUILD)/libcore.a $(BUILD)/libspinel-driver.a $(BUILD)/libmodel.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $< $(BUILD)/libcore.a $(BUILD)/libspinel-driver.a $(BUILD)/libmodel.a $(LIBS_$(LIBS_OF)) $(LIBS_spinel) $(LIBS_linux-vpc) $(LIBS_file) -lcmocka

# Tests on a simulated disk: the store's own system calls go to tests/sim/posix.c first.
sim_wraps := $(addprefix -Wl$(comma)--wrap=,mkdir stat lstat fstat realpath __realpath_chk access open openat renameat unlink unlinkat pread read write \
             dprintf __dprintf_chk ftruncate fsync fdatasync flock close getpid)
$(BUILD)/tests/sim/test_vfs: ALL_LDFLAGS += $(sim_wraps)
preloads := $(BUILD)/tests/driver/sync_log.so $(BUILD)/tests/driver/crash_at.so
$(addprefix $(BUILD)/tests/driver/,test_file_sync test_file_group test_qemu): $(preloads)
$(preloads): $(BUILD)/%.so: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -std=c17 -D_GNU_SOURCE -O1 $(WARN) -fPIC -shared -o $@ $<
$(BUILD)/tests/driver/test_ledger: ALL_LDFLAGS += -Wl,--wrap=fdatasync
$(BUILD)/tests/driver/test_guard: ALL_LDFLAGS += -Wl,--wrap=dup2
$(BUILD)/tests/driver/test_place: ALL_LDFLAGS += -Wl,--wrap=stat -Wl,--wrap=fstat -Wl,--wrap=lgetxattr
$(BUILD)/tests/server/test_handover: ALL_LDFLAGS += $(addprefix -Wl$(comma)--wrap=,mkdirat linkat renameat2 \
             unlinkat fsync fchown fchmod fchownat)
$(BUILD)/tests/linux_vpc/test_nft_calls: ALL_LDFLAGS += $(addprefix -Wl$(comma)--wrap=,nft_ctx_new \
             nft_ctx_buffer_output nft_ctx_buffer_error nft_run_cmd_from_buffer)

# ---- torture: every fallible call of our own objects goes through tests/torture/wraps.c
torture_names = $(shell sh tests/torture/names.sh)
torture_wraps = $(addprefix -Wl$(comma)--wrap=,$(torture_names))
torture_hook := $(call obj,tests/torture/wraps.c tests/torture/hook.c)
torture_obj  := $(call obj,$(filter-out tests/torture/wraps.c tests/torture/hook.c,$(wildcard tests/torture/*.c)))
ifdef TORTURE
$(drivers): ALL_LDFLAGS += $(torture_wraps)
$(drivers): $(torture_hook)
$(drivers): LIBS_model += $(LIBS_spinel) $(LIBS_file) $(LIBS_linux-vpc)
endif
$(BUILD)/torture: ALL_LDFLAGS += $(torture_wraps)
$(BUILD)/torture: $(torture_obj) $(torture_hook) $(BUILD)/libcore.a $(BUILD)/libmodel.a
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_spinel) $(LIBS_file) $(LIBS_linux-vpc)

torture_make = $(MAKE) SANITIZE=address,undefined BUILD=build-torture TORTURE=1
torture:  ## every fallible call fails, once and for good (days; EACH=some|first of the calls from a place, SAMPLE=N every Nth, DISTINCT=1 no place twice, SCENE= some, CALL= some)
	+$(torture_make) all build-torture/torture
	BUILD=build-torture build-torture/torture $(if $(EACH),--each $(EACH)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(DISTINCT),--distinct) $(addprefix --scene ,$(SCENE)) $(addprefix --call ,$(CALL))

check-torture:  ## a sample of it
	+$(torture_make) all build-torture/torture
	sh tests/torture/names.sh $$(find build-torture/obj build-torture/gen -name '*.o' ! -path '*/obj/tests/*')
	$(MAKE) torture EACH=some SAMPLE=18 SCENE='check check-rev freeze plan-invalid apply-driver'
	$(MAKE) torture EACH=some SAMPLE=300 SCENE=file

# ---- fuzzing: one file a target; replay.c runs it on files, libFuzzer on inputs of its own
fuzz_targets := $(filter-out replay cost bounded directory scene restart shown_rows,$(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c)))
replays  := $(fuzz_targets:%=$(BUILD)/fuzz/%)
fuzzers  := $(fuzz_targets:%=$(BUILD)/fuzzer/%)
fuzz_libs = $(BUILD)/libcore.a $(BUILD)/libspinel-driver.a $(BUILD)/libmodel.a
fuzz_link = $(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(fuzz_libs) $(LIBS_spinel) $(LIBS_linux-vpc) $(LIBS_file)

$(replays): $(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(call obj,$(addprefix tests/fuzz/,replay.c cost.c directory.c scene.c)) $(fuzz_libs)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(fuzz_link)

# Without a sanitizer, what an input costs can be told while it is looked for.
fuzz_bound := $(if $(filter fuzzer-no-link,$(SANITIZE)),$(call obj,tests/fuzz/cost.c tests/fuzz/bounded.c))
$(fuzzers): $(BUILD)/fuzzer/%: $(BUILD)/obj/tests/fuzz/%.o $(call obj,$(addprefix tests/fuzz/,directory.c scene.c)) $(fuzz_bound) $(fuzz_libs)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(fuzz_link) -fsanitize=fuzzer $(if $(fuzz_bound),-Wl$(comma)--wrap=LLVMFuzzerTestOneInput)

# What a target links beside the files that it includes.
$(foreach t,fuzz fuzzer,$(BUILD)/$(t)/store_rows): $(call obj,tests/fuzz/restart.c tests/fuzz/shown_rows.c)
$(foreach t,fuzz fuzzer,$(BUILD)/$(t)/netlink): $(call obj,$(addprefix drivers/linux-vpc/,conntrack.c dhcp_dir.c dhcp_files.c draft.c link.c \
    kept.c names.c netns.c network.c policy.c records.c route.c))
$(foreach t,fuzz fuzzer,$(BUILD)/$(t)/instances): $(call obj,$(addprefix drivers/qemu/,argv.c cgroup.c instance.c machine.c \
    machine_value.c process.c qmp.c rundir.c serial_log.c tap.c))
$(foreach t,fuzz fuzzer,$(BUILD)/$(t)/pools): $(call obj,$(addprefix drivers/file/,copy.c fetch.c image.c mark.c place.c pool.c qcow2.c reach.c \
    seed.c staging.c volume.c volume_apply.c volume_make.c watch.c))
$(foreach t,fuzz fuzzer,$(BUILD)/$(t)/seeds): $(call obj,$(addprefix drivers/file/,mark.c place.c staging.c))
$(foreach t,fuzz fuzzer,$(BUILD)/$(t)/networks): $(call obj,$(addprefix drivers/linux-vpc/,compile.c compile_firewall.c dhcp_files.c draft.c kept.c names.c network.c policy.c))

replays: $(replays)
fuzzers: $(fuzzers)

# ---- the simulator: the core, the store and the drivers' library in a world of one's own
sim_src := $(filter-out tests/sim/test_%,$(wildcard tests/sim/*.c))
spinel_sim := $(BUILD)/tests/sim/spinel-sim
$(spinel_sim): ALL_LDFLAGS += $(sim_wraps)
$(spinel_sim): $(call obj,$(sim_src) drivers/sim/shape.c) $(BUILD)/libcore.a $(BUILD)/libspinel-driver.a $(BUILD)/libmodel.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_spinel)

SEEDS ?= 1000
FROM  ?= 1
sim: $(spinel_sim)  ## simulated racks with faults from seeds: SEEDS=1000 FROM=1; docs/simulation.md
	$(spinel_sim) run --from $(FROM) --seeds $(SEEDS) --jobs $(JOBS)

crash: $(spinel_sim)  ## a crash at every call of every canonical change, and a second one (SAMPLE=N: every Nth)
	$(spinel_sim) crash --sample $(or $(SAMPLE),1) --jobs $(JOBS)

bugs:  ## plants known bugs one by one; the tests must find each (SAMPLE=N plants N, others every day)
	python3 tests/sim/bugs/bugs.py --jobs $(JOBS) $(if $(SAMPLE),--sample $(SAMPLE))

# What of the three `make check` has time for.
check-sim: $(spinel_sim)
	$(spinel_sim) past tests/sim/seeds.txt --jobs $(JOBS)
	$(spinel_sim) run --from 1 --seeds 100 --jobs $(JOBS)
	$(spinel_sim) determinism --seeds 3
	$(spinel_sim) crash --sample 199 --jobs $(JOBS)
	python3 tests/sim/bugs/bugs.py --jobs $(JOBS) --sample 2 --no-clean # the rest of the check says that it is clean

# ---- manual pages
man_src := $(wildcard docs/man/*.scd)
man     := $(patsubst docs/man/%.scd,$(BUILD)/man/%,$(man_src))
$(BUILD)/man/%: docs/man/%.scd
	@mkdir -p $(@D)
	$(call say,MAN,$<)scdoc <$< >$@.tmp && mv $@.tmp $@
man: $(man)  ## the manual pages

# One more at once than there are processors: some do little but wait.
check-unit: all $(units)  ## unit tests only
	BUILD=$(BUILD) CMOCKA_MESSAGE_OUTPUT=TAP prove -j $$(($(JOBS) + 1)) --exec 'bash tests/tap.sh' $(units)

setup:  ## install what is missing, with the distribution's packages
	@sh contrib/setup test

# All processors, except where tests share the machine's networks. What is measured beside others is
# their own CPU time, never the clock.
parallel = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))
check: setup  ## everything that has to hold: builds, layers, unit tests, real machines
	$(MAKE) $(parallel) all units guest
	$(MAKE) $(parallel) check-layers check-headers check-clang model
	$(MAKE) $(parallel) check-unit
	$(MAKE) $(parallel) check-asan
	$(MAKE) $(parallel) check-fuzz
	$(MAKE) $(parallel) check-fuzz SANITIZE=address,undefined
	$(MAKE) $(parallel) check-tsan
	$(MAKE) $(parallel) check-torture
	$(MAKE) $(parallel) check-sim
	$(MAKE) $(parallel) check-e2e

units: $(units)

fuzz_build := build-fuzz$(if $(FAST),-fast)
FUZZ := CC="$(FUZZ_CC)" BUILD=$(fuzz_build) SANITIZE=fuzzer-no-link$(if $(FAST),,$(comma)address$(comma)undefined)
FUZZ_CC ?= clang
TARGET ?= $(fuzz_targets)
TIME   ?= 60
fuzz:  ## libFuzzer on every input that others write; TIME= seconds each, TARGET= one or some, FAST=1 unsanitized
	$(MAKE) $(TARGET:%=$(fuzz_build)/fuzzer/%) $(FUZZ)
	sh tests/fuzz/run.sh $(fuzz_build) $(TIME) $(TARGET)

fuzz-coverage:  ## lines and branches that each fuzz target's corpus runs of the files it is for
	@$(MAKE) --no-print-directory BUILD=build-fuzz-cov CC=gcc CFLAGS="-O0 -g --coverage" LDFLAGS=--coverage $(TARGET:%=build-fuzz-cov/fuzz/%)
	@python3 tests/fuzz/coverage.py build-fuzz-cov $(TARGET)

model:  ## the protocol of intents, checked with SPIN: it holds, and without any of its rules it does not
	@prove --exec 'sh' docs/model/check.sh :: $(CURDIR)/build/model

check-fuzz: $(replays)  ## the fuzzers' corpora and past findings once more, within time and memory
	BUILD=$(BUILD) LARGE=$(if $(SANITIZE),,1) prove -j $(JOBS) --exec 'sh tests/fuzz/replay.sh' $(replays)

check-asan:  ## unit tests under AddressSanitizer, LeakSanitizer and UBSan
	$(MAKE) check-unit SANITIZE=address,undefined

# Of those that start processes all, of the others those that have a thread to start.
with_processes := $(filter tests/cli/% tests/driver/% tests/linux_vpc/% tests/qemu/% tests/server/%,$(UNITS))
check-tsan: $(units)  ## unit tests with threads or processes, under ThreadSanitizer
	$(MAKE) check-unit SANITIZE=thread UNITS="$(with_processes) $$(for unit in $(filter-out $(with_processes),$(UNITS)); do \
	    ! nm -D -u $(BUILD)/$$unit | grep -q 'pthread_create\|thrd_create' || echo $$unit; done)"

memcheck := timeout 900 valgrind -q --error-exitcode=99 --leak-check=no --child-silent-after-fork=yes --suppressions=tests/memory.supp
# docs/testing.md says why not these.
no_memcheck := $(addprefix %/test_,growth conformance group qemu processes process strays launch dhcp supervisor)
check-memory: all units  ## unit tests under valgrind, and ten thousand passes without growth
	@command -v valgrind >/dev/null || { echo "SKIP check-memory: valgrind is not installed"; exit 1; }
	BUILD=$(BUILD) CMOCKA_MESSAGE_OUTPUT=TAP prove --timer --exec 'bash tests/tap.sh $(memcheck)' $(filter-out $(no_memcheck),$(units))
	BUILD=$(BUILD) prove --exec '' $(BUILD)/tests/engine/test_growth

check-clang:  ## clang builds it too, with the same warnings
	$(MAKE) all CC=clang BUILD=build-clang

# gcov counts what these run: unit tests, the fuzzers' corpora, the tests of commands and of hostile
# input, torture in brief, and simulated racks. docs/testing.md says how to read it.
cov := $(MAKE) --no-print-directory BUILD=build-cov CC=gcc CFLAGS="-O0 -g --coverage -fprofile-update=atomic" \
       LDFLAGS="--coverage -Wl,--wrap=kill,--wrap=_exit build-cov/keep.o"
coverage: tests/coverage/keep.c  ## line and branch coverage, and fails below the floors
	@mkdir -p build-cov && gcc -std=c17 -D_GNU_SOURCE -O1 -c -o build-cov/keep.o $<
	@$(cov) $(parallel) all units $(coverage_replays) build-cov/torture build-cov/tests/sim/spinel-sim
	@find build-cov -name '*.gcda' -delete
	@BUILD=build-cov CMOCKA_MESSAGE_OUTPUT=TAP prove -j $(JOBS) --exec 'bash tests/tap.sh' $(unit_src:%.c=build-cov/%)
	@BUILD=build-cov prove -j $(JOBS) --exec 'sh tests/fuzz/replay.sh' $(coverage_replays)
	@chmod -R a+rwX build-cov # a core that runs as another user counts, too
	@BUILD=$(CURDIR)/build-cov prove -j $(JOBS) --exec bats $(coverage_bats)
	@build-cov/tests/sim/spinel-sim crash --sample 100 --jobs $(JOBS) >build-cov/crash.log || { cat build-cov/crash.log; exit 1; }
	@BUILD=build-cov build-cov/torture --brief >build-cov/torture.log || { cat build-cov/torture.log; exit 1; }
	@python3 tests/coverage/report.py build-cov/obj
coverage_replays := $(fuzz_targets:%=build-cov/fuzz/%)
coverage_bats := $(wildcard tests/cli/*.bats tests/hostile/*.bats) tests/e2e/engine-sim.bats

check-layers:  ## who may include whom, and what the shell would pass over
	prove tests/layout

# Each header compiles alone; the driver interface also as C++.
check-headers:
	@for h in $(headers); do \
	    printf '#include "%s"\n' $$h | $(CC) -std=c17 -D_GNU_SOURCE -I. $(WARN) -x c -fsyntax-only - || exit 1; \
	done && echo 'headers compile alone: $(words $(headers))'

# These touch nothing of the machine that another could; the longest first.
long  := tests/hostile/drivers.bats tests/hostile/commits.bats tests/cli/web.bats tests/hostile/system.bats tests/cli/push.bats
apart := $(long) $(filter-out $(long),$(wildcard tests/hostile/*.bats tests/cli/*.bats))
check-e2e: all guest  ## commands and drivers against the real machine (root for most)
	BUILD=$(CURDIR)/$(BUILD) prove -j $(JOBS) --timer --comments --exec bats $(apart)
	BUILD=$(CURDIR)/$(BUILD) prove --timer --comments --exec bats $(filter-out $(apart),$(wildcard tests/*/*.bats))
	BUILD=$(CURDIR)/$(BUILD) prove --timer $(filter-out tests/layout/%,$(wildcard tests/*/*.t))

ROUNDS ?= 200
SEED   ?= $(shell date +%s)
torture-real: all guest  ## kills, stops, a full disk, a lost repository and a broken store, on a real site: ROUNDS=200 SEED=n
	python3 tests/e2e/torture/torture.py --build $(CURDIR)/$(BUILD) --rounds $(ROUNDS) --seed $(SEED)

guest: examples/quickstart/images.yaml  ## the small guest that demo and tests boot
guest_dir := $(CURDIR)/build/guest
build/guest/.done: contrib/guest/build.sh $(wildcard contrib/guest/*)
	sh contrib/guest/build.sh $(guest_dir) && touch $@
examples/quickstart/images.yaml: examples/quickstart/images.yaml.in build/guest/.done
	@sed -e 's|@GUEST@|$(guest_dir)|' \
	    -e "s|@KERNEL_SHA256@|$$(sha256sum build/guest/kernel | cut -d' ' -f1)|" \
	    -e "s|@INITRD_SHA256@|$$(sha256sum build/guest/initrd.img | cut -d' ' -f1)|" $< >$@

demo: setup  ## two real machines on a real network, damaged, healed, changed, removed
	@$(MAKE) --no-print-directory all guest
	@BUILD=$(CURDIR)/$(BUILD) KEEP=$(KEEP) sh contrib/demo.sh

bench: all  ## figures beside the peers and the floors of this machine: ROWS=plan,disk SIZES="1000 10000" MACHINES=20 NICS=1000; docs/performance.md
	@BUILD=$(CURDIR)/$(BUILD) sh tests/bench/run.sh

bench-viewer: all  ## the viewer's figures beside a file that nginx serves
	@python3 tests/bench/viewer.py --build $(BUILD)

lint: all  ## clang-format, clang-tidy, cppcheck, shellcheck and man page lint, where installed
	@BUILD=$(CURDIR)/$(BUILD) sh contrib/lint.sh

format:  ## clang-format on every source
	clang-format -i $(shell git ls-files '*.c' '*.h')

install: all man  ## PREFIX and DESTDIR as the GNU rules say
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/spinel/drivers
	install -m 755 $(BUILD)/spinel $(DESTDIR)$(PREFIX)/bin/spinel
	install -m 755 $(drivers) $(DESTDIR)$(PREFIX)/libexec/spinel/drivers/
	install -d $(DESTDIR)$(PREFIX)/share/spinel $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	cp -r examples contrib/hooks contrib/guest contrib/demo.sh $(DESTDIR)$(PREFIX)/share/spinel/
	rm -f $(DESTDIR)$(PREFIX)/share/spinel/examples/quickstart/images.yaml*
	if [ -e build/guest/.done ]; then \
	    install -m 644 build/guest/kernel build/guest/initrd.img $(DESTDIR)$(PREFIX)/share/spinel/guest/ && \
	    sed 's|path: .*/|path: $(PREFIX)/share/spinel/guest/|' examples/quickstart/images.yaml \
	        >$(DESTDIR)$(PREFIX)/share/spinel/examples/quickstart/images.yaml; fi
	install -m 644 contrib/completion/spinel.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/spinel
	install -d $(DESTDIR)$(PREFIX)/include/spinel/model $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 $(filter %.1,$(man)) $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 $(filter %.5,$(man)) $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 644 drivers/spinel-driver.h $(DESTDIR)$(PREFIX)/include/spinel/
	install -m 644 model/*.h $(DESTDIR)$(PREFIX)/include/spinel/model/
	install -m 644 $(BUILD)/libspinel-driver.a $(BUILD)/libmodel.a $(DESTDIR)$(PREFIX)/lib/

dist:  ## a source archive of the committed tree, the same bytes each time
	@mkdir -p $(BUILD)
	git archive --prefix=spinel-$(VERSION)/ --add-virtual-file='spinel-$(VERSION)/VERSION:$(VERSION)' HEAD | gzip -n >$(BUILD)/spinel-$(VERSION).tar.gz
	@echo $(BUILD)/spinel-$(VERSION).tar.gz

help:  ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

clean:  ## remove what was built
	rm -rf build build-* examples/quickstart/images.yaml

FORCE:
.PHONY: all units setup check check-unit check-asan check-tsan check-clang check-layers check-headers \
        check-fuzz replays fuzzers fuzz fuzz-coverage model sim crash bugs check-sim torture check-torture coverage torture-real check-memory check-e2e guest demo bench bench-viewer \
        lint format install dist help clean man FORCE
.DELETE_ON_ERROR:

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
