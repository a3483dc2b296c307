# SPDX-License-Identifier: Apache-2.0
# Short names for what meson and tools/ do. `make run` is the first thing to type.
#
#   make              build/vnperf and build/vnperf-agent
#   make run          build, then measure the lab of this machine (ARGS="--json -" and the like are handed on)
#   make test         every test; the last line counts them
#   make lint         layout, static analysis, arrows, shell scripts
#   make asan tsan    tests with sanitizers
#   make fuzz         every harness, FUZZ_SECONDS each
#   make bench        speed beside Debian's iperf3 and others, in turns; docs/benchmarks.md (ONLY=tcp1 ROUNDS=3: a part)
#   make install      to PREFIX (DESTDIR is respected)
#   make deps         the Debian packages for all of this
#   make clean        remove the build folders

BUILD ?= build
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
ARGS ?=

.DEFAULT_GOAL := build
.PHONY: build run test lint asan tsan fuzz bench install deps clean

# Each target asks for what it needs and no more; tools/deps is silent when all of it is there.
build:
	@tools/deps --quiet run
	@tools/build.sh $(BUILD)

run: build
	@$(BUILD)/vnperf run --quick $(ARGS)

test:
	@tools/deps --quiet run test
	@tools/build.sh $(BUILD) -Dtests=enabled
	@tools/run-tests.sh $(BUILD)

lint:
	@tools/deps --quiet run test lint
	@tools/lint.sh

asan:
	@tools/deps --quiet run test
	@tools/build.sh build-asan -Db_sanitize=address,undefined -Dtests=enabled -Dwerror=true -Dagent_aarch64=disabled -Dman=disabled
	@tools/run-tests.sh build-asan --no-suite headers --no-suite arrows --bats-list tests/asan.list

tsan:
	@tools/deps --quiet run test
	@tools/build.sh build-tsan -Db_sanitize=thread -Dtests=enabled -Dwerror=true -Dagent_aarch64=disabled -Dman=disabled -- vnperf vnperf-agent threaded-units
	@tools/run-tests.sh build-tsan --suite traffic --suite agent --suite interop --bats-list tests/tsan.list

fuzz:
	@tools/deps --quiet run test lint
	@CC=clang-14 tools/build.sh build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false -Dtests=disabled -- harnesses
	@tools/fuzz.sh build-fuzz $(FUZZ_SECONDS)

bench:
	@tools/deps --quiet run bench
	@tools/build.sh $(BUILD)
	@VNPERF_BUILD=$(BUILD) tools/bench/bench.py

install: build
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@meson install -C $(BUILD)

deps:
	@tools/deps

clean:
	rm -rf build build-asan build-tsan build-fuzz build-lint build-analyzer
