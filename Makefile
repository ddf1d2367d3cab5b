# Bandung. `make help` explains the targets. Needs Python 3.11 or newer with pip, and make; nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PROTOS := $(shell find proto/bandung -name '*.proto' | sort)
CODE := gateway/bandung federation/bandung connectors/bandung

.PHONY: help install demo test test-all check fuzz lint types layers proto-check format proto bench lock wheel clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Create .venv from the hashed lock files

$(INSTALLED): requirements.lock demo.lock pyproject.toml
	@echo "Creating $(VENV) from the lock files (about two minutes the first time) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r demo.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED) ## Four countries on real microdata: protected SQL, statistics, training (under two minutes)
	@$(BIN)/python examples/demo/run.py --out demo-output

test: $(INSTALLED) ## Run the tests, without the slow ones
	@$(BIN)/python -m pytest -q -m "not slow"

test-all: $(INSTALLED) ## Run every test, the slow ones too
	@$(BIN)/python -m pytest -q

SECONDS ?= 60
fuzz: $(INSTALLED) ## Look for a text that the planner neither plans nor refuses, for SECONDS (60)
	@$(BIN)/python -m tests.gateway.fuzz_planning -max_total_time=$(SECONDS)

check: lint types layers proto-check test ## Everything a change must pass

lint: $(INSTALLED) ## Formatting and lint (ruff)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(INSTALLED) ## Types (pyright, strict on the product)
	@$(BIN)/pyright --warnings

layers: $(INSTALLED) ## Import contracts (import-linter)
	@$(BIN)/lint-imports

proto-check: $(INSTALLED) ## Protobuf lint and format (buf), and drift of the generated code
	@cd proto && ../$(BIN)/buf lint && ../$(BIN)/buf format --diff --exit-code
	@rm -rf build/proto && mkdir -p build/proto
	@$(MAKE) --no-print-directory proto OUT=build/proto
	@diff -r -x '__pycache__' -x '__init__.py' build/proto/bandung/gateway/v1 gateway/bandung/gateway/v1
	@diff -r -x '__pycache__' -x '*.py' build/proto/bandung/gateway/server/flight_pb gateway/bandung/gateway/server/flight_pb

format: $(INSTALLED) ## Format Python and protobuf files
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && cd proto && ../$(BIN)/buf format --write

OUT ?= gateway
FLIGHT := proto/arrow/flight/protocol/flight.proto proto/arrow/flight/protocol/flight_sql.proto
FLIGHT_OUT = $(OUT)/bandung/gateway/server/flight_pb

proto: $(INSTALLED) ## Generate the Python code of proto/
	@PATH=$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -I proto --python_out=$(OUT) --pyi_out=$(OUT) \
	  --grpc_python_out=$(OUT) --mypy_grpc_out=quiet:$(OUT) $(PROTOS)
	@mkdir -p build/flight $(FLIGHT_OUT)
	@$(BIN)/python -m grpc_tools.protoc -I proto --include_imports --descriptor_set_out=$(FLIGHT_OUT)/flight.binpb \
	  --pyi_out=build/flight $(FLIGHT)
	@cp build/flight/arrow/flight/protocol/*.pyi $(FLIGHT_OUT)/

bench: $(INSTALLED) ## Measure: protected against raw, wire against in-process, courier against SuperNode
	@$(BIN)/python -m benchmarks

lock: ## Write the lock files anew from pyproject.toml (needs uv)
	@uv pip compile --quiet --generate-hashes --no-emit-index-url --universal --python-version 3.11 --no-header \
	  --no-annotate pyproject.toml --group dev -o requirements.lock
	@uv pip compile --quiet --generate-hashes --no-emit-index-url --universal --python-version 3.11 --no-header \
	  --no-annotate --no-deps --group demo -o demo.lock

wheel: $(INSTALLED) ## Build the wheel into dist/
	@$(BIN)/python -m hatchling build -t wheel

clean: ## Remove what the other targets made
	@rm -rf $(VENV) build dist demo-output .pytest_cache .ruff_cache .hypothesis .import_linter_cache
