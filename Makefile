# Works with GNU make 3.81 (macOS) and later. `make` alone lists the targets.

PYTHON     ?= python3
VENV_FLAGS ?=
# Three quarters of the usual width, a slower discriminator, a shorter average: varied, readable digits in minutes, in fp32 too.
DEMO_ARGS  ?= image/dcgan --data mnist-5k --steps 3000 --model.generator_width 48 --model.discriminator_width 48 \
              --model.discriminator_learning_rate 1e-4 --model.ema_half_life 5000
TEST_ARGS  ?= -n 2 --dist worksteal -m "not slow"
DEVICE_ARGS ?=

VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.installed
DOCS   := $(VENV)/.docs
# Every folder of plugins/ with a pyproject.toml is installed; EXTRAS_name adds optional dependencies to one of them.
PROJECTS     := $(sort $(wildcard plugins/*/pyproject.toml))
EXTRAS_audio := [metrics,mos,words,onnx,transformers]
EXTRAS_image := [digits,twemoji,nifti,dicom,video]
EXTRAS_text  := [rouge,lora,onnx]
EXTRAS_speech := [phonemes,onnx]
PLUGINS      := $(foreach p,$(PROJECTS:/pyproject.toml=),-e "./$(p)$(EXTRAS_$(notdir $(p)))")

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install demo test lint bench device docs clean

help: ## list what make can do
	@echo "polygan. Each target makes $(VENV) first if it is missing; repeating or interrupting one does no harm."
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile
	@echo "Variables:"
	@echo "  PYTHON=python3.12                     the interpreter to start from (3.11 or newer; now: $(PYTHON))"
	@echo "  VENV_FLAGS=--system-site-packages     reuse a torch that is already there (before $(VENV) is made)"
	@echo "  DEMO_ARGS=... TEST_ARGS=...           what 'polygan train' and 'pytest' are given"
	@echo "  DEVICE_ARGS=...                       what 'make device' gives tests/device/run.py, e.g. '--parts losses,sync'"

install: $(READY) ## make .venv with polygan, the plugins of this checkout and the tools for development

demo: $(READY) ## train a GAN on 5,000 real handwritten digits and write a report to read
	@name=demo; n=1; while [ -e "runs/$$name" ]; do n=$$((n + 1)); name="demo-$$n"; done; \
	echo "==> training into runs/$$name (a few minutes)"; \
	$(PY) -m polygan train $(DEMO_ARGS) --name "$$name" || exit $$?; \
	echo "==> scoring 1,000 samples (trains a small classifier of the real digits first, once)"; \
	$(PY) -m polygan evaluate "runs/$$name" || exit $$?; \
	$(PY) -m polygan generate "runs/$$name" -n 80 --seed 1 --grid --out "runs/$$name/grid.png" || exit $$?; \
	report="runs/$$name/report.html"; \
	echo "==> the report: $(CURDIR)/$$report"; \
	if [ -t 0 ]; then \
	  if [ "$$(uname)" = Darwin ]; then open "$$report" || true; \
	  elif [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] && command -v xdg-open >/dev/null 2>&1; then \
	    xdg-open "$$report" >/dev/null 2>&1 || true; \
	  fi; \
	fi

test: $(READY) ## run the tests (all but the slow ones)
	@echo "==> testing"
	OMP_NUM_THREADS=1 $(PY) -m pytest $(TEST_ARGS)

lint: $(READY) ## check style, format and types
	@echo "==> checking style, format and types"
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m basedpyright --pythonpath $(PY)

bench: $(READY) ## measure speed and memory against plain baselines (wants a quiet machine)
	@echo "==> measuring"
	$(PY) tests/bench/run.py

device: $(READY) ## check polygan on an accelerator and measure it there (at most 8 minutes; without one: says so)
	@$(PY) tests/device/run.py $(DEVICE_ARGS)

docs: $(DOCS) ## build the docs site into site/ (a broken link fails)
	@echo "==> building the docs site from docs/ and from docstrings"
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	@echo "==> the site: $(CURDIR)/site/index.html ('$(PY) -m mkdocs serve' shows it, with search)"

clean: ## remove .venv, caches and build outputs; runs/ stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build dist site plugins/*/build plugins/*/dist
	find $(wildcard core plugins tests examples docs) -type d -name __pycache__ -prune -exec rm -rf {} +

# The stamps are written last, so that what was interrupted is done again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make: polygan needs Python 3.11 or newer, and '$(PYTHON) --version' says:" \
	    "$$($(PYTHON) --version 2>&1 | tail -n 1). Name another one, e.g. make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "make: $(PYTHON) has no venv module: install it (Debian, Ubuntu: apt install python3-venv)," \
	    "or name another interpreter, e.g. make PYTHON=python3.12" >&2; exit 1; }
	@echo "==> making $(VENV) with $$($(PYTHON) --version)"
	$(PYTHON) -m venv $(VENV_FLAGS) $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --upgrade pip setuptools
	@touch $@

$(READY): $(VENV)/.made pyproject.toml constraints.txt $(PROJECTS)
	@echo "==> installing polygan, $(words $(PROJECTS)) plugin(s) and the tools for development into $(VENV)"
	@$(PY) -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)' || { \
	  echo "    torch comes along: 1 to 3 GB with the CUDA libraries, minutes on a fast line;"; \
	  echo "    Ctrl-C is safe, and what was downloaded completely is not downloaded again."; }
	$(PY) -m pip install -c constraints.txt -e ".[dev,tensorboard]" $(PLUGINS)
	@touch $@

# Only `make docs` installs these. The list is the extra's, without installing polygan once more for it.
$(DOCS): $(READY)
	@echo "==> installing what builds the docs site into $(VENV)"
	$(PY) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")' > $@.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -r $@.txt
	@touch $@
