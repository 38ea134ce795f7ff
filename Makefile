.PHONY: build setup test demo headers clean

build:
	cargo build --release

# Installs what is missing for the tests (Debian, Ubuntu); does nothing where all is there.
setup:
	scripts/setup

test: setup
	scripts/test

demo:
	scripts/demo

# After a change of the C surface: include/, pkgconfig/, the layout tables, docs/compatibility.md.
headers:
	cargo run -q -p headergen

clean:
	cargo clean
