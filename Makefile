# Everything needs Go alone to start with: tools are built from hack/tools/go.mod,
# and what else a target needs, hack/deps.sh installs or names.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# All that is compiled is compiled in one way, as images are, so that a cold machine
# does it once. Race detection is the exception: it needs cgo.
export CGO_ENABLED := 0
export GOFLAGS := $(GOFLAGS) -trimpath

tool := go tool -modfile=hack/tools/go.mod
scripts = $$($(tool) shfmt -f . | grep -v node_modules/)

# Modules of tools: what they require is pinned, and complete for what is built.
# Not tidied, since tidy would add what the tools' own tests require.
tool_modules := hack/tools hack/release $(wildcard hack/cluster/mods/*)

##@ Try

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Run a Vestibule on this machine: gateway, login, and a weather MCP server.
	go run ./cmd/kubectl-vestibule run -f config/samples/weather.yaml

.PHONY: build
build: ## Build static binaries into bin/.
	mkdir -p bin
	go build -ldflags='-s -w' -o bin/ ./cmd/...

##@ Cluster

# Where the images that deploy installs are, and their tag.
IMAGES ?= localhost/vestibule
TAG ?= dev

.PHONY: demo
demo: ## Show it on a real cluster of one node: kind's, or one built from Go modules (root, Linux).
	go run ./hack/demo

.PHONY: demo-down
demo-down: ## End the demo's cluster, and leave nothing behind.
	go run ./hack/demo down

.PHONY: deploy
deploy: ## Install into the cluster of kubectl's context, from IMAGES/controller:TAG and IMAGES/gateway:TAG.
	@mkdir -p dist/deploy
	@printf '%s\n' 'resources: [../../config/default]' images: \
		'- {name: controller, newName: "$(IMAGES)/controller", newTag: "$(TAG)"}' \
		'- {name: gateway, newName: "$(IMAGES)/gateway", newTag: "$(TAG)"}' >dist/deploy/kustomization.yaml
	kubectl apply --server-side -k dist/deploy
	kubectl -n vestibule-system rollout status --timeout=5m deployment/vestibule-controller

.PHONY: undeploy
undeploy: ## Remove what deploy installed, unless there is an MCPServer left.
	@crd=$$(kubectl get crd mcpservers.mcp.vestibule.dev --ignore-not-found -o name); left=; \
	if [[ -n $$crd ]]; then left=$$(kubectl get mcpservers -A -o name); fi; \
	if [[ -n $$left ]]; then \
		echo "delete the MCPServers first: with the CRD, their gateways and all records would go"; exit 1; \
	fi
	kubectl delete --ignore-not-found -k config/default

##@ Change

.PHONY: generate
generate: ## Write the generated code, the CRD and the controller's role.
	hack/generate.sh .

.PHONY: format
format: ## Format Go and shell.
	gofmt -w .
	$(tool) shfmt -w $(scripts)

##@ Check

# Tests mostly wait: more of them run at once than there are cores.
.PHONY: test-fast
test-fast: ## Run the tests that need no API server and no processes of their own: under a minute.
	go test -parallel 16 ./...

integration := go test -tags integration -parallel 16 -timeout 30m
# Where one thing happens after the other, and most of the time is the API server's,
# there are no races to detect. The controller has them where it runs. Gateways that race
# each other as processes do the same within one process, where races are detected.
sequential := ^vestibule.dev/vestibule/(api|config|controllers|hack|cmd/internal/manifest)(/|$$)
concurrent := AtOnce|ARestart|AnAPIComesAndGoes|ARunningController
processes := OfTwoProcesses
# A module of its own, which reads golden files of this one. go test does not see that a file
# outside of the module has changed, so it must not reuse a result. Vet would read all the
# packages that the engine imports, for the sake of two files.
gitops := cd hack/gitops && go test -count=1 -vet=off ./...

.PHONY: test
test: ## Run all tests; the first run on a machine builds a Kubernetes API server.
	hack/deps.sh gcc node npm
	hack/npm.sh hack/conformance hack/clients/*
	hack/node.sh >/dev/null
	@export KUBEBUILDER_ASSETS=$$(hack/envtest.sh); set -x; failed=; \
	$(integration) $$(go list -tags integration ./... | grep -E '$(sequential)') || failed=1; \
	$(integration) -run '$(processes)' ./gateway ./gateway/internal/store/... || failed=1; \
	($(gitops)) || failed=1; \
	export CGO_ENABLED=1; \
	$(integration) -race -skip '$(processes)' $$(go list -tags integration ./... | grep -vE '$(sequential)') || failed=1; \
	$(integration) -race -run '$(concurrent)' ./controllers || failed=1; \
	[[ ! $$failed ]]

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (10s).
	hack/fuzz.sh

.PHONY: mutants
mutants: ## Switch the gateway's rules off, one at a time (MUTANTS=regexp): a test must notice each.
	@assets=$$(hack/envtest.sh); set -x; KUBEBUILDER_ASSETS=$$assets go run ./hack/mutants -run='$(MUTANTS)'

.PHONY: e2e
e2e: ## Test on a real cluster, as make demo makes one; the first run on a machine builds it.
	go test -tags e2e -count=1 -p 1 -timeout 40m ./hack/e2e $$(command -v kind >/dev/null || echo ./hack/cluster)

.PHONY: bench
bench: ## Measure what the gateway and the controller cost, beside other proxies and with 1,000 MCPServers; it takes more than an hour.
	go run ./hack/bench

.PHONY: lint
lint: ## Run the linters, import rules among them.
	$(tool) golangci-lint run

.PHONY: verify
verify: verify-generated verify-modules verify-format verify-scripts verify-platforms lint ## Check all that is checked without running tests.

.PHONY: verify-generated
verify-generated:
	hack/verify-generated.sh

.PHONY: verify-modules
verify-modules:
	go mod tidy -diff
	for module in $(tool_modules); do (cd "$$module" && go list -mod=readonly -deps tool >/dev/null); done
	cd hack/gitops && go list -mod=readonly -deps -test ./... >/dev/null

.PHONY: verify-format
verify-format:
	@unformatted=$$(gofmt -l .); \
	if [[ -n $$unformatted ]]; then echo "not formatted, run make format:"; echo "$$unformatted"; exit 1; fi
	$(tool) shfmt -d $(scripts)

.PHONY: verify-scripts
verify-scripts:
	hack/deps.sh shellcheck
	shellcheck $(scripts)
	go tool -modfile=hack/release/go.mod actionlint

# The architecture that a release is built for besides the one that tests run on.
.PHONY: verify-platforms
verify-platforms:
	GOOS=linux GOARCH=arm64 go build -o /dev/null ./cmd/controller ./cmd/gateway ./cmd/kubectl-vestibule
