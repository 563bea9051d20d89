# Spinel: one Makefile, nothing recursive.
#
#   make            build everything into build/
#   make help       every target with one line
#
# A new .c file in an existing folder, a new folder under drivers/ and a new
# test file need no edit here. CC, CFLAGS, LDFLAGS, PREFIX, DESTDIR and
# SANITIZE (address,undefined or thread) are honoured; V=1 shows commands.

CC      ?= gcc
CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local
BUILD   ?= build
VERSION := $(shell git describe --always --dirty --tags 2>/dev/null || cat VERSION 2>/dev/null || echo unknown)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wmissing-prototypes \
        -Wstrict-prototypes -Wformat=2 -Wundef -Werror
HARD := -fstack-protector-strong -fPIE
ifdef SANITIZE
BUILD := build-$(firstword $(subst $(comma),$() ,$(SANITIZE)))
SAN   := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
else
HARD  += -D_FORTIFY_SOURCE=2
endif
comma := ,

ALL_CFLAGS  = -std=c17 -D_GNU_SOURCE -I. $(WARN) $(HARD) $(SAN) -MMD -MP $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now $(SAN) $(LDFLAGS)

LIBS_model  := -lyaml -ljansson -lsodium -lutf8proc
LIBS_spinel := -lgit2 -lsqlite3 -lev -lpopt $(LIBS_model)
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
units       := $(patsubst %.c,$(BUILD)/%,$(unit_src))
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

$(BUILD)/gen/version.h: FORCE
	@mkdir -p $(@D)
	@echo '#define SPINEL_VERSION "$(VERSION)"' | cmp -s - $@ || echo '#define SPINEL_VERSION "$(VERSION)"' >$@
$(BUILD)/obj/reconciler/cli/%.o: ALL_CFLAGS += -I$(BUILD)/gen
$(call obj,$(wildcard reconciler/cli/*.c)): $(BUILD)/gen/version.h

$(BUILD)/libmodel.a: $(call obj,$(model_src)) $(BUILD)/gen/kinds.o
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/libcore.a: $(call obj,$(core_src))
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

check-unit: all $(units)  ## unit tests only
	CMOCKA_MESSAGE_OUTPUT=TAP prove --exec '' $(units)

help:  ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

clean:  ## remove what was built
	rm -rf build build-*

FORCE:
.PHONY: all check-unit help clean FORCE
.DELETE_ON_ERROR:

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
