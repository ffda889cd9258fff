"""What the comparisons share: runs that are trained once and kept, each setting's best LR, paired figures."""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import signal
import statistics
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

import torch
from matplotlib.figure import Figure
from tqdm import tqdm


class Figures(Protocol):
    """What came of a run: a NamedTuple of what JSON knows."""

    @property
    def loss(self) -> float: ...
    @property
    def losses(self) -> list[float]: ...
    @property
    def lrs(self) -> list[float]: ...


class Trained(Protocol):
    """A setting: a NamedTuple of what JSON knows."""

    @property
    def optimizer(self) -> str: ...
    @property
    def base(self) -> Any:
        """The setting whose best LR it takes, itself or another."""

    @property
    def times(self) -> float | None:
        """That LR times this."""


S = TypeVar("S", bound=Trained)
R = TypeVar("R", bound=Figures)
Job: TypeAlias = tuple[S, float, int]  # a setting with its LR and its seed


class Lab(Generic[S, R]):
    """Trains each job once, several at a time, and keeps what came of it in a file: what was cut off goes on there.

    Args:
        train: Trains a job.
        result: What it returns.
        file: JSON lines, one for each run.
        workers: Processes.
    """

    def __init__(self, train: Callable[[S, float, int], R], result: type[R], file: Path, workers: int) -> None:
        self.train, self.result, self.file = train, result, file
        self.pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        self.found: dict[str, list[Any]] = dict(json.loads(line) for line in file.read_text().splitlines())

    def __enter__(self) -> Lab[S, R]:
        self.handler = signal.signal(signal.SIGTERM, signal.default_int_handler)  # else the workers would stay
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)
        signal.signal(signal.SIGTERM, self.handler)

    def __call__(self, jobs: Iterable[Job[S]]) -> dict[Job[S], R]:
        wanted = {json.dumps(job): job for job in jobs}
        missing = {self.pool.submit(self.train, *job): key for key, job in wanted.items() if key not in self.found}
        with self.file.open("a") as file:
            for future in tqdm(as_completed(missing), total=len(missing), unit="run"):
                key, result = missing[future], future.result()
                self.found[key] = list(result)  # type: ignore[call-overload]
                print(json.dumps([key, result]), file=file, flush=True)
        return {job: self.result(*self.found[key]) for key, job in wanted.items()}

    def best_lrs(self, starts: dict[S, float], factor: float, seeds: Iterable[int]) -> dict[S, float]:
        """Each setting's LR of a ladder, rungs a factor apart, climbed from a start until both neighbours are worse.

        Worse is a higher median loss over these seeds.
        """

        def lr(setting: S, rung: int) -> float:
            return float(f"{starts[setting] * factor**rung:.2g}")

        rungs = {setting: {-1, 0, 1} for setting in starts}
        while True:
            jobs = {(s, rung): [(s, lr(s, rung), seed) for seed in seeds] for s in starts for rung in sorted(rungs[s])}
            found = self(job for row in jobs.values() for job in row)
            losses = {key: statistics.median(found[job].loss for job in row) for key, row in jobs.items()}
            best = {s: min((losses[s, rung], rung) for rung in rungs[s])[1] for s in starts}
            if all({rung - 1, rung + 1} <= rungs[s] for s, rung in best.items()):
                return {s: lr(s, rung) for s, rung in best.items()}
            for s, rung in best.items():
                rungs[s] |= {rung - 1, rung + 1}

    def compare(
        self, settings: Iterable[S], starts: dict[str, float], factor: float, tuning: Sequence[int], seeds: int
    ) -> tuple[dict[S, float], dict[S, list[R]]]:
        """Each setting's LR, and what came of it on each seed; ``starts`` are the LRs to begin the ladders with."""
        distinct = [*dict.fromkeys(settings)]
        best = self.best_lrs({s.base: starts[s.optimizer] for s in distinct}, factor, tuning)
        lrs = {s: best[s.base] * (s.times or 1.0) for s in distinct}
        found = self((s, lrs[s], seed) for seed in range(seeds) for s in distinct)  # a cut costs whole seeds
        return lrs, {s: [found[s, lrs[s], seed] for seed in range(seeds)] for s in distinct}


def quiet() -> None:
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for advice in (".*LeafSpec", "The '.*' does not have many workers", "The number of training batches"):
        warnings.filterwarnings("ignore", advice)


def spread(figures: Sequence[float], form: str) -> str:
    return f"{statistics.median(figures):{form}} ({min(figures):{form}} to {max(figures):{form}})"


def enough(pairs: int) -> int | None:
    """Of so many pairs, the wins that chance brings, or as many losses, at most 5 times in 100; None: not even all."""
    tail = 0
    for wins in range(pairs, -1, -1):
        tail += 2 * math.comb(pairs, wins)
        if tail > 0.05 * 2**pairs:
            return wins + 1 if wins < pairs else None
    raise AssertionError("all outcomes together are more than 5 in 100")


