# Primer's build. `make help` lists what there is.
#
#   build/            what is made; build/debug/ the same with DEBUG=1
#   OUT/obj/          the kernel's objects             OUT/kernel.elf     the kernel, with symbols
#   OUT/user/obj/     the programs' objects            OUT/archive.tar    the boot archive
#   OUT/user/symbols/ programs with debug information  OUT/primer.iso     bootable by BIOS and UEFI
#   OUT/user/{bin,test,bench}/  the same, stripped: what goes into the archive

DEBUG ?= 0
ifeq ($(DEBUG),1)
OUT := build/debug
else
OUT := build
endif

# --- tools -----------------------------------------------

# The first cross compiler that is there; on x86-64 the native one will do.
CROSS_COMPILE ?= $(firstword $(foreach prefix,x86_64-elf- x86_64-linux-gnu-,$(if $(shell command -v $(prefix)gcc),$(prefix))))
ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
LD      := $(firstword $(foreach tool,$(CROSS_COMPILE)ld ld.lld,$(if $(shell command -v $(tool)),$(tool))))
OBJCOPY := $(firstword $(foreach tool,$(CROSS_COMPILE)objcopy llvm-objcopy,$(if $(shell command -v $(tool)),$(tool))))
NASM    ?= nasm

# What is done to which file, in a line each; V=1 shows the commands.
V ?= 0
ifeq ($(V),0)
say = @printf '  %-8s %s\n' $(1) $(2);
endif

CFLAGS_BOTH := -std=c11 -O2 -g -Wall -Wextra -Werror -MMD -MP -I. -DDEBUG=$(DEBUG) -ffreestanding -fno-stack-protector \
               -fno-pic -fno-pie -fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fcf-protection=none \
               -ffile-prefix-map=$(CURDIR)=.
ifneq ($(findstring clang,$(CC)),)
CFLAGS_BOTH += --target=x86_64-unknown-elf
endif
CFLAGS_KERNEL := $(CFLAGS_BOTH) -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -Wframe-larger-than=1024
CFLAGS_USER   := $(CFLAGS_BOTH)
NASMFLAGS     := -f elf64 -g -F dwarf -w+all -w+error -I./
LDFLAGS       := -nostdlib -static -z max-page-size=4096 -z noexecstack --build-id=none --fatal-warnings

# --- what there is to build -----------------------------------------------

