# `check` is what CI runs, the cheap steps first; `fix` applies what can be fixed automatically.
PYTHON ?= .venv/bin/python
PYTHONS ?= 3.11 3.12 3.13

.PHONY: check check-docs check-script types types-win32 types-darwin fix docs pictures pythons smoke bench bench-quick campaign

# Coverage counts the test processes only, not the commands that they start.
check:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m codespell_lib
	$(PYTHON) docs/words.py
	$(MAKE) --no-print-directory check-docs
	$(MAKE) --no-print-directory -j3 check-script types types-win32
	$(PYTHON) -m pytest --cov --cov-report=term --cov-fail-under=92

types:
	$(PYTHON) -m mypy

types-win32 types-darwin: types-%:
	$(PYTHON) -m mypy --platform $* --cache-dir .mypy_cache/$* src

check-docs:
	$(PYTHON) docs/generate.py --check

# The page's script: its faults and its format, with npm's tools, and axe-core for the tests. Skipped where npm cannot install them.
NODE = build/node
LIMIT = $(shell command -v timeout > /dev/null && echo timeout 180)
check-script:
	@if $(LIMIT) npm install --fetch-retries 0 --fetch-timeout 20000 --silent --no-audit --no-fund --prefix $(NODE) axe-core@4 eslint@9 prettier@3 2> /dev/null; then \
		$(NODE)/node_modules/.bin/eslint src/mnistae/outputs/page && \
		$(NODE)/node_modules/.bin/prettier --print-width 128 --check 'src/mnistae/outputs/page/*.js'; \
	else echo 'check-script: skipped, npm is missing or cannot install eslint, prettier and axe-core'; fi

fix: docs
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

docs:
	$(PYTHON) docs/generate.py
	mkdir -p build
	MNISTAE_OFFLINE=1 $(PYTHON) -m mnistae report lab -o build/lab.html || echo 'build/lab.html: skipped, it needs MNIST'

# Redraw the figures of README.md and docs/guide.md, on MNIST with the built-in checkpoints.
pictures:
	PATH="$(abspath $(dir $(PYTHON))):$$PATH" docs/pictures.sh

# Every benchmark of docs/results.md: an hour and a half on two cores. `bench-quick` takes minutes.
bench:
	$(PYTHON) -m pip install --quiet --group bench -e .
	$(PYTHON) benchmarks/run.py

bench-quick:
	$(PYTHON) -m pip install --quiet --group bench -e .
	$(PYTHON) benchmarks/run.py --quick

# Check the types for macOS, and run the tests with each Python version, in a new environment for each. pyenv's versions are found if
# pyenv is installed.
pythons: types-darwin
	set -e; for version in $(PYTHONS); do \
		root=$$(pyenv prefix "$$(pyenv latest $$version 2>/dev/null)" 2>/dev/null || true); \
		PATH="$${root:+$$root/bin:}$$PATH" python$$version -m venv --clear --upgrade-deps build/python$$version; \
		build/python$$version/bin/pip install --quiet --group dev -e '.[onnx]'; \
		build/python$$version/bin/python -m pytest -m 'not gpu'; \
	done

# Test the built wheel in a clean environment: train on the built-in digits and draw a figure.
smoke:
	rm -rf build/smoke && mkdir -p build/smoke
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir build/smoke .
	python3 -m venv build/smoke/venv
	build/smoke/venv/bin/pip install --quiet build/smoke/*.whl
	cd build/smoke && MNISTAE_HOME=home venv/bin/mnistae train --dataset glyphs --epochs 1 \
		&& MNISTAE_HOME=home venv/bin/mnistae interpolate 1 2

# The full fault-injection tests in two processes: under an hour on two cores. Writes docs/reliability.md.
KILLS = $(addprefix tests/reliability/test_, crash_resume.py signals.py concurrency.py environment.py)
CAMPAIGN = $(PYTHON) -m pytest -n 0 -p no:cacheprovider --timeout 3600
campaign: export MNISTAE_CAMPAIGN = long
campaign: export MNISTAE_LEDGER = $(CURDIR)/build/ledger.jsonl
campaign:
	mkdir -p build && rm -f $(MNISTAE_LEDGER)
	started=$$(date +%s); $(CAMPAIGN) $(KILLS) > build/kills.log 2>&1 & kills=$$!; \
		$(CAMPAIGN) tests/reliability tests/store tests/data tests/outputs tests/cli $(KILLS:%=--ignore=%); code=$$?; \
		wait $$kills || code=$$?; tail -n 1 build/kills.log; \
		$(PYTHON) tests/reliability/report.py $(MNISTAE_LEDGER) 'make campaign' $$(($$(date +%s) - started)) \
		> docs/reliability.md; exit $$code
