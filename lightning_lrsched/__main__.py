"""``python -m lightning_lrsched list`` and ``preview NAME --epochs N ...``: the curves in a terminal."""

from __future__ import annotations

import inspect
import math
import re
import signal
import sys
from argparse import ArgumentError
from csv import writer
from difflib import get_close_matches
from io import StringIO
from itertools import pairwise, takewhile
from string import ascii_lowercase
from typing import Any

import lightning_lrsched

from .fit.lightning import MisconfigurationException
from .formula.arguments import parameters
from .formula.decisions import title
from .formula.pictures import Curve, draw
from .schedule import LRSchedule

HINT = 'the command line needs jsonargparse and plotext: pip install "jsonargparse[signatures]" plotext'
RUN = ("epochs", "steps_per_epoch", "batch_size", "seconds", "base_lr", "png", "csv")

WIDTH, HEIGHT = 80, 18
MOST_ROWS = 16


def schedules() -> dict[str, type[LRSchedule]]:
    public = {name: getattr(lightning_lrsched, name) for name in sorted(lightning_lrsched.__all__, key=str.lower)}
    return {k: v for k, v in public.items() if inspect.isclass(v) and issubclass(v, LRSchedule) and v is not LRSchedule}


def summary(schedule: type[LRSchedule]) -> str:
    return (inspect.getdoc(schedule) or "").partition("\n")[0].replace("``", "")


def make_parser(arguments: list[str]) -> Any:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        prog="python -m lightning_lrsched",
        description="Learning-rate schedules, seen before the run.",
        exit_on_error=False,
    )
    commands = parser.add_subcommands()
    commands.add_subcommand("list", ArgumentParser(exit_on_error=False), help="Every schedule, one line each.")
    preview = ArgumentParser(exit_on_error=False)
    commands.add_subcommand("preview", preview, help="The curve of one schedule in a run, and its turning points.")
    names = preview.add_subcommands(dest="schedule", metavar="SCHEDULE")
    for name, schedule in schedules().items():
        one = ArgumentParser(exit_on_error=False)
        if name in arguments:  # each takes its time
            run = one.add_argument_group("The run")
            run.add_argument("--epochs", type=int | None, help="Epochs of the run. None: as the curve needs.")
            run.add_argument("--steps_per_epoch", type=int | None, default=100, help="Optimizer updates an epoch.")
            if "batch_size" not in parameters(schedule):
                run.add_argument("--batch_size", type=int | None, help="Samples of one update.")
            run.add_argument("--seconds", type=int | None, help="Seconds of the run, with --interval=second.")
            run.add_argument("--base_lr", type=float, default=1.0, help="The LR that the optimizer is made with.")
            run.add_argument("--png", type=str | None, metavar="FILE", help="Draw the curve into this file.")
            run.add_argument("--csv", type=str | None, metavar="FILE", help="Write every value here; - prints them.")
            one.add_class_arguments(schedule)
            one.set_defaults({k: p.default for k, p in parameters(schedule).items() if p.default is not p.empty})
        names.add_subcommand(name, one, help=summary(schedule))
    return parser


def list_schedules() -> str:
    width = max(map(len, schedules()))
    return "\n".join(f"{name:{width}}  {summary(schedule)}" for name, schedule in schedules().items())


def refuse_unknown(name: str) -> None:
    """A name that is no schedule's is told with the one that it resembles."""
    known = schedules()
    if name in known:
        return
    near = [each for each in known if each.lower().startswith(name.lower())]
    near = near or get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "'list' names them all."
    raise ValueError(f"there is no schedule {name!r}. {hint}")


