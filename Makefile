# What people and CI type. `make help` lists it.

CARGO ?= cargo
LOCKED ?= --locked
DENY_VERSION := 0.20.2
FUZZ_SECONDS ?= 60
SIM_FRESH ?= 20
REAL_INPUT ?= target/catalog.txt
NODE_FOLDERS := $(dir $(wildcard sdk/typescript/package.json tests/node/package.json tests/asyncapi/package.json))
FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/targets/*.rs)))

.PHONY: help run test unit smoke node autobahn lint fmt clippy doc deny audit sim real real-stock real-orders real-bulk real-chat crash bench fuzz setup setup-stores setup-mail setup-power setup-node setup-deny

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## build the broker and start it with no configuration
	$(CARGO) run --release $(LOCKED) --package sampan -- serve

test: unit smoke node ## everything: units, simulations, end to end, architecture rules, doc tests, fuzz corpus, clients

unit: setup setup-stores setup-mail setup-power
	$(CARGO) test --workspace $(LOCKED) --no-fail-fast

smoke: setup
	$(CARGO) test --manifest-path fuzz/Cargo.toml $(LOCKED) --no-fail-fast

node: setup setup-node ## the clients in JavaScript, in Node and a browser, with a real broker
	$(CARGO) build --package sampan $(LOCKED)
	$(CARGO) build --package sampan-client --example shop $(LOCKED)
	$(CARGO) build --package sampan-services --example doubles $(LOCKED)
	@failed=; for folder in $(NODE_FOLDERS); do \
		(cd $$folder && \
		{ [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund; } && \
		SAMPAN=$(abspath $(or $(CARGO_TARGET_DIR),target))/debug/sampan npm test) || failed="$$failed $$folder"; \
	done; [ -z "$$failed" ] || { echo "failed:$$failed" >&2; exit 1; }

autobahn: setup ## the WebSocket suite of Autobahn against the bridge's sockets; needs Python 2.7
	@CARGO="$(CARGO)" sh scripts/autobahn.sh

lint: fmt clippy doc ## formatting, clippy and rustdoc, warnings denied

fmt:
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check

clippy: setup
	$(CARGO) clippy --workspace --all-targets --keep-going $(LOCKED) -- -D warnings
	$(CARGO) clippy --manifest-path fuzz/Cargo.toml --all-targets $(LOCKED) -- -D warnings

doc: setup
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items $(LOCKED)

deny: setup-deny ## bans, licences and sources of every dependency
	$(CARGO) deny $(LOCKED) check --allow license-exception-not-encountered bans licenses sources
	$(CARGO) deny $(LOCKED) --manifest-path fuzz/Cargo.toml --config deny.toml check bans licenses sources

audit: setup-deny ## known advisories; needs the advisory database to be reachable
	$(CARGO) deny $(LOCKED) check advisories

sim: setup ## the simulator with SIM_FRESH more seeds of real chance
	SIM_FRESH=$(SIM_FRESH) $(CARGO) test --package sampan-tests --test sim $(LOCKED) -- --nocapture

real: setup ## the whole Debian catalog to fifty readers: plainly, while they move, and cut off
	@mkdir -p $(dir $(REAL_INPUT))
	apt-cache dumpavail > $(REAL_INPUT)
	REAL_INPUT=$(abspath $(REAL_INPUT)) $(CARGO) test --release --package sampan --test cli $(LOCKED) \
		catalog -- --nocapture --test-threads 1

real-stock: setup ## a shop of every Debian package: a thousand viewers, fifty changes a second
	@mkdir -p $(dir $(REAL_INPUT))
	apt-cache dumpavail > $(REAL_INPUT)
	REAL_INPUT=$(abspath $(REAL_INPUT)) $(CARGO) test --release --package sampan --test e2e $(LOCKED) \
		catalog:: -- --nocapture

real-orders: setup ## five thousand orders, carriers that tell in any order or not at all, and five kills
	SAMPAN_ORDERS=5000 $(CARGO) test --package sampan --test e2e $(LOCKED) tracking:: -- --nocapture

real-bulk: setup setup-stores ## a hundred thousand notifications, a provider that fails now and then, and two kills
	SAMPAN_BULK=100000 $(CARGO) test --package sampan --test e2e $(LOCKED) notifications::a_bulk -- --nocapture

real-chat: setup setup-stores ## ten thousand lines of real prose through chats, on each store, and a crash
	REAL_LINES=10000 $(CARGO) test --release --package sampan --test e2e $(LOCKED) prose:: -- --nocapture --test-threads 1

crash: setup setup-stores setup-power ## every proof that nothing acknowledged is lost, in full, and a table of them
	@CARGO="$(CARGO)" sh scripts/crash.sh

bench: setup ## every criterion bench
	$(CARGO) bench $(LOCKED) --package sampan-bench

fuzz: setup ## every fuzz target for FUZZ_SECONDS; needs a nightly toolchain
	@cargo-fuzz --version >/dev/null 2>&1 || $(CARGO) install cargo-fuzz --locked
	@set -e; for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/found/$$target; \
		$(CARGO) +nightly fuzz run --features libfuzzer $$target fuzz/found/$$target fuzz/corpus/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=1 -rss_limit_mb=512 -max_len=4096; \
	done

setup:
	@sh scripts/setup.sh

setup-stores setup-mail setup-power setup-node: setup-%:
	@sh scripts/setup.sh $*

# Only checked through, never shipped: a quick build of it is worth more than a fast program.
setup-deny: setup
	@$(CARGO) deny --version 2>/dev/null | grep -qx 'cargo-deny $(DENY_VERSION)' || \
		CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
		CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0 \
		$(CARGO) install cargo-deny --version $(DENY_VERSION) --locked --force
