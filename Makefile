.PHONY: build setup test demo bench headers clean

build:
	cargo build --release

# Installs what is missing for the tests (Debian, Ubuntu); does nothing where all is there.
setup:
	scripts/setup

test: setup
	scripts/test

demo:
	scripts/demo

# Against the system's libfuse and a bare read/writev loop, interleaved; ratios count. Instructions need valgrind.
bench: build setup
	benches/run.py

# After a change of the C surface: include/, pkgconfig/, the layout tables, docs/compatibility.md.
headers:
	cargo run -q -p headergen

clean:
	cargo clean