def preview(
    schedule: LRSchedule,
    steps_per_epoch: int | None,
    base_lr: float,
    png: str | None,
    csv: str | None,
    **run: int | None,
) -> str:
    lrs = schedule.preview(run.pop("epochs"), steps_per_epoch, base_lr=base_lr, **run)
    curve, axis = schedule.curve(repr(schedule), lrs, steps_per_epoch), schedule.axis(steps_per_epoch)
    points: list[tuple[float, ...]]
    if schedule.counts != "step" or axis == "step":
        head, points = [axis], list(enumerate(lrs))
    else:
        head, points = ["step", "epoch"], list(zip(range(len(lrs)), curve.x, lrs, strict=True))
    head.append(title(schedule.numbers[0]))
    if csv == "-":  # the numbers and nothing else
        text = StringIO()
        writer(text, lineterminator="\n").writerows([head, *points])
        return text.getvalue().rstrip()
    if csv is not None:
        with open(csv, "w", newline="") as file:
            writer(file).writerows([head, *points])
    if png is not None:
        draw([curve], axis, title(schedule.numbers[0]))[0].savefig(png, format="png")
    rows = [[f"{number:.6g}" for number in points[t]] for t in turning_points(lrs)]
    if len(rows) > MOST_ROWS:
        rows[MOST_ROWS // 2 : -MOST_ROWS // 2] = [["..."] * len(head)]
    return f"{curve.label}\n{chart([curve], axis)}\n{table([head, *rows])}"


def overlay(schedules: list[LRSchedule], runs: list[dict[str, Any]]) -> str:
    """Several schedules in one chart, each drawn by a letter, over the longest of their runs."""
    if any(run["png"] or run["csv"] for run in runs):
        raise ValueError("--png and --csv are for one schedule; lightning_lrsched.plot_schedules draws several.")

    def curves(epochs: int | None) -> list[Curve]:
        found = []
        for schedule, run in zip(schedules, runs, strict=True):
            batch_size, seconds = run.get("batch_size"), run["seconds"]  # some have a batch size of their own
            given = (epochs or run["epochs"], run["steps_per_epoch"], run["base_lr"])
            found += schedule.curves(*given, batch_size=batch_size, seconds=seconds)
        return found

    drawn = curves(math.ceil(max(curve.x[-1] for curve in curves(None))))
    axes = dict.fromkeys(s.axis(run["steps_per_epoch"]) for s, run in zip(schedules, runs, strict=True))
    legend = [f"{letter}  {curve.label}" for letter, curve in zip(ascii_lowercase, drawn, strict=False)]
    return "\n".join([*legend, chart(drawn, ", ".join(axes))])


def turning_points(lrs: list[float]) -> list[int]:
    """Where the LR starts, ends, or begins to rise, to fall or to stay.

    A jump from one level to another is one point, the first on the new level.

    >>> turning_points([0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.5])
    [0, 2, 5, 6]
    """
    way = [(b > a) - (b < a) for a, b in pairwise(lrs)]
    turns = [i for i in range(1, len(way)) if way[i - 1] != way[i]]
    edges = {i for i in turns if way[i - 1] == 0 and (i + 1 == len(way) or way[i + 1] == 0)}
    return [0, *(i for i in turns if i not in edges), *([len(lrs) - 1] if len(lrs) > 1 else [])]


def table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def chart(curves: list[Curve], axis: str) -> str:
    from plotext import figure

    figure.clear()
    figure.plot_size(WIDTH, HEIGHT)
    figure.theme("colorless")
    for letter, curve in zip(ascii_lowercase, curves, strict=False):
        shown = thinned(curve, 2 * WIDTH)
        marker = letter if len(curves) > 1 else "braille"
        figure.draw(figure.signal(shown.x, shown.y, marker=marker).lines())
    figure.ruler("y").lim(0.0, max(max(curve.y) for curve in curves) or 1.0)
    end = math.ceil(max(curve.x[-1] for curve in curves)) or 1
    figure.ruler("x").ticks(list(range(0, end + 1, -(-end // 5))))
    figure.label(axis)
    return str(figure.build().string(colorless=True)).rstrip()


def thinned(curve: Curve, parts: int) -> Curve:
    """The ends, the lowest and the highest point of so many parts: what a chart of this width can show."""
    points, size = range(len(curve.y)), len(curve.y) // parts + 1
    kept: list[int] = []
    for part in (points[start : start + size] for start in points[::size]):
        kept += sorted({part[0], min(part, key=curve.y.__getitem__), max(part, key=curve.y.__getitem__), part[-1]})
    return Curve(curve.label, [curve.x[i] for i in kept], [curve.y[i] for i in kept])


def answer(arguments: list[str]) -> str:
    """What the command with these arguments prints."""
    if arguments == ["list"]:  # needs no extra
        return list_schedules()
    for name in takewhile(lambda each: not each.startswith("-"), arguments[1:]):
        refuse_unknown(name)
    # --base-lr is as good as --base_lr
    given = [re.sub(r"^--[\w-]+", lambda name: "--" + name[0][2:].replace("-", "_"), each) for each in arguments]
    names = list(takewhile(lambda each: not each.startswith("-"), given[1:]))
    if len(names) < 2:
        schedule, run = made(given)
        return preview(schedule, **run)
    options = given[1 + len(names) :]
    each = [made(["preview", name, *taken(options, name, names)]) for name in names]
    return overlay([schedule for schedule, _ in each], [run for _, run in each])


def made(arguments: list[str]) -> tuple[LRSchedule, dict[str, Any]]:
    """The schedule, and what is asked of its run."""
    parser = make_parser(arguments)
    asked = parser.instantiate(parser.parse_args(arguments))
    name = asked.preview.schedule
    values = asked.preview[name].as_dict()
    run = {argument: values.pop(argument) for argument in RUN if argument in values}
    return schedules()[name](**values), run


def taken(options: list[str], name: str, names: list[str]) -> list[str]:
    """Those that this one of several schedules has, or none of them."""
    known = {each: {*RUN, *parameters(schedules()[each])} for each in names}
    kept, keep = [], True
    for option in options:
        if option.startswith("--"):
            key = option[2:].partition("=")[0]
            keep = key in known[name] or all(key not in each for each in known.values())
        kept += [option] if keep else []
    return kept


def main(arguments: list[str]) -> int:
    try:
        print(answer(arguments))
    except (ArgumentError, ValueError, TypeError, ImportError, OSError, MisconfigurationException) as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name in ("jsonargparse", "plotext")
        line = HINT if missing else " ".join(str(error).split())
        # jsonargparse tells an argument's whole path
        print("error: " + re.sub(r"preview\.\w+\.", "--", line), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # ends quietly where a pipe ends, as in "| head"
    sys.exit(main(sys.argv[1:]))
