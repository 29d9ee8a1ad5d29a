# `make demo` and `make test` set up .venv by themselves; PYTHON chooses its interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := setup.py pyproject.toml autodiff/_build.py autodiff/_version.py \
	$(shell find csrc -name '*.[ch]' -o -name '*.def')
C_FILES = $(shell find csrc -name '*.[ch]')
PIP = $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: demo test sanitize sanitize-threads lint format bench wheel clean

demo: $(VENV)/plot.stamp
	$(BIN)/python -m autodiff demo

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -n auto

# The tests of builds with sanitizers, apart from the ordinary one; docs/sanitizers.md. CC=clang works too.
sanitize: $(VENV)/test.stamp
	.ci/sanitize address,undefined -n auto --ignore tests/test_build.py

sanitize-threads: $(VENV)/test.stamp
	.ci/sanitize thread -n auto -k 'thread or sanitize'

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

bench: $(VENV)/bench.stamp
	$(BIN)/python benchmarks/run.py

wheel: $(VENV)/dev.stamp
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist *.egg-info autodiff/*.so

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# An editable install: edits of Python files need no reinstall, edits of C files run this again.
$(VENV)/installed: $(BIN)/python $(NATIVE)
	$(PIP) -e .
	touch $@

# $(VENV)/<extra>.stamp: what one extra of pyproject.toml asks for; the package itself is already there.
$(VENV)/%.stamp: $(VENV)/installed pyproject.toml
	$(PIP) 'autodiff[$*]'
	touch $@
