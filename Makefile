# SPDX-License-Identifier: Apache-2.0
# The short way in; meson.build is the build system. B=dir builds elsewhere, J=n bounds parallel jobs.
B ?= build
PREFIX ?= /usr
J ?= $(shell nproc)
MESON_FLAGS ?=

.PHONY: build deps demo check bench install uninstall clean asan coverage fuzz lint model tidy

build: $(B)/build.ninja
	@ninja -C $(B) -j $(J)

$(B)/build.ninja:
	@packaging/deps
	meson setup $(B) --prefix $(PREFIX) $(MESON_FLAGS)

deps:
	@packaging/deps

# Shown: the main job, with unmodified programs and a crash (docs/evaluation.md has the figures); then a download while its
# ends move.
demo: build
	BUILD=$(abspath $(B)) lab/demo
	BUILD=$(abspath $(B)) lab/demo-moves

# All tests; the last line is the count. TESTS="addr conf" runs some.
check: build
	@tests/run $(B) $(TESTS)

# BENCH="stream resolve" runs some; results also go to $(B)/bench.json.
bench: build
	BUILD=$(abspath $(B)) bench/run $(BENCH)

install: build
ifneq ($(origin PREFIX),file)
	meson configure $(B) -Dprefix=$(PREFIX)
endif
	DESTDIR="$(abspath $(DESTDIR))" meson install -C $(B)

# What the last `make install` from $(B) put there, wherever that was. Configuration and state stay.
uninstall:
	ninja -C $(B) uninstall

# The same tests under AddressSanitizer and UndefinedBehaviorSanitizer.
asan:
	@$(MAKE) check B=build-asan TESTS="$(TESTS)" \
		MESON_FLAGS="-Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debug"

coverage:
	@$(MAKE) check B=build-cov TESTS="$(TESTS)" MESON_FLAGS="-Db_coverage=true -Dbuildtype=debug"
	gcovr -r . build-cov --exclude 'build.*' --exclude 'tests/' --exclude 'bench/' \
		--html-details build-cov/coverage.html --print-summary

# Each fuzzer for FUZZ_SECONDS (default 10), from its corpus.
fuzz: build
	BUILD=$(abspath $(B)) tests/fuzz/run $(FUZZ_SECONDS)

# The renegotiation, searched by SPIN; MODEL="both no-epoch" does some, MODEL=quick all but the large ones.
model:
	@tests/model/run $(MODEL)

# The format, and what cppcheck finds. It does not see through the loops of uthash, and takes NULL for an integer.
lint:
	clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h')
	cppcheck -q -j $(J) --error-exitcode=1 --inline-suppr --enable=warning,portability \
		--suppress=missingIncludeSystem --suppress=unknownMacro --suppress=uninitvar --suppress=varFuncNullUB \
		-I . core util lib agent router controller lab cli

# Bugs by pattern and by path, and long functions (.clang-tidy says what and what not): eight minutes of a core, hence apart from lint.
tidy: build
	run-clang-tidy -quiet -p $(B) -j $(J) '^$(CURDIR)/((core|util|lib|agent|router|controller|lab|cli)/[a-z0-9_]+|lib/examples/[a-z0-9_-]+)\.c$$'

clean:
	rm -rf $(B) build-asan build-cov
