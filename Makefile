# The commands that every checkout offers. They need Go and, for the console, Node; whatever else is
# missing they fetch themselves. The work is done by scripts/.

.PHONY: run build test lint generate generated-is-clean bench race soak e2e web clean

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# Builds, and starts a node with a small demonstration fleet. Ctrl-C drains and ends it.
run: build
	bin/lumela serve --demo 6 --data-dir data/demo

build: web
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X lumela/internal/app.Version=$(VERSION)" -o bin/lumela ./cmd/lumela

# Without Node the binary is built all the same, and its pages say that the console is missing.
web:
	@scripts/web.sh build || { rc=$$?; [ $$rc = 75 ] || exit $$rc; }

test: build
	@scripts/test.sh

# Only the tests in a browser.
e2e: build
	@scripts/packages.sh chromium
	@scripts/web.sh e2e

lint:
	@scripts/lint.sh

generate:
	@scripts/generate.sh

generated-is-clean:
	@scripts/generate.sh --check

bench:
	@scripts/bench.sh

race:
	@scripts/race.sh

# Fuzzing and properties for LUMELA_SOAK (default 10m).
soak:
	@scripts/soak.sh

clean:
	rm -rf bin .tools web/dist/assets web/dist/index.html web/node_modules