kernel_sources := $(sort $(wildcard boot/*.c boot/*.asm kernel/*.c mm/*.c arch/x86_64/*.c arch/x86_64/*.asm))
kernel_objects := $(kernel_sources:%=$(OUT)/obj/%.o)

user_sources := $(sort $(wildcard user/lib/*.c user/lib/*.asm)) kernel/ustar.c kernel/elf.c kernel/mem.c kernel/format.c
user_objects := $(user_sources:%=$(OUT)/user/obj/%.o)
test_objects := $(patsubst %,$(OUT)/user/obj/%.o,$(sort $(wildcard tests/user/lib/*.c)))
user_bin     := $(patsubst user/bin/%.c,bin/%,$(sort $(wildcard user/bin/*.c)))
user_test    := $(patsubst tests/user/%.c,test/%,$(sort $(wildcard tests/user/*.c)))
user_bench   := $(patsubst tests/bench/%.c,bench/%,$(sort $(wildcard tests/bench/*.c)))
packed       := $(user_bin) $(user_test) $(user_bench)
programs     := $(addprefix $(OUT)/user/,$(packed))

# What the host tools are made of: whatever they write depends on it.
host_tools := $(wildcard tools/primer/*.py)

.PHONY: all debug deps run test gdb claims bench help clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(OUT)/kernel.elf $(OUT)/archive.tar $(OUT)/primer.iso

# The variant that checks itself, next to the normal one. Tests boot it without an ISO.
debug:
	@$(MAKE) --no-print-directory DEBUG=1 build/debug/kernel.elf build/debug/archive.tar

# --- rules -----------------------------------------------

$(OUT)/obj/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CFLAGS_KERNEL) -c $< -o $@

$(OUT)/obj/%.asm.o: %.asm Makefile
	@mkdir -p $(@D)
	$(call say,NASM,$<)$(NASM) $(NASMFLAGS) -MD $(@:.o=.d) -MP $< -o $@

# Linked twice: the table of function names needs the functions' addresses. The check says if the table moved any.
$(OUT)/obj/ksyms-empty.asm: tools/ksyms $(host_tools)
	@mkdir -p $(@D)
	$(call say,KSYMS,$@)tools/ksyms >$@

$(OUT)/obj/ksyms-full.asm: $(OUT)/obj/kernel-nosyms.elf
	$(call say,KSYMS,$@)tools/ksyms $< >$@

$(OUT)/obj/ksyms-%.o: $(OUT)/obj/ksyms-%.asm
	$(call say,NASM,$<)$(NASM) $(NASMFLAGS) $< -o $@

$(OUT)/obj/kernel-nosyms.elf: $(kernel_objects) $(OUT)/obj/ksyms-empty.o linker.ld
	$(call say,LD,$@)$(LD) $(LDFLAGS) -T linker.ld $(kernel_objects) $(OUT)/obj/ksyms-empty.o -o $@

$(OUT)/kernel.elf: $(OUT)/obj/kernel-nosyms.elf $(OUT)/obj/ksyms-full.o
	$(call say,LD,$@)$(LD) $(LDFLAGS) -T linker.ld $(kernel_objects) $(OUT)/obj/ksyms-full.o -o $@
	@tools/ksyms $< $@

$(OUT)/user/obj/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CFLAGS_USER) -c $< -o $@

$(OUT)/user/obj/%.asm.o: %.asm Makefile
	@mkdir -p $(@D)
	$(call say,NASM,$<)$(NASM) $(NASMFLAGS) -MD $(@:.o=.d) -MP $< -o $@

$(OUT)/user/symbols/bin/%: $(OUT)/user/obj/user/bin/%.c.o $(user_objects) user/user.ld
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LD) $(LDFLAGS) -T user/user.ld $< $(user_objects) -o $@

$(OUT)/user/symbols/test/%: $(OUT)/user/obj/tests/user/%.c.o $(test_objects) $(user_objects) user/user.ld
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LD) $(LDFLAGS) -T user/user.ld $< $(test_objects) $(user_objects) -o $@

$(OUT)/user/symbols/bench/%: $(OUT)/user/obj/tests/bench/%.c.o $(user_objects) user/user.ld
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LD) $(LDFLAGS) -T user/user.ld $< $(user_objects) -o $@

$(programs): $(OUT)/user/%: $(OUT)/user/symbols/%
	@mkdir -p $(@D)
	$(call say,STRIP,$@)$(OBJCOPY) --strip-all $< $@

# Names the programs, so that one whose source is gone does not linger in the archive.
$(OUT)/archive.tar: $(programs) tools/mkarchive $(host_tools)
	$(call say,ARCHIVE,$@)tools/mkarchive $@ $(foreach program,$(packed),$(program)=$(OUT)/user/$(program))

$(OUT)/primer.iso: $(OUT)/kernel.elf $(OUT)/archive.tar boot/grub.cfg tools/mkiso $(host_tools)
	$(call say,ISO,$@)tools/mkiso $@ --kernel $(OUT)/kernel.elf --archive $(OUT)/archive.tar

-include $(kernel_objects:.o=.d) $(user_objects:.o=.d) $(test_objects:.o=.d) \
         $(patsubst bin/%,$(OUT)/user/obj/user/bin/%.c.d,$(user_bin)) \
         $(patsubst test/%,$(OUT)/user/obj/tests/user/%.c.d,$(user_test)) \
         $(patsubst bench/%,$(OUT)/user/obj/tests/bench/%.c.d,$(user_bench))

# --- using it -----------------------------------------------

SMP            ?=
MEM            ?=
UEFI           ?=
DISPLAY_WINDOW ?=
APPEND         ?=
ACCEL          ?=

# As options of tools/run; also handed on to the scripts below, in the environment.
run_options = $(if $(SMP),--smp $(SMP)) $(if $(MEM),--mem $(MEM)) $(if $(filter 1,$(UEFI)),--uefi) \
              $(if $(filter 1,$(DISPLAY_WINDOW)),--display) $(if $(APPEND),--append '$(APPEND)') \
              $(if $(ACCEL),--accel $(ACCEL)) $(if $(filter 1,$(DEBUG)),--debug)
export SMP MEM UEFI DISPLAY_WINDOW APPEND ACCEL DEBUG

deps:
	@tools/deps

run: all
	@tools/run --interactive --iso $(run_options)

test: all debug
	@tests/run-all

gdb: all
	@tools/gdb/start

claims: all
	@tools/claims

bench: all debug
	@tests/bench/run

clean:
	rm -rf build

help:
	@echo 'make deps     install what is missing (Debian, Ubuntu), or say what it is'
	@echo 'make          build/kernel.elf, build/archive.tar and build/primer.iso; DEBUG=1: the same in build/debug'
	@echo 'make run      boot the ISO in QEMU, console on this terminal; Ctrl-A X quits'
	@echo 'make test     every test there is'
	@echo 'make gdb      QEMU stopped at reset, with GDB attached'
	@echo 'make claims   run the workload, and show the evidence for each claim in the trace'
	@echo 'make bench    the benchmarks; the table is also in build/bench.json'
	@echo 'make clean    remove build/'
	@echo
	@echo "Variables: SMP=4 MEM=512M UEFI=1 DISPLAY_WINDOW=1 APPEND='pinit=inline' ACCEL=kvm DEBUG=1"
	@echo '           CC=clang  CROSS_COMPILE=x86_64-elf-'
