.DEFAULT_GOAL := help
.PHONY: help run test addresses proxies chaos chaos-delivery chaos-gateway soak bench-gateway bench-enricher bench-steps bench-sink kill-tabs lint deploy-check image-check ua-report fuzz

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: ## start everything in one process, with fake visitors
	cargo run --release -- up --demo

test: ## run every test, with a real broker and real engines (needs mvn, a JDK, Node 20, Go, Python 3.11)
	tests/run

addresses: ## see by strace that nothing an event names is dialled (needs strace)
	tests/run addresses

proxies: ## smuggling through nginx and HAProxy (needs both)
	tests/run proxies

chaos: ## kill processes for twenty rounds (WEIR_CHAOS_ROUNDS, WEIR_CHAOS_SEED)
	WEIR_CHAOS_ROUNDS=$${WEIR_CHAOS_ROUNDS:-20} tests/run chaos

chaos-delivery: ## kill every stage and the engine under load for WEIR_CHAOS_SECONDS (600), then replay what was refused
	WEIR_CHAOS_SECONDS=$${WEIR_CHAOS_SECONDS:-600} tests/run chaos-delivery

chaos-gateway: ## faults of brokers, disk, clock and gateway under load (WEIR_CHAOS_SECONDS, WEIR_CHAOS_ROUNDS; needs haproxy)
	tests/run chaos-gateway --skip soak

soak: ## 5,000 events a second through a gateway for WEIR_SOAK_SECONDS (1800): nothing may grow
	tests/run chaos-gateway soak

bench-gateway: ## CPU of an acknowledged event beside others (WEIR_BENCH_ROUNDS, 3; needs Python 3.11)
	bench/gateway/run --rounds $${WEIR_BENCH_ROUNDS:-3}

kill-tabs: ## end 300 browser tabs (TABS, SEED) at random moments and count what arrived (needs Node 20)
	cargo build --workspace --all-targets --locked
	js-snippet/run-tests kill-tabs

ua-report: ## print how often channels, agents and bots are right (needs Node 20)
	enricher/rules/report

bench-enricher: ## CPU time an event of the enricher, beside others (needs what test needs, taskset)
	bench/enricher/run

bench-steps: ## time of each step of the enrichment alone, by criterion
	cargo bench --workspace --bench steps --locked

bench-sink: ## CPU time a document of the sink, beside others (WEIR_BENCH_ROUNDS, 3; needs what test needs)
	bench/sink/run --rounds $${WEIR_BENCH_ROUNDS:-3}

fuzz: ## feed every reader of untrusted bytes with mutations for WEIR_FUZZ_SECONDS (60) each
	cargo build --workspace --tests --locked
	WEIR_FUZZ_SECONDS=$${WEIR_FUZZ_SECONDS:-60} cargo test --workspace --lib --bins --locked fuzz:: -- --test-threads 2 --nocapture

lint: ## format check, clippy, rustdoc, licences, unused dependencies
	tests/tools
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

deploy-check: ## check compose, Helm, Prometheus, Grafana and systemd files (needs Go, apt-get)
	tests/deploy/run

image-check: ## carry out deploy/Dockerfile without a container engine (needs root, debootstrap)
	tests/deploy/image
