# Everything that is run by hand or by CI has a target here; `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# How long each fuzz target runs.
FUZZ_SECONDS ?= 30
# How many steps `make search` goes at least; the states, and the memory for
# them, grow about threefold with each.
SEARCH_DEPTH ?= 10
# The chaos: how long, how many nodes and servers (1 or 3), and which schedule; a
# number repeats one.
CHAOS_SECONDS ?= 60
CHAOS_NODES ?= 20
CHAOS_SERVERS ?= 1
CHAOS_SEED ?= random
# The day: how many hours of a fleet in fake time, and which schedule.
DAY_HOURS ?= 24
DAY_SEED ?= 1
# What `make up` runs.
INVENTORY ?= examples/three-nodes.yaml

##@ Build

.PHONY: build
build: ## Build the four programs into bin/
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

.PHONY: man
man: ## Write the manual pages into man/
	go run ./cmd/fleetfold man --out man

.PHONY: clean
clean: ## Remove what build and test left behind
	rm -rf bin man coverage.out

##@ Check

.PHONY: test
test: ## Run every test with the race detector on (lint has vetted them)
	go test -race -vet=off -timeout 5m ./...

.PHONY: lint
lint: ## Check formatting, vet and staticcheck
	@unformatted="$$(gofmt -l .)"; if [ -n "$$unformatted" ]; then \
		echo "not formatted, run 'make fmt':"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...

.PHONY: fmt
fmt: ## Format all Go files
	gofmt -w .

.PHONY: fuzz
fuzz: ## Fuzz each decoder for FUZZ_SECONDS (30)
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort | while IFS=: read -r file target; do \
		name="$${target#func }"; echo "== $$name ($$(dirname "$$file"))"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime "$(FUZZ_SECONDS)s" "$$(dirname "$$file")" < /dev/null; done

.PHONY: search
search: ## Search the states of small fleets to SEARCH_DEPTH steps (10) for a broken promise
	SEARCH_DEPTH=$(SEARCH_DEPTH) go test -count=1 -timeout 0 -v ./internal/search

.PHONY: chaos
chaos: ## Kill, stop and restart a real fleet for CHAOS_SECONDS (60), then check its log
	@dir="$$(mktemp -d)"; \
	CHAOS_SECONDS=$(CHAOS_SECONDS) CHAOS_NODES=$(CHAOS_NODES) CHAOS_SERVERS=$(CHAOS_SERVERS) CHAOS_SEED=$(CHAOS_SEED) \
		go test -count=1 -v -timeout $$(( $(CHAOS_SECONDS) + 300 ))s -run '^TestTheFleetSurvivesChaos$$' \
		-artifacts -outputdir "$$dir" ./internal/chaos && rm -rf "$$dir"

.PHONY: day
day: ## Let a fleet live through DAY_HOURS (24) in fake time, then check its log
	DAY_HOURS=$(DAY_HOURS) DAY_SEED=$(DAY_SEED) go test -count=1 -timeout 0 -v -run '^TestADayOfAFleet$$' ./internal/fleetday

.PHONY: bench
bench: ## Run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: performance
performance: ## Measure again, and write the table and the picture of docs/performance.md
	go run ./cmd/fleetfold bench -o json > docs/performance.json.new
	mv docs/performance.json.new docs/performance.json
	go test -count=1 ./internal/bench/growth -run TestThePageShowsItsResults -rewrite

.PHONY: bench-gate
bench-gate: ## Fail if deciding or folding has become dearer, by allocations and ratios
	go vet -tags benchgate ./internal/benchgate
	go test -tags benchgate -count=1 -timeout 10m -v ./internal/benchgate

.PHONY: vuln
vuln: ## Look for known vulnerabilities (reads the database at vuln.go.dev)
	go run golang.org/x/vuln/cmd/govulncheck@latest ./...

.PHONY: ci
ci: ## Do what CI does
	.ci/run

##@ Run

.PHONY: up
up: ## Run a whole fleet on this machine from INVENTORY until interrupted
	go run ./cmd/fleetfold up --inventory $(INVENTORY)

##@ Help

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile
