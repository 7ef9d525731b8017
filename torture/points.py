"""Kills the real loop at every point that can be named, and at random ones: ``python -m torture --points 20``.

A point is one fresh project: the loop is killed there, the same command is given once more, and everything that the
project then holds is compared with that of a loop that nobody disturbed. Two points at a time; what was tried is
remembered until the code changes, so that the command goes on where it was stopped.
"""

import argparse
import atexit
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

from tqdm import tqdm

ROOT = Path(__file__).parents[1]
SAVE_EVERY_STEPS = 2
PARAMETERS = f"""
suite: {{tasks: [reach-v3], options: {{episode_length: 80}}}}
demonstrations: {{amplify: null, initial_per_task: 1, growth_per_task: 1, allocation: uniform,
                 corrections: {{share: 0.3, block_steps: 5}}}}
training:
  batch_size: 32
  save_every_steps: {SAVE_EVERY_STEPS}
  ladder:
    - policy_type: act
      steps: 4
      pretrained_path: null
      pretrained_revision: null
      options: {{chunk_size: 10, n_action_steps: 10, dim_model: 16, n_heads: 2, dim_feedforward: 16,
                n_encoder_layers: 1, n_vae_encoder_layers: 1, latent_dim: 2, optimizer_lr: 1.0e-3}}
evaluation: {{workers: 1, episode_timeout_s: null}}
gating: {{max_pairs: 6, look_every: 2, floor: 0.0, futility_power: 0.0}}
harvest: {{attempts_per_task: 12}}
retention: {{keep_last: 1, keep_cited_by: []}}
loop: {{max_cycles: 2, run_seed: 1}}
"""
CYCLES = ("run", "--pipelines=cycle")
RUN_ID = re.compile(r"\d{4}-\d\d-\d\dT[\d.]+Z")
FOLDER = re.compile(r'/[^"\s]*/project(?=[/"\s])')
RANDOM_MOMENTS = 200
SHOWN = 5  # failures of a point


@dataclass(frozen=True)
class Point:
    """Where to kill: at event number ``at``, or ``part`` of an undisturbed loop's time after the start."""

    at: int
    strike: str
    what: str
    part: float | None = None

    def __str__(self) -> str:
        return f"{self.strike} at event {self.at}: {self.what}" if self.at else f"{self.strike} {self.what}"


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``code`` is minus the signal that killed or stopped it, ``journal`` what it did."""

    pid: int
    code: int
    seconds: float
    output: str
    orphans: list[str]
    journal: list[tuple[str, Any]]

    @property
    def events(self) -> list[tuple[str, Any]]:
        """What was counted: all but syncs, and the new places of what was renamed and linked."""
        return [entry for entry in self.journal if entry[0] not in {"sync", "place"}]

    @property
    def frames(self) -> list[list[int]]:
        """The frames of every training step, in order."""
        return [what for kind, what in self.events if kind == "step"]


class Server:
    """A process that has imported everything, whose forks run commands; one at a time."""

    def __enter__(self) -> Self:
        answers, end = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("server.py")), str(end)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            pass_fds=[end],
            start_new_session=True,  # Ctrl-C is for the client, which tells it
        )
        os.close(end)
        self._answers = os.fdopen(answers)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._answers.close()

    def run(self, project: "Project", *arguments: str, limit_s: float = 120.0, **request: Any) -> Ended:
        """Run a Kedro command in the project, the loop by default; see `torture.server` for the request."""
        journal = project.path.parent / f"{project.path.name}.journal"
        defaults = {"environ": {}, "at": 0, "strike": "KILL", "after_s": None, "clock_s": 0.0}
        given = {"project": str(project.path), "arguments": arguments or CYCLES, "journal": str(journal)}
        print(json.dumps(defaults | given | {"limit_s": limit_s} | request), file=self._process.stdin, flush=True)
        answer = json.loads(self._answers.readline())
        lines = journal.read_text().splitlines() if journal.exists() else []
        journal.unlink(missing_ok=True)
        return Ended(**answer, journal=[tuple(json.loads(line)) for line in lines])


@dataclass(frozen=True)
class Project:
    """A Kedro project of its own: the configuration of the default, made small."""

    path: Path

    @classmethod
    def create(cls, path: Path, parameters: str = PARAMETERS) -> Self:
        shutil.copytree(ROOT / "conf", path / "conf", ignore=shutil.ignore_patterns("local"))
        (path / "conf" / "local").mkdir()
        (path / "conf" / "local" / "parameters.yml").write_text(parameters)
        shutil.copy(ROOT / "pyproject.toml", path)
        (path / "src").mkdir()
        return cls(path)

    @property
    def _roots(self) -> tuple[Path, Path]:
        return self.path / "data", self.path / "knowledge"

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of ``data/<name>.jsonl``."""
        path = self.path / "data" / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def published(self) -> dict[Path, int]:
        """Return what is published, with its place on the disk: a version that is written anew has another one."""
        entries = [path for root in self._roots for path in root.rglob("*") if RUN_ID.search(str(path))]
        return {
            path: path.stat().st_ino
            for path in entries
            if not (RUN_ID.fullmatch(path.name) or re.search(r"/00_workspace/|/\.[a-z]", str(path)))
        }

    @property
    def content(self) -> dict[str, Any]:
        """Return all that the loop left, by name, as far as it is to be the same after a kill.

        What may differ is run ids, numbered here in their order; in LeRobot's configuration of a training the folder
        of the project; in the ledger times, and what the killed attempt cost; the lock, which names its holder; the
        event log, which has the events of both attempts.
        """
        left = (path for root in self._roots for path in root.rglob("*"))
        names = sorted(str(path.relative_to(self.path)) for path in left)
        run_ids = sorted({run_id for name in names for run_id in RUN_ID.findall(name)})
        content: dict[str, Any] = {}
        for name in names:
            path = self.path / name
            if path.is_dir():
                data: Any = "folder"
            elif path.suffix in {".json", ".jsonl", ".md"}:
                data = _numbered(FOLDER.sub("project", path.read_text()), run_ids)
            else:
                data = path.read_bytes()
            content[_numbered(name, run_ids)] = data
        for name in ("data/.ledger.jsonl.lock", "data/events.jsonl"):
            content.pop(name, None)
        content["data/ledger.jsonl"] = [
            {key: value for key, value in row.items() if key not in {"at", "seconds", "device_seconds"}}
            for row in map(json.loads, content.get("data/ledger.jsonl", "").splitlines())
            if row["event"] not in {"charged", "resumed"}
        ]
        return content


@dataclass(frozen=True)
class Reference:
    """What a loop that nobody disturbed did and left."""

    ended: Ended
    content: dict[str, Any]
    nodes: Counter[str]

    @classmethod
    def of(cls, project: Project, server: Server) -> Self:
        ended = server.run(project)
        assert ended.code == 0, ended.output
        harvested = any(kind == "write" and "rollouts" in str(what) for kind, what in ended.events)
        assert harvested, "no rollout was worth keeping: choose another run_seed, so that there is a harvest to kill"
        return cls(ended, project.content, _nodes(project))

    @property
    def points(self) -> list[Point]:
        """Every event, new files torn as a power cut could leave them, and random moments."""
        events = [
            Point(at, "TEAR" if kind == "write" else "KILL", _short(kind, what))
            for at, (kind, what) in enumerate(self.ended.events, start=1)
        ]
        parts = random.Random(0)
        moments = [parts.random() for _ in range(RANDOM_MOMENTS)]
        return events + [Point(0, "KILL", f"after {part:.1%} of the time", part) for part in moments]

    def failures(self, project: Project, killed: Ended, published: dict[Path, int], resumed: Ended) -> Iterator[str]:
        """Yield what is not as if nothing had happened, after one plain restart of a killed loop."""
        if resumed.code:
            yield f"the restart ended with code {resumed.code}: {resumed.output[-2000:]}"
        for orphan in killed.orphans + resumed.orphans:
            yield f"a process outlived the loop: {orphan}"
        yield from _differences(self.content, project.content)
        now = project.published
        for path in [path for path, place in published.items() if now.get(path, place) != place]:
            yield f"{path.relative_to(project.path)} was published, and written again"
        if (repeated := _nodes(project) - self.nodes).total() > 1:
            yield f"more than the unpublished step was repeated: {', '.join(repeated.elements())}"
        yield from self._order_differences(killed.frames, resumed.frames)

    def _order_differences(self, killed: list[list[int]], resumed: list[list[int]]) -> Iterator[str]:
        expected = self.ended.frames
        if killed != expected[: len(killed)] or resumed != expected[len(expected) - len(resumed) :]:
            yield "the frames of the training steps are others, or in another order"
        if not 0 <= len(killed) + len(resumed) - len(expected) <= SAVE_EVERY_STEPS:
            yield f"{len(killed)} and {len(resumed)} training steps were made for {len(expected)}"


@cache
def shared_server() -> Server:
    """Return one server for all tests of this process."""
    server = Server().__enter__()
    atexit.register(server.__exit__)
    return server


@cache
def shared_reference() -> Reference:
    """Return one undisturbed loop for all tests of this process."""
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        return Reference.of(Project.create(Path(folder) / "project"), shared_server())


def try_point(point: Point, reference: Reference, server: Server) -> list[str]:
    """Kill a loop at ``point``, start it again, and return what then is not as if nothing had happened."""
    part = point.part
    while True:
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            project = Project.create(Path(folder) / "project")
            after_s = None if part is None else part * reference.ended.seconds
            killed = server.run(project, at=point.at, strike=point.strike, after_s=after_s)
            if killed.code == 0 and part is not None:
                part /= 2  # this time the loop was faster
                continue
            if killed.code != -signal.SIGKILL:
                return [f"the loop was not killed, but ended with code {killed.code}: {killed.output[-2000:]}"]
            published = project.published
            resumed = server.run(project)
            return list(reference.failures(project, killed, published, resumed))


def sample(points: Sequence[Point], number: int) -> list[Point]:
    """Return an even sample of ``points``, always the same one."""
    return [points[index * len(points) // number] for index in range(min(number, len(points)))]


def _nodes(project: Project) -> Counter[str]:
    return Counter(row["node"] for row in project.rows("events") if row["event"] == "started")


def _numbered(text: str, run_ids: Sequence[str]) -> str:
    for number, run_id in enumerate(run_ids):
        text = text.replace(run_id, f"version {number}")
    return text


def _differences(expected: dict[str, Any], given: dict[str, Any]) -> Iterator[str]:
    for name in sorted(expected.keys() | given.keys()):
        if name not in given:
            yield f"{name} is missing"
        elif name not in expected:
            yield f"{name} is left over"
        elif expected[name] != given[name]:
            yield f"{name} is {str(given[name])[:500]}, expected {str(expected[name])[:500]}"


def _short(kind: str, what: Any) -> str:
    """Return words for an event, paths from ``data`` on."""
    text = "" if kind == "step" else re.sub(r"^.*?/(?=data/|knowledge/)", "", str(what))
    return f"{kind} {RUN_ID.sub('...', text)}".strip()


def code_files() -> list[Path]:
    """Return what a point's result depends on: what was tried is forgotten when one of these changes."""
    return sorted([*Path(__file__).parent.glob("*.py"), *ROOT.glob("src/**/*.py"), *ROOT.glob("conf/base/*.yml")])


def _code_digest() -> str:
    digest = hashlib.sha256()
    for path in code_files():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def main() -> int:
    """Try the points that were not tried yet; the last line says how many ended as the undisturbed run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, help="an even sample of so many points; default: all")
    parser.add_argument("--processes", type=int, default=2, help="points at a time (default: 2)")
    arguments = parser.parse_args()
    memory = Path(tempfile.gettempdir()) / f"torture-{_code_digest()}.jsonl"
    tried = dict(map(json.loads, memory.read_text().splitlines())) if memory.exists() else {}
    servers: SimpleQueue[Server] = SimpleQueue()
    pool = ThreadPoolExecutor(arguments.processes)
    started = [Server().__enter__() for _ in range(arguments.processes)]
    try:
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            reference = Reference.of(Project.create(Path(folder) / "project"), started[0])
        for server in started:
            servers.put(server)

        def attempt(point: Point) -> tuple[str, list[str]]:
            server = servers.get()
            try:
                return str(point), try_point(point, reference, server)
            finally:
                servers.put(server)

        points = sample(reference.points, arguments.points or len(reference.points))
        names = set(map(str, points))
        tried = {name: failures for name, failures in tried.items() if name in names}
        with tqdm(total=len(points), initial=len(tried), unit="point", desc="torture") as bar, memory.open("a") as file:
            for attempted in as_completed([pool.submit(attempt, point) for point in points if str(point) not in tried]):
                name, failures = attempted.result()
                tried[name] = failures
                print(json.dumps([name, failures]), file=file, flush=True)
                bar.update()
                for failure in failures[:SHOWN]:
                    bar.write(f"{name}: {failure}")
    except KeyboardInterrupt:
        print("torture: stopped; the same command goes on", file=sys.stderr)
        return 130
    finally:
        pool.shutdown(cancel_futures=True)
        for server in started:
            server.__exit__()
    good = sum(not failures for failures in tried.values())
    print(f"torture: {len(tried)} kill points tried, {good} ended as the undisturbed run")
    return int(good < len(tried))
