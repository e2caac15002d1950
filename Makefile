# Everything sets itself up: only Python 3.11+, make and git are needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CACHE  := .cache
READY  := $(VENV)/.ready
PYTEST_OPTIONS ?= --numprocesses auto --dist worksteal
KAFKA_PORT ?= 9092

.PHONY: setup demo test lint bench schemas kafka-up kafka-down clean help

help: ## Show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Install everything into .venv (the command is .venv/bin/touchstone)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

demo: setup ## A made-up year in a fresh ledger, and a tour of it
	@rm -rf $(CACHE)/demo && mkdir -p $(CACHE)/demo
	@$(BIN)/touchstone --ledger sqlite:///$(CACHE)/demo/touchstone.db demo

test: setup ## All tests, as CI runs them
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

lint: setup ## Style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup ## The ratios of docs/PERFORMANCE.md (BENCH_OPTIONS="--touchpoints 100000")
	$(BIN)/python -m bench $(BENCH_OPTIONS)

schemas: setup ## Write schemas/published anew from the classes
	$(BIN)/touchstone schema publish schemas/published

kafka-up: setup ## A Kafka broker on 127.0.0.1 (KAFKA_PORT=9092), for those without Docker
	@$(BIN)/python -m tests.servers.kafka_local up --port $(KAFKA_PORT)

kafka-down: setup ## Stop that broker; its records stay
	@$(BIN)/python -m tests.servers.kafka_local down

clean: ## Remove what the other targets made
	rm -rf $(VENV) $(CACHE) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
