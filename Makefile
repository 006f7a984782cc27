# Everything there is to do here. `make` alone lists it.

.DEFAULT_GOAL := help
.PHONY: help demo test fmt lint deny check proofs screenshots fuzz bench

needs := crates/tokenry-testkit/scripts/install-needs.sh

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build it and walk the whole trip against a provider of its own
	@command -v cc >/dev/null || $(needs)
	cargo run --release --locked --package tokenry -- demo

test: ## run all tests, installing what they need; the API and its trips on PostgreSQL too
	@$(needs)
	cargo test --workspace --locked
	TOKENRY_TEST_DATABASE=postgres cargo test --locked --package tokenry-testkit --test api --test trips --test schemathesis

fmt: ## format the code
	cargo fmt --all

lint: ## check the format, and let clippy look at everything
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

deny: ## check bans, licences and sources, where cargo-deny is installed
	@if command -v cargo-deny >/dev/null; then \
		cargo deny --locked check bans licenses sources; \
	else \
		echo "skipped: cargo-deny is not installed, so bans, licences and sources were not checked"; \
	fi

check: lint test deny ## what CI runs

proofs: ## the long versions of tests: see CONTRIBUTING.md
	@$(needs)
	TOKENRY_TEST_ROUNDS=100 cargo test --locked --package tokenry --test lease -- --nocapture
	TOKENRY_TEST_ROUNDS=200 cargo test --locked --package tokenry --test crash -- --nocapture
	TOKENRY_TEST_CONNECTIONS=10000 cargo test --locked --package tokenry-testkit --test due -- --nocapture
	TOKENRY_TEST_CONNECTIONS=100000 cargo test --locked --package tokenry --test process migrate -- --nocapture
	TOKENRY_TEST_CONNECTIONS=100000 cargo test --locked --package tokenry --test key_rotation -- --nocapture --test-threads 1
	TOKENRY_TEST_SECONDS=300 cargo test --locked --package tokenry --test torture -- --nocapture
	TOKENRY_TEST_CASES=2000 cargo test --locked --package tokenry-testkit --test schemathesis -- --nocapture
	TOKENRY_TEST_DATABASE=postgres TOKENRY_TEST_CASES=500 cargo test --locked --package tokenry-testkit --test schemathesis -- --nocapture

screenshots: ## photograph every page in three widths, light and dark, into target/screenshots
	@$(needs)
	rm -rf target/screenshots
	TOKENRY_TEST_SCREENSHOTS=$(CURDIR)/target/screenshots TOKENRY_TEST_TRIP=pages_ \
		cargo test --locked --package tokenry --test pages -- every_trip
	mkdir -p docs/screenshots
	for page in connect connections operator; do \
		cp target/screenshots/readme-$$page.png docs/screenshots/$$page.png; \
	done

fuzz: ## fuzz every parser of foreign bytes, each for FUZZ_SECONDS (60)
	@$(needs)
	fuzz/run.sh $(or $(FUZZ_SECONDS),60)

bench: ## print size, start-up, memory, and "get token" beside a bare axum handler
	@command -v wrk >/dev/null || apt-get install -y wrk
	cargo bench --locked --package tokenry --bench figures
