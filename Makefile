.DEFAULT_GOAL := help
.PHONY: help run test lint

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: ## start everything in one process
	cargo run --release -- up

test: ## run every test, with real engines (needs mvn and a JDK)
	tests/run

lint: ## format check, clippy and rustdoc, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
