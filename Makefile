# Needs make, git and Go 1.26 or newer. Everything else is fetched, or asked for
# in one sentence.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO ?= go
DATA_DIR ?= .procura
PORT_BASE ?= 9443
FUZZTIME ?= 5s

.PHONY: help
help: ## list these targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: need-go ## build the programs into bin/
	@mkdir -p bin
	@$(GO) build -trimpath -o bin/ ./cmd/...

.PHONY: run
run: build ## start the sandbox: database, PKI, server, gateway, demo bank (Ctrl-C stops it)
	@exec bin/procura-sandbox up --data-dir "$(DATA_DIR)" --port-base "$(PORT_BASE)"

.PHONY: demo
demo: build ## take a TPP and its customers through complete flows against the running sandbox
	@bin/procura-sandbox demo --data-dir "$(DATA_DIR)"

.PHONY: test
test: need-go ## everything that this machine can test
	@scripts/test-needs
	@unformatted=$$($(GO) list -f '{{.Dir}}' ./... | xargs gofmt -l); \
	  if [ -n "$$unformatted" ]; then printf 'not gofmt-clean:\n%s\n' "$$unformatted"; exit 1; fi
	@$(GO) vet ./...
	@$(GO) test -timeout 14m ./...

.PHONY: test-race
test-race: need-go ## the same tests under the race detector (needs a C compiler)
	@scripts/test-needs
	@CGO_ENABLED=1 $(GO) test -race -timeout 30m ./...

.PHONY: fuzz
fuzz: need-go ## every fuzz target for FUZZTIME (5s)
	@grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do \
	  for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$file"); do \
	    echo "$$(dirname "$$file") $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime "$(FUZZTIME)" "$$(dirname "$$file")" </dev/null; \
	  done; \
	done

.PHONY: lint
lint: need-go ## golangci-lint, at the version that tools/go.mod pins (its first build takes minutes)
	@$(GO) tool -modfile=tools/go.mod golangci-lint run ./...

.PHONY: clean
clean: ## remove the built programs; the sandbox's data stay
	@rm -rf bin

.PHONY: need-go
need-go:
	@command -v $(GO) >/dev/null || { echo "Go is missing: install Go 1.26 or newer from https://go.dev/dl/ and put it on PATH." >&2; exit 1; }
	@$(GO) version | awk '{ split(substr($$3, 3), v, "."); if (v[1] == 1 && v[2] + 0 < 26) { \
	  print "Go 1.26 or newer is needed; this is " $$3 ". See https://go.dev/dl/" > "/dev/stderr"; exit 1 } }'
