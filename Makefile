# `check` is what CI runs; `fix` is its writing twin.
PYTHON ?= .venv/bin/python

.PHONY: check fix docs pictures smoke bench bench-quick campaign

check:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) docs/generate.py --check
	$(PYTHON) -m pytest

fix:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .
	$(PYTHON) docs/generate.py

docs:
	$(PYTHON) docs/generate.py

# The pictures of README.md and docs/guide.md, on MNIST with the built-in checkpoints.
pictures:
	PATH="$(abspath $(dir $(PYTHON))):$$PATH" docs/pictures.sh

# Every measurement of docs/results.md, side by side: an hour and a half on two cores; the quick form takes minutes.
bench:
	$(PYTHON) -m pip install --quiet -e '.[bench]'
	$(PYTHON) benchmarks/run.py

bench-quick:
	$(PYTHON) -m pip install --quiet -e '.[bench]'
	$(PYTHON) benchmarks/run.py --quick

# The built wheel in an empty environment: it answers, trains on the built-in digits and draws.
smoke:
	rm -rf build/smoke && mkdir -p build/smoke
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir build/smoke .
	python3 -m venv build/smoke/venv
	build/smoke/venv/bin/pip install --quiet build/smoke/*.whl
	cd build/smoke && MNISTAE_HOME=home venv/bin/mnistae train --dataset glyphs --epochs 1 \
		&& MNISTAE_HOME=home venv/bin/mnistae interpolate 1 2

# The long set of the reliability tests, two processes of it for two cores: under an hour. Writes docs/reliability.md.
KILLS = $(addprefix tests/reliability/test_, crash_resume.py signals.py concurrency.py environment.py)
CAMPAIGN = OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 0 -p no:cacheprovider --timeout 3600
campaign: export MNISTAE_CAMPAIGN = long
campaign: export MNISTAE_LEDGER = $(CURDIR)/build/ledger.jsonl
campaign:
	mkdir -p build && rm -f $(MNISTAE_LEDGER)
	started=$$(date +%s); $(CAMPAIGN) $(KILLS) > build/kills.log 2>&1 & kills=$$!; \
		$(CAMPAIGN) tests/reliability tests/store tests/datasets tests/cli $(KILLS:%=--ignore=%); code=$$?; \
		wait $$kills || code=$$?; tail -n 1 build/kills.log; \
		$(PYTHON) tests/reliability/report.py $(MNISTAE_LEDGER) 'make campaign' $$(($$(date +%s) - started)) \
		> docs/reliability.md; exit $$code
