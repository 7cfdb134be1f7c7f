# `make help` lists what there is.

GO   ?= go
TOOL  = $(GO) tool -modfile=tools.mod
PGO   = cmd/p2pfaas/default.pgo
JOBS ?= 5000000
# Where the go command does not stamp the commit, as with -buildvcs=false, this does.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
STAMP    = $(if $(VERSION),-X github.com/p2pfaas/p2pfaas/cmd.built=$(VERSION))

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: ## the binary, ./p2pfaas
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(STAMP)' -o p2pfaas ./cmd/p2pfaas

.PHONY: images
images: ## container images for every platform, ./images: a tar each, and a directory for registries
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w $(STAMP)' -o images/p2pfaas ./cmd/p2pfaas
	./images/p2pfaas image --platform all --layout --out images

.PHONY: check
check: fmt lint test ## what a change must pass: fmt, lint, test

.PHONY: test
test: ## the test command of the README
	$(GO) test ./...

.PHONY: race
race: ## the race detector on the packages that a run goes through
	$(GO) test -race -short -timeout 1h ./core/... ./learner/... ./simnet/... ./results/... ./realnet/...

.PHONY: containers
containers: ## the tests in containers, which want an engine; six to twelve minutes on two cores
	P2PFAAS_CONTAINERS=1 $(GO) test -count 1 -timeout 55m -p 1 -parallel 4 ./compose/... ./realnet/deploy

.PHONY: browser
browser: ## the tests of the page in Chromium, half a minute; P2PFAAS_PICTURES=DIR keeps pictures
	P2PFAAS_BROWSER=1 $(GO) test -count 1 -timeout 20m ./realnet/ui

.PHONY: prometheus
prometheus: ## the files of compose/watch and the metrics, as a real Prometheus reads them; three quarters of a minute
	P2PFAAS_PROMETHEUS=1 $(GO) test -count 1 -timeout 20m ./compose/watch

.PHONY: fmt
fmt: ## fails where gofmt would change something
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }

.PHONY: lint
lint: ## vet, staticcheck, and a tidy go.mod
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(TOOL) staticcheck ./...

.PHONY: fma
fma: ## no fused multiply-add on arm64 in what must be equal bit for bit
	.ci/fma core/... learner/... simnet simnet/swarm scenarios

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (10s)
	.ci/fuzz $(or $(FUZZTIME),10s)

.PHONY: swarm
swarm: build ## the scenarios of SEEDS (1-100000), and what must always hold in them; about a quarter of an hour of processor time
	./p2pfaas swarm --seeds $(or $(SEEDS),1-100000)

.PHONY: mutants
mutants: ## sources that are broken on purpose, each of which the swarm must find; about two minutes on two idle cores
	P2PFAAS_MUTANTS=1 $(GO) test -count 1 -timeout 1h -run Mutants -v ./simnet/swarm

.PHONY: validate
validate: build ## every exact value of theory, at most 60 minutes on two cores
	./p2pfaas validate

.PHONY: membership
membership: ## the failure detector in 1,000 clusters of 100 nodes for an hour each, about five minutes on two cores
	$(GO) run ./simnet/membership/measure $(MEMBERSHIP)

.PHONY: cost
cost: ## what a real node adds to a function, and how much it bears; about a minute and a half
	$(GO) run ./realnet/cost

.PHONY: flood
flood: build ## a node with 10,000 connections and ten times the requests that it can serve, half a minute
	$(GO) run ./realnet/flood $(FLOOD)

.PHONY: bench
bench: ## the engine against the bare loop of the same model, in turn, and the ratio
	$(GO) run ./simnet/yardstick -jobs $(JOBS) -pgo $(PGO)

.PHONY: profile
profile: ## draw default.pgo anew
	$(GO) test -run '^$$' -bench Engine -benchtime 8000000x -cpuprofile $(PGO) -o /dev/null ./simnet

.PHONY: golden
golden: ## rewrite the golden files and show what changed
	$(GO) test ./core/sched ./learner ./results ./scenarios ./simnet ./realnet/deploy ./cmd/top -update
	git diff --stat

.PHONY: figures
figures: build ## draw the figures of README and guide anew
	rm -rf runs/figures runs/quick
	./p2pfaas sim scenarios/lambda-sweep.yaml --records none --out runs/figures
	./p2pfaas plot runs/figures --x workload.rate --y latency.mean --out docs/figures/lambda-sweep-latency-mean.svg
	./p2pfaas plot runs/figures --x workload.rate --y drop_rate --out docs/figures/lambda-sweep-drop-rate.svg
	./p2pfaas plot runs/figures --x workload.rate --y deadline_share --by scheduler --out docs/figures/lambda-sweep-deadline-share.svg
	./p2pfaas sim quickstart --records none --out runs/quick
	cp runs/quick/plots/latency-breakdown.svg docs/figures/quickstart-latency-breakdown.svg
