# `make demo` and `make test` set up .venv by themselves, `make bench` .venv-bench; PYTHON chooses the
# interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := setup.py pyproject.toml autodiff/_build.py autodiff/version.py \
	$(shell find csrc -name '*.[ch]' -o -name '*.def')
C_FILES = $(shell find csrc tests -name '*.[ch]')
PIP = bin/pip install --quiet --disable-pip-version-check
BENCH := .venv-bench
RESULTS := build/benchmarks

.PHONY: demo test sanitize sanitize-threads check-neon lint format docs bench bench-quick wheel clean

demo: $(VENV)/plot.stamp
	$(BIN)/python -m autodiff demo

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -n auto

# What meets no C that other tests do not: planted faults, transforms, programs made of tested parts, and the
# values of what others run.
UNSANITIZED := build benchmarks faults sequences_faults instructions func func_cases examples demo chapter \
	data data_workers reference determinism compile_isa accuracy accuracy_sums architecture stubs \
	compile_reached compile_schedulers optim_schedulers nn_module nn_hooks batch graph_memory

# Files with tests of threads: to collect the others takes as long as to run these.
THREADED = tests/test_sanitize.py $(shell grep -l 'def test_[a-z_]*thread' tests/test_*.py)

# The tests of builds with sanitizers, apart from the ordinary one; docs/sanitizers.md. CC=clang works too.
sanitize: $(VENV)/test.stamp
	.ci/sanitize address,undefined -n auto $(addprefix --ignore tests/test_,$(addsuffix .py,$(UNSANITIZED)))

sanitize-threads: $(VENV)/test.stamp
	.ci/sanitize thread -n auto -k '(thread or sanitize) and not same_training' $(THREADED)

# The kernels for AArch64, run by an emulator: their bits against the recorded ones. docs/determinism.md.
check-neon: $(VENV)/test.stamp
	$(BIN)/python tests/neon/check.py

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

# The reference in docs/reference, from signatures and docstrings.
docs: $(VENV)/test.stamp
	$(BIN)/python docs/make_reference.py

# One thread, then all cores: each in a process of its own, as libraries count the cores when they load.
bench: $(BENCH)/bench.stamp
	$(BENCH)/bin/python benchmarks/run.py --save $(RESULTS)/one.json
	$(BENCH)/bin/python benchmarks/run.py --threads 0 --rounds 3 --save $(RESULTS)/all.json
	$(BENCH)/bin/python benchmarks/report.py $(RESULTS)/one.json $(RESULTS)/all.json
	$(BENCH)/bin/python benchmarks/against_eager.py --rounds 5 --losing

bench-quick: $(BENCH)/bench.stamp
	$(BENCH)/bin/python benchmarks/run.py --quick --rounds 5

wheel: $(VENV)/dev.stamp
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) $(BENCH) build dist *.egg-info autodiff/*.so

$(VENV)/bin/python $(BENCH)/bin/python: %/bin/python:
	$(PYTHON) -m venv $*

# An editable install: edits of Python files need no reinstall, edits of C files run this again.
$(VENV)/installed $(BENCH)/installed: %/installed: %/bin/python $(NATIVE)
	$*/$(PIP) -e .
	touch $@

# $(VENV)/<extra>.stamp: what one extra of pyproject.toml asks for; the package itself is already there.
$(VENV)/%.stamp: $(VENV)/installed pyproject.toml
	$(VENV)/$(PIP) 'autodiff[$*]'
	touch $@

$(BENCH)/bench.stamp: $(BENCH)/installed pyproject.toml
	$(BENCH)/$(PIP) 'autodiff[bench]'
	touch $@
