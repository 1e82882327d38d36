# Every target sets .venv up by itself; ARGS are passed on: make demo ARGS="--exit --json". Works with GNU make 3.81 and later.
# PYTHON=/path/to/python chooses the interpreter, NO_UV=1 installs with pip although uv is there.

SETUP = tools/setup_environment.sh
# What the arguments ask for beyond the base environment.
EXTRAS = $(if $(findstring openai-whisper,$(ARGS)),openai-whisper,$(if $(findstring whisper,$(ARGS)),whisper)) $(if $(findstring moonshine,$(ARGS)),moonshine)

export PYTHON NO_UV
# Without bytecode on disk every start takes two seconds longer.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo up test lint format docs bench soak fuzz

help:
	@echo 'make demo    the bundled recordings through the whole pipeline, then the pages'
	@echo 'make up      the embedded set-up: listener, worker and web on this machine'
	@echo 'make test    every test that this machine can run'
	@echo 'make lint    ruff, mypy, import-linter'
	@echo 'make format  ruff, writing'
	@echo 'make docs    the generated pages of docs/'
	@echo 'make bench   calls per second through the pipeline'
	@echo 'make soak    a million changes to the roll-ups, 100,000 recordings and 1,000 kills in every set-up: hours'
	@echo 'make fuzz    broken recordings by the ten thousand through the decoder'
	@echo 'ARGS="..." is passed on.'

demo:
	@$(SETUP) base $(EXTRAS)
	@.venv/bin/callwise demo $(ARGS)

up:
	@$(SETUP) base $(EXTRAS)
	@.venv/bin/callwise up $(ARGS)

test:
	@$(SETUP) dev
	@.venv/bin/python -m pytest $(ARGS)

lint:
	@$(SETUP) dev
	@.venv/bin/ruff check . $(ARGS)
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format:
	@$(SETUP) dev
	@.venv/bin/ruff check --fix-only -q .
	@.venv/bin/ruff format .

docs:
	@$(SETUP) base
	@.venv/bin/python -m tools.make_docs $(ARGS)

bench:
	@$(SETUP) dev
	@.venv/bin/python -m bench.pipeline --json $(ARGS)

# Later arguments win: make soak ARGS="--setup rabbitmq --recordings 5000 --kills 100".
soak:
	@$(SETUP) dev
	@CALLWISE_ROLLUP_OPERATIONS=1000000 .venv/bin/python -m pytest -q tests/unit/test_rollup_soak.py
	@.venv/bin/python -m bench.chaos --json --setup rabbitmq redis sqs embedded --recordings 100000 --kills 1000 --stock $(ARGS)

fuzz:
	@$(SETUP) dev
	@.venv/bin/python -m bench.fuzz --json --inputs 10000 $(ARGS)