class Paired(NamedTuple):
    """A figure of two settings on the same seeds, of which less is better."""

    side: list[float]
    other: list[float]

    @property
    def wins(self) -> float:
        return sum(1.0 if a < b else 0.5 if a == b else 0.0 for a, b in zip(self.side, self.other, strict=True))

    @property
    def differences(self) -> list[float]:
        return [0.0 if a == b else a - b for a, b in zip(self.side, self.other, strict=True)]

    @property
    def verdict(self) -> str:
        """By the exact sign test."""
        pairs, needed = len(self.side), enough(len(self.side))
        if needed is not None and self.wins >= needed:
            return "holds"
        return "the reverse" if needed is not None and pairs - self.wins >= needed else "undecided"

    @property
    def score(self) -> str:
        return f"{self.wins:g} of {len(self.side)}"


class Outcome(NamedTuple):
    """What came of a claim."""

    text: str
    figure: str
    paired: Paired

    def __str__(self) -> str:
        form = "g" if self.figure == "epochs" else ".3f"
        side, other = (f"{statistics.median(figures):{form}}" for figures in self.paired)
        return f"{self.paired.verdict}; {self.figure} {side} against {other}, better in {self.paired.score}"


class Claim(NamedTuple):
    """That one setting is better than another by a figure of which less is better, or gains more over its base."""

    text: str
    side: Any
    other: Any
    figure: str = "loss"
    side_base: Any = None
    other_base: Any = None

    @property
    def settings(self) -> list[Any]:
        return [each for each in (self.side, self.other, self.side_base, self.other_base) if each is not None]

    def outcome(self, results: dict[Any, list[Any]]) -> Outcome:
        def figures(setting: Any, base: Any) -> list[float]:
            found = [getattr(result, self.figure) for result in results[setting]]
            bases = [0.0] * len(found) if base is None else [getattr(result, self.figure) for result in results[base]]
            return [one - of for one, of in zip(found, bases, strict=True)]

        paired = Paired(figures(self.side, self.side_base), figures(self.other, self.other_base))
        return Outcome(self.text, self.figure if self.side_base is None else f"change of {self.figure}", paired)


class Column(NamedTuple):
    """A figure in a table: its header, its format, its width, and whether the range is told beside the median."""

    header: str
    form: str
    width: int
    ranged: bool = True

    def cell(self, figures: Sequence[float]) -> str:
        told = spread(figures, self.form) if self.ranged else f"{statistics.median(figures):{self.form}}"
        return f"{told:<{self.width}}"


class Summary(NamedTuple):
    """What a comparison is told by, small enough to keep.

    The tables' rows hold a base LR and, for each column, a figure of each seed. One column is judged: each row's is
    compared with that of the first row, the constant LR, seed by seed.
    """

    columns: list[Column]
    judged: str
    tables: dict[str, dict[str, tuple[float, dict[str, list[float]]]]]
    claims: list[Outcome]

    def save(self, file: Path) -> None:
        short = json.loads(json.dumps(self), parse_float=lambda figure: round(float(figure), 5))
        file.write_text(json.dumps(short) + "\n")

    @classmethod
    def load(cls, file: Path) -> Summary:
        columns, judged, tables, claims = json.loads(file.read_text())
        kept = [Outcome(text, figure, Paired(*paired)) for text, figure, paired in claims]
        return cls([Column(*column) for column in columns], judged, tables, kept)

    def lines(self, title: str) -> list[str]:
        """A table: a row for each schedule."""
        rows = self.tables[title]
        _, constant = next(iter(rows.values()))
        form = next(column.form for column in self.columns if column.header == self.judged)
        headers = "".join(f"{column.header:<{column.width}}" for column in self.columns)
        lines = [f"{title:<19}{'base LR':<9}{headers}{'minus constant':<28}better"]
        for name, (lr, figures) in rows.items():
            cells = "".join(column.cell(figures[column.header]) for column in self.columns)
            paired = Paired(figures[self.judged], constant[self.judged])
            said = f"{spread(paired.differences, '+' + form):<28}{paired.score}" + " *" * (
                paired.verdict != "undecided"
            )
            lines.append(f"{name:<19}{lr:<9g}{cells}{said if figures is not constant else '-'}")
        return lines

    def told(self) -> list[str]:
        """All tables, and all claims."""
        tables = [line for title in self.tables for line in ["", *self.lines(title)]]
        return [*tables, "", *(f"{claim.text}:\n    {claim}" for claim in self.claims)]


def picture(results: Mapping[str, Figures], title: str, file: Path) -> None:
    """Each schedule's loss and LR beside the constant one's."""
    constant, rows = results["Constant"], -(-len(results) // 5)
    figure = Figure(figsize=(16, 3 * rows), layout="constrained")
    panels = figure.subplots(rows, 5, sharey=True, squeeze=False).flat
    for (name, result), ax in zip(results.items(), panels, strict=False):
        ax.semilogy(constant.losses, color="0.7", label="loss, constant LR")
        ax.semilogy(result.losses, label="loss")
        ax.set_title(name, fontsize=10)
        lr = ax.twinx()
        lr.plot(result.lrs, color="tab:orange", linewidth=1, label="LR")
        lr.set_ylim(bottom=0.0)
    for unused in panels:
        unused.set_axis_off()
    figure.legend(handles=[*ax.get_lines(), *lr.get_lines()], loc="outside lower center", ncols=3)
    figure.suptitle(title)
    figure.savefig(file)
