# Everything needs only Python 3 and make: uv is installed into .tools/ where it is missing.
UV := $(shell command -v uv 2>/dev/null || echo .tools/uv/bin/uv)
export DO_NOT_TRACK := 1

.PHONY: cycle test test-slow torture lint audit bench bench-quick viz notebook characteristics constraints clean

cycle: $(UV)          ## run the loop: seed once, then cycles, until the gate or a budget ends it
	$(UV) run kedro run --pipelines=cycle

test: $(UV)           ## the quick suite: less than four minutes on two cores
	$(UV) run pytest --numprocesses=2 --dist=worksteal

test-slow: $(UV)      ## what takes longer: more kills, more damage, a hundred cycles
	$(UV) run pytest -m slow --numprocesses=2 --dist=loadfile

torture: $(UV)        ## the real loop killed at every point and run again; POINTS=20 for an even sample of them
	$(UV) run python -m torture $(if $(POINTS),--points $(POINTS))

lint: $(UV)           ## style, types, and who may import whom
	$(UV) run ruff check .
	$(UV) run ruff format --check .
	$(UV) run mypy
	$(UV) run lint-imports

audit: $(UV)          ## known vulnerabilities of the dependencies, secrets in tracked files
	@$(UV) audit || { status=$$?; test $$status -eq 2 && echo "The vulnerability database could not be reached: no dependency was audited."; }
	git ls-files -z | xargs -0 $(UV) run detect-secrets-hook --no-verify

bench: $(UV)          ## every step beside LeRobot's own path and LeAgents, as ratios; ends with 1 where a limit is missed
	$(UV) run python -m benchmarks --json benchmarks/results.json --markdown docs/performance.md

bench-quick: $(UV)    ## the same at a small size, in less than five minutes
	$(UV) run python -m benchmarks --quick

characteristics: $(UV) ## what the gate promises, simulated through its shipped functions; RUNS=500 for a first impression
	$(UV) run python -m studies.gate --runs $(or $(RUNS),20000)

viz: $(UV)            ## the flow in a browser
	$(UV) run kedro viz

notebook: $(UV)       ## the notebooks in a browser
	$(UV) run --group notebook kedro jupyter lab

constraints: $(UV)    ## pin the transitive dependencies anew
	: > constraints.txt
	rm -f uv.lock
	$(UV) export --quiet --no-emit-project --no-hashes --no-annotate --no-header --output-file constraints.new
	sed "s/ ; (platform_machine == 'arm64' .* or .* or .*//" constraints.new > constraints.txt
	rm constraints.new

clean: $(UV)          ## forget every run: data sets, checkpoints, ledger, pages; waits for a run that is active
	$(UV) run python -m leagents_kedro.loop.clearing

.tools/uv/bin/uv:
	python3 -m venv .tools/uv
	.tools/uv/bin/pip install --quiet uv
