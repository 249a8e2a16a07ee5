# make demo: try it (installs into .venv). make test: the whole suite.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3.14 python3,$(shell command -v $(p) 2>/dev/null)))
BIN := .venv/bin
UV_VERSION := 0.13.9
DEMO_HOME ?= .demo
export UV_NO_PROGRESS := 1

.PHONY: demo demo-reset test check unit postgres processes simulation browser bench soak build lock clean preflight

demo: .venv/.runtime build
	@$(BIN)/consortium demo --keep $(DEMO_HOME) $(if $(PORT),--port $(PORT))

demo-reset:
	rm -rf $(DEMO_HOME) $(DEMO_HOME)-guard

# ---------------------------------------------------------------- proof

test: .venv/.dev build
	@$(BIN)/python -m tests.run check unit postgres processes simulation browser

unit postgres processes simulation browser soak: .venv/.dev build
	@$(BIN)/python -m tests.run $@

check: .venv/.dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: .venv/.dev build
	@$(BIN)/python -m tests.bench $(ONLY)

# ---------------------------------------------------------------- install

preflight:
	@$(if $(PYTHON),,echo "Python 3.11 or newer is missing. On Debian or Ubuntu: apt install python3 python3-venv" >&2; exit 1;) \
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is too old: 3.11 or newer is needed. On Debian or Ubuntu: apt install python3.11 python3.11-venv, then make PYTHON=python3.11" >&2; exit 1; }; \
	"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	command -v node >/dev/null || { echo "Node.js is missing. On Debian or Ubuntu: apt install nodejs npm" >&2; exit 1; }; \
	command -v npm >/dev/null || { echo "npm is missing. On Debian or Ubuntu: apt install npm" >&2; exit 1; }

# uv installs in seconds; where it cannot be had, pip does the same from the same lock.
define install
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) || true
	@if test -x $(BIN)/uv; then \
		$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode --require-hashes $(1) && \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
		$(BIN)/python -m pip install --quiet --require-hashes -r $(1) && \
		$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .; \
	fi
endef

.venv/.runtime: requirements.txt requirements-dev.txt pyproject.toml | preflight
	$(call install,$(if $(wildcard .venv/.dev),requirements-dev.txt,requirements.txt))
	@touch $@

.venv/.dev: requirements-dev.txt pyproject.toml | preflight
	$(call install,requirements-dev.txt)
	@touch $@ .venv/.runtime

# ---------------------------------------------------------------- front end

VENDOR := consortium/web/static/vendor
ICONS := consortium/web/icons

build: $(VENDOR)/.stamp

$(VENDOR)/.stamp: package.json package-lock.json .npmrc Makefile | preflight
	@npm ci --silent
	@rm -rf $(VENDOR) $(ICONS) && mkdir -p $(VENDOR) $(ICONS)
	@cp node_modules/htmx.org/dist/htmx.min.js node_modules/htmx.org/dist/ext/hx-sse.min.js $(VENDOR)/
	@cp node_modules/lucide-static/icons/*.svg $(ICONS)/
	@touch $@

# ---------------------------------------------------------------- upkeep of this folder

lock: .venv/.dev
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml --group build -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml --group dev -o requirements-dev.txt

clean:
	rm -rf .venv .foreign node_modules $(VENDOR) $(ICONS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
