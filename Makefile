target ?= $(or $(CARGO_TARGET_DIR),target)
SOAK_SECONDS ?= 1800

.PHONY: build setup test fuzz sanitize demo bench instructions plots soak soak-recovery headers clean

build:
	cargo build --release

# Installs what is missing for the tests (Debian, Ubuntu); does nothing where all is there.
setup:
	scripts/setup

test: setup
	scripts/test

# Every fuzz target for FUZZ_SECONDS, as many at once as there are processors; see scripts/fuzz.
FUZZ_SECONDS ?= 3600
fuzz: setup
	scripts/fuzz $(FUZZ_SECONDS)

# The library and its stress tests under the address, leak and thread sanitizers (nightly).
sanitize: setup
	scripts/sanitize

demo:
	scripts/demo

# Against the system's libfuse and a bare read/writev loop, interleaved; ratios count. Writes docs/performance.md.
bench: build plots
	$(target)/venv/bin/python benches/run.py --page

# Written anew by a commit that changes what a request costs; `make test` compares.
instructions: build
	benches/instructions.py --record

# What plots are drawn with.
plots: setup
	$(target)/venv/bin/pip install --quiet --disable-pip-version-check --requirement benches/requirements.txt

# Half an hour, or SOAK_SECONDS, of mixed load from 16 processes; draws what the daemon took of memory, fds and threads.
soak: build plots
	SOAK_SECONDS=$(SOAK_SECONDS) SOAK_REPORT=$(target)/soak.csv $(target)/venv/bin/pytest -s capi-tests/soak
	$(target)/venv/bin/python capi-tests/soak/plot.py $(target)/soak.csv docs/soak.svg

# The recoverable example, killed KILLS times under eight processes at work, then upgraded; the last line says how that went.
KILLS ?= 200
soak-recovery: build setup
	@cd capi-tests && KILLS=$(KILLS) $(abspath $(target))/venv/bin/python -m recovery.soak

# After a change of the C surface: include/, pkgconfig/, the layout tables, docs/compatibility.md.
headers:
	cargo run -q -p headergen

clean:
	cargo clean
