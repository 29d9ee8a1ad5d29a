# `make demo` and `make test` set up .venv by themselves; PYTHON chooses its interpreter.

PYTHON ?= python3
VENV := .venv
SANITIZE := .venv-sanitize
BIN := $(VENV)/bin
NATIVE := setup.py pyproject.toml autodiff/_build.py autodiff/_version.py \
	$(shell find csrc -name '*.[ch]' -o -name '*.def')
C_FILES = $(shell find csrc -name '*.[ch]')
PIP = $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: demo test sanitize lint format bench wheel clean

demo: $(VENV)/plot.stamp
	$(BIN)/python -m autodiff demo

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -n auto

# The tests of a gcc build with AddressSanitizer and UBSan, made in a copy of the tree: some ten minutes.
sanitize: export ASAN_OPTIONS = detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096
sanitize: export UBSAN_OPTIONS = print_stacktrace=1
sanitize:
	rm -rf $(SANITIZE)/tree
	$(PYTHON) -m venv $(SANITIZE)
	mkdir $(SANITIZE)/tree
	tar --exclude='./.venv*' --exclude=./.git --exclude=./build --exclude='*.so' -cf - . \
		| tar -xf - -C $(SANITIZE)/tree
	CC=gcc AUTODIFF_SANITIZE=address,undefined \
		$(SANITIZE)/bin/pip install --quiet --disable-pip-version-check -e '$(SANITIZE)/tree[test]'
	cd $(SANITIZE)/tree && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
		../bin/python -m pytest -n auto --ignore tests/test_build.py

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
	rm -rf $(VENV) $(SANITIZE) build dist *.egg-info autodiff/*.so

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
