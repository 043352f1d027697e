# Everything that this file needs beyond Go, make, gcc and git it builds itself, under bin/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Relative, so that a folder with a space in its path does no harm.
BIN := bin
OUT ?= .
VERSION ?= 0.1.0
LDFLAGS := -s -w -X main.version=$(VERSION)

# The control plane: the version is the one that hack/k8s/go.mod requires.
K8S_VERSION := $(shell awk '$$1 == "k8s.io/kubernetes" {print $$2}' hack/k8s/go.mod)
K8S_MINOR := $(word 2,$(subst ., ,$(K8S_VERSION)))
K8S_LDFLAGS := -s -w \
  -X k8s.io/component-base/version.gitVersion=$(K8S_VERSION) \
  -X k8s.io/component-base/version.gitMajor=1 \
  -X k8s.io/component-base/version.gitMinor=$(K8S_MINOR) \
  -X k8s.io/component-base/version.gitCommit=unknown \
  -X k8s.io/component-base/version.gitTreeState=clean \
  -X k8s.io/component-base/version.buildDate=1970-01-01T00:00:00Z \
  -X k8s.io/client-go/pkg/version.gitVersion=$(K8S_VERSION) \
  -X k8s.io/client-go/pkg/version.gitCommit=unknown

# The stamp is named after everything that the binary is built from, and holds
# only while the binary is there.
K8S_SUM := $(shell (cat hack/k8s/go.mod hack/k8s/go.sum hack/k8s/*.go; echo '$(K8S_LDFLAGS)'; go env GOVERSION) | sha256sum | cut -c1-16)
K8S_STAMP := $(BIN)/k8s/$(K8S_SUM).stamp
ifeq ($(wildcard $(BIN)/k8s/k8s),)
.PHONY: $(K8S_STAMP)
endif

CONTROLLER_GEN := $(BIN)/controller-gen
CRD_REF_DOCS := $(BIN)/crd-ref-docs
GOLANGCI_LINT := $(BIN)/golangci-lint

##@ Use
.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*##/ {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: k8s-binaries ## Show the main job on simulated nodes and an embedded control plane (SCENARIO=name picks a story, KEEP=1 keeps it running)
	@echo "==> building the demo"
	@go build -o $(BIN)/demo ./hack/demo
	@$(BIN)/demo

.PHONY: build
build: ## Build the operator: bin/sriov-offload-operator
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/sriov-offload-operator .

##@ Develop
.PHONY: test
test: k8s-binaries openvswitch ## Run all tests with the race detector
	go test -race -timeout 30m ./...

.PHONY: test-vm
test-vm: k8s-binaries ## Run the host code and the daemon on a real kernel with emulated SR-IOV cards (GUEST=, RUN=, VERBOSE=1)
	go run ./test/vm/lab

CHECKS ?= 3000
.PHONY: soak
soak: ## Run the properties of plan and apply on many more random machines (CHECKS=3000 for each)
	go test -timeout 2h ./daemon/apply -rapid.checks=$(CHECKS)

.PHONY: bench
bench: ## Run the benchmarks
	GOMAXPROCS=1 go test -run '^$$' -bench . -benchmem ./controllers/merge ./daemon/observe ./daemon/plan ./daemon/apply

FUZZTIME ?= 10s
.PHONY: fuzz
fuzz: ## Fuzz every parser for FUZZTIME each
	@for target in $$(grep -rHoE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' api controllers daemon | sed 's/:func /:/'); do \
	  dir=$$(dirname $${target%%:*}); name=$${target##*:}; echo "==> $$dir $$name"; \
	  go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) ./$$dir; done

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the code
	$(GOLANGCI_LINT) fmt

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run the linters, import rules among them
	$(GOLANGCI_LINT) run

.PHONY: generate
generate: $(CONTROLLER_GEN) $(CRD_REF_DOCS) ## Write generated code, manifests and reference docs
	@mkdir -p $(OUT)/api/v1 $(OUT)/config/crd/bases $(OUT)/config/rbac $(OUT)/docs
	$(CONTROLLER_GEN) object paths=./api/... output:object:dir=$(OUT)/api/v1
	$(CONTROLLER_GEN) crd:generateEmbeddedObjectMeta=false paths=./api/... output:crd:artifacts:config=$(OUT)/config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=manager paths=./controllers/... output:rbac:artifacts:config=$(OUT)/config/rbac
	$(CRD_REF_DOCS) --source-path=./api --config=hack/tools/api-docs/config.yaml --templates-dir=hack/tools/api-docs \
	  --renderer=markdown --output-path=$(OUT)/docs/api.md --log-level=ERROR
	go run ./hack/docs $(OUT)/docs

.PHONY: verify
verify: ## Fail when generated files differ from what generate writes
	@rm -rf $(BIN)/.verify && $(MAKE) generate OUT=$(BIN)/.verify
	@cd $(BIN)/.verify && find . -type f | while read -r f; do \
	  diff -u "../../$$f" "$$f" || { echo "$$f is not what make generate writes: run make generate"; exit 1; }; done
	@for f in $$(ls config/crd/bases); do test -e $(BIN)/.verify/config/crd/bases/$$f || { echo "config/crd/bases/$$f is not generated any more: remove it"; exit 1; }; done
	@go mod tidy -diff
	@echo "generated files are up to date"

.PHONY: presubmit
presubmit: generate verify lint test ## All that must be green before a change is submitted

.PHONY: clean
clean: ## Remove everything built
	rm -rf $(BIN)

##@ Tools
.PHONY: k8s-binaries
k8s-binaries: $(K8S_STAMP) ## Build etcd, kube-apiserver and kubectl (once; about 5 minutes on 2 cores)

# go build -v prints each package as it is compiled; the counter shows that it moves.
$(K8S_STAMP): | $(BIN)
	@echo "==> building etcd, kube-apiserver and kubectl $(K8S_VERSION) from source, once (about 5 minutes on 2 cores)"
	@mkdir -p $(BIN)/k8s && rm -f $(BIN)/k8s/*.stamp
	@CGO_ENABLED=0 go build -C hack/k8s -v -trimpath -o ../../$(BIN)/k8s/k8s -ldflags '$(K8S_LDFLAGS)' . 2>&1 | \
	  awk '/^go: downloading/ {d++; if (d % 50 == 0) print "    " d " modules downloaded"; next} \
	       /^[a-z0-9_.\/~-]+$$/ || /^[a-zA-Z0-9_.\/~-]+$$/ {n++; if (n % 200 == 0) print "    " n " packages compiled"; next} {print}' >&2
	@for b in etcd kube-apiserver kubectl; do ln -sf k8s $(BIN)/k8s/$$b; done
	@touch $@
	@echo "==> control plane ready in bin/k8s"

.PHONY: openvswitch
openvswitch: | $(BIN) ## Get Open vSwitch for the tests, from packages of the distribution (once; nothing is installed)
	@hack/openvswitch/fetch.sh $(BIN)/ovs

$(CONTROLLER_GEN): hack/tools/go.mod | $(BIN)
	go build -C hack/tools -o ../../$@ sigs.k8s.io/controller-tools/cmd/controller-gen

$(CRD_REF_DOCS): hack/tools/go.mod | $(BIN)
	go build -C hack/tools -o ../../$@ github.com/elastic/crd-ref-docs

$(GOLANGCI_LINT): hack/lint/go.mod | $(BIN)
	@echo "==> building golangci-lint, once"
	go build -C hack/lint -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(BIN):
	@mkdir -p $(BIN)
