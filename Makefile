# `make demo` and `make test` need Python 3.10-3.12 and nothing else; everything they install goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests start many processes, which read compiled modules where this is not set.
export PYTHONDONTWRITEBYTECODE :=
# One more than there are cores: many tests wait for processes and time limits.
TEST_WORKERS ?= $(shell expr $$(nproc) + 1)
PYTEST = $(BIN)/pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-all checked prepared lint types docs bench bench-gpu clean

demo: $(VENV)/core
	$(BIN)/swerve warmup towns sets
	$(BIN)/swerve augment town:2 out/demo/dataset --size 960x560 --scene-interval 2
	$(BIN)/swerve show town:1 out/demo
	@echo "The report is at $(CURDIR)/out/demo/index.html"

# Lint, types, and all tests but those marked slow.
test: checked
	$(PYTEST) -m "not slow"

# With the slow tests.
test-all: checked
	$(PYTEST)

checked: $(VENV)/dev lint
	@$(MAKE) --no-print-directory --jobs 2 types prepared

# What several test processes would else do at once, each for itself: compile the kernels, and the modules.
prepared: $(VENV)/dev
	$(BIN)/swerve warmup
	$(BIN)/pytest --collect-only -qq > $(VENV)/collected || (cat $(VENV)/collected && false)

# Other versions of Python, where they are installed: make test-3.10, make test-3.12
test-3.%:
	$(MAKE) VENV=.venv-3.$* PYTHON=python3.$* test

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy follows packages by their folders: show it the packages under the name that they install as.
types: $(VENV)/dev
	rm -rf build/types
	mkdir -p build/types/swerve
	ln -s $(CURDIR)/swerve/* $(CURDIR)/scenes $(CURDIR)/rasterizer $(CURDIR)/viz $(CURDIR)/data $(CURDIR)/eval $(CURDIR)/planners build/types/swerve
	MYPYPATH=build/types $(BIN)/mypy --package swerve

# The site, into build/site: no page is fetched from anywhere, and a broken link or reference is an error.
docs: $(VENV)/docs
	$(BIN)/mkdocs build --strict

bench: $(VENV)/dev
	$(BIN)/python -m benchmarks.run

# On a machine with an NVIDIA GPU: what the tests on the simulator cannot confirm, then views and splat images per second.
bench-gpu: $(VENV)/dev
	$(PIP) --editable '.[cuda,nvjpeg,torch,gsplat]'
	$(BIN)/pytest tests/gpu
	$(BIN)/python -m benchmarks.run views splats

$(VENV)/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

# The Waymo wheel holds the official protobuf classes; its own pins (TensorFlow and more) are left out.
$(VENV)/dev: $(VENV)/core
	$(PIP) --editable '.[dev,waymo,torch,timm,tensorboard,fit,view,rerun,mcap,video,alpasim,vlm]'
	$(PIP) --no-deps waymo-open-dataset-tf-2-12-0==1.6.7
	touch $@

$(VENV)/docs: $(VENV)/core
	$(PIP) --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) build out
