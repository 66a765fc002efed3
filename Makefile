# The commands of this repository. `make help` lists them.

DATA ?= causeway-data
FUZZ_SECONDS ?= 60
# Which black-box tests `make blackbox` runs, e.g. make blackbox STORE=postgres TESTS=tests/test_push.py
STORE ?= sqlite
TESTS ?= tests
PYTEST = tests/.venv/bin/pytest --rootdir tests -c tests/pytest.ini

.PHONY: help build run test check setup blackbox compatibility fuzz

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

build: ## build the release binary: target/release/causeway
	cargo build --release --locked --package causeway

run: build ## build, then serve with the data in $(DATA)
	target/release/causeway serve --data $(DATA) --ready-file $(DATA)/ready.json

check: ## the quick loop: format, lints, generated files, dependency directions
	cargo xtask check

setup: ## install what the tests need (Debian packages, tests/.venv, tests/node)
	bash tests/setup.sh

test: ## everything that must hold: check, unit tests, black-box tests on SQLite and on PostgreSQL
	bash tests/run.sh

blackbox: setup ## black-box tests only, on one store: make blackbox STORE=postgres TESTS=tests/test_push.py
	cargo build --locked --package causeway
	$(PYTEST) -n 2 --dist loadfile --store $(STORE) $(TESTS)

compatibility: setup ## run the black-box tests on both stores and write docs/compatibility.md from what they saw
	cargo build --locked --package causeway
	rm -rf target/sdk-records
	$(PYTEST) -n 2 --dist loadfile --store sqlite --record target/sdk-records tests
	$(PYTEST) -n 2 --dist loadfile --store postgres --record target/sdk-records tests
	tests/.venv/bin/python tests/compatibility.py target/sdk-records --write

fuzz: ## every fuzz target for FUZZ_SECONDS (default 60)
	bash tests/fuzz.sh $(FUZZ_SECONDS)
