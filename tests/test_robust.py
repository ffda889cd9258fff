"""What used to crash a run or to be refused for no reason, and what used to be accepted in silence."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import SingleDeviceStrategy
from models import Recorder, lrs_of_fit, saver, trainer
from test_changed_pace import cosine, resumed
from test_memory import Breaks, Metrics, fp16
from test_reactive import TwoOptimizers
from torch.optim import lr_scheduler

from lightning_lrsched import (
    BackOffOnSpike,
    Constant,
    CooldownOnPlateau,
    CosineAnnealing,
    CyclicalLR,
    Keyframes,
    LRSchedule,
    MultiStepDecay,
    OneCycle,
    ProductSchedule,
    ReduceOnPlateau,
    SequentialSchedule,
    StepDecay,
)


def halving(**kw: Any) -> StepDecay:
    return StepDecay(1, 0.5, interval="step", **kw)


def halvings(n: int, first: float = 1.0) -> list[float]:
    return [first * 0.5**t for t in range(n)]


# ---- the momentum of OneCycle in an open window


def test_one_cycle_resumed_inside_a_window_logs_its_momentum(tmp_path: Path) -> None:
    """4 updates of 2 batches, stopped after batch 2: from 0.25 to 1 and back, the momentum against it."""

    def run(kind: type[Recorder], ckpt: int | None = None) -> Recorder:
        model = kind(lambda params: torch.optim.SGD(params, lr=1.0, momentum=0.9), batches=8)
        shape: dict[str, Any] = {"shape": "linear", "pct_start": 0.5, "div_factor": 4.0, "final_div_factor": 1.0}
        schedule = OneCycle(interval="step", momentum=(0.5, 0.75), **shape)
        run: dict[str, Any] = {"max_epochs": 1, "accumulate_grad_batches": 2, "log_every_n_steps": 1}
        logger = TensorBoardLogger(tmp_path, name="", version="run")
        resumed(tmp_path, ckpt, schedule, model=model, keep="on_exception", plugins=[fp16()], logger=logger, **run)
        return model

    full = run(Recorder)
    assert full.used == [0.25, 0.625, 1.0, 0.625]
    assert full.first_momenta == [0.75, 0.625, 0.5, 0.625]
    with pytest.raises(RuntimeError, match="the power went out"):
        run(Breaks)
    tail = run(Recorder, ckpt=1)
    assert tail.used == full.used[1:]
    assert tail.first_momenta == full.first_momenta[1:]


# ---- arguments of one's own schedules


class Factors(LRSchedule):
    def __init__(self, factors: Any, **common: Any) -> None:
        super().__init__(**common)
        self.factors = factors

    def lr_at(self, t: int, base_lr: float) -> float:
        return base_lr * float(self.factors[min(t, len(self.factors) - 1)])


def test_a_numpy_array_is_an_argument_like_another(tmp_path: Path) -> None:
    def run(ckpt: int | None, last: float) -> Any:
        schedule = Factors(np.array([1.0, 0.5, 0.25, last]), interval="step")
        model = Recorder(batches=2)
        return resumed(tmp_path, ckpt, schedule, model=model, keep="on_train_epoch_end", max_epochs=2)

    assert run(None, 0.125).used == [1.0, 0.5, 0.25, 0.125]
    torch.load(tmp_path / "2.ckpt", weights_only=True)
    same = run(2, 0.125)
    assert same.used == [0.25, 0.125]
    assert same.told == []
    other = run(2, 0.0625)
    assert other.used == [0.25, 0.0625]
    assert len([text for text in other.told if "changed since the checkpoint" in text and "factors" in text]) == 1
    assert repr(Factors(np.array([1.0]))).startswith("Factors(factors=")


class Chosen(LRSchedule):
    """Its argument is a function, or several."""

    def __init__(self, functions: Any, **common: Any) -> None:
        super().__init__(**common)
        self.functions = functions

    def lr_at(self, t: int, base_lr: float) -> float:
        functions = list(self.functions.values()) if isinstance(self.functions, dict) else self.functions
        value: float = functions[t % len(functions)](base_lr)
        return value


def functions() -> list[Any]:
    """Others each time, under the same names, as another process has them."""

    def all_of_it(base: float) -> float:
        return base

    def half_of_it(base: float) -> float:
        return base / 2

    return [all_of_it, half_of_it]


COLLECTIONS: dict[str, Any] = {
    "list": functions,
    "tuple": lambda: tuple(functions()),
    "dict": lambda: dict(zip("ab", functions(), strict=True)),
    "list of partials": lambda: [partial(function) for function in functions()],
}


@pytest.mark.parametrize("collection", COLLECTIONS.values(), ids=COLLECTIONS)
def test_functions_in_a_collection_are_the_same_in_every_process(collection: Any, tmp_path: Path) -> None:
    first, second = Chosen(collection(), interval="step"), Chosen(collection(), interval="step")
    resumed(tmp_path, None, first, model=Recorder(batches=2), keep="on_train_epoch_end", max_epochs=1)
    process = resumed(tmp_path, 2, second, model=Recorder(batches=2), max_epochs=2)
    assert process.used == [1.0, 0.5]
    assert process.told == []


class Plain(LRSchedule):
    """A constructor that takes nothing."""

    def __init__(self) -> None:
        super().__init__(interval="step")

    def lr_at(self, t: int, base_lr: float) -> float:
        return base_lr * 0.5**t


def test_a_constructor_without_common_arguments_resumes(tmp_path: Path) -> None:
    full = lrs_of_fit(tmp_path, Plain(), saver(tmp_path), model=Recorder(batches=2), max_epochs=2)
    assert full == halvings(4)
    for step in (1, 2, 3):
        model = Recorder(batches=2)
        trainer(tmp_path, Plain(), max_epochs=2).fit(model, ckpt_path=tmp_path / f"{step}.ckpt")
        assert model.used == full[step:], step


# ---- numbers of numpy


class Own(LRSchedule):
    """Takes its arguments as they come."""

    periods = ("every",)

    def __init__(self, every: Any, gamma: Any, **common: Any) -> None:
        super().__init__(**common)
        self.every, self.gamma = every, gamma

    def lr_at(self, t: int, base_lr: float) -> float:
        return base_lr * self.gamma ** (t // self.length("every"))


class OwnList(LRSchedule):
    """So does this one, a list of durations."""

    durations = ("marks",)

    def __init__(self, marks: Any, **common: Any) -> None:
        super().__init__(**common)
        self.marks = marks

    def lr_at(self, t: int, base_lr: float) -> float:
        return base_lr * 0.5 ** sum(mark <= t for mark in self.lengths("marks"))


# red before issue 12: the schedules that take their arguments as they come; the others are controls
NUMPY: dict[str, tuple[Any, list[float]]] = {
    "one's own": (lambda: Own(np.int64(2), np.float64(0.5), interval="step"), [1.0, 1.0, 0.5, 0.5]),
    "one's own list": (lambda: OwnList((np.int64(1), np.int32(3)), interval="step"), [1.0, 0.5, 0.5, 0.25]),
    "a step": (
        lambda: StepDecay(np.int64(1), np.float32(0.5), interval="step", warmup=np.int64(1)),
        [0.5, 1.0, 0.5, 0.25],
    ),
    "milestones": (
        lambda: MultiStepDecay([np.int64(1), np.int64(2)], [np.float64(0.5)] * 2, interval="step"),
        [1.0, 0.5, 0.25, 0.25],
    ),
    "keyframes": (
        lambda: Keyframes([np.int64(0), np.int64(4)], [np.float64(1.0), np.float32(0.0)], interval="step"),
        [1.0, 0.75, 0.5, 0.25],
    ),
    "a cycle": (
        lambda: CyclicalLR(np.float64(0.5), np.float64(1.0), step_size=np.int64(2), interval="step"),
        [0.5, 0.75, 1.0, 0.75],
    ),
    "groups": (lambda: halving(optimizer=np.int64(0), param_groups=[np.int64(0)]), [1.0, 0.5, 0.25, 0.125]),
}


@pytest.mark.parametrize(("make", "lrs"), NUMPY.values(), ids=NUMPY)
def test_numpy_numbers_are_numbers_and_leave_a_checkpoint_primitive(make: Any, lrs: Any, tmp_path: Path) -> None:
    used = lrs_of_fit(tmp_path, make(), saver(tmp_path), model=Recorder(batches=4), max_epochs=1)
    assert used == lrs
    torch.load(tmp_path / "2.ckpt", weights_only=True)
    process = resumed(tmp_path, 2, make(), model=Recorder(batches=4), max_epochs=1)
    assert process.used == lrs[2:]
    assert process.told == []


@pytest.mark.parametrize(
    "lr",
    [np.float32(0.5), np.float64(0.5), np.float16(0.5), np.int64(1)],  # float64 is a control, green before issue 12
    ids=["float32", "float64", "float16", "int64"],
)
def test_an_lr_of_numpy_is_a_number(lr: Any, tmp_path: Path) -> None:
    def model() -> Recorder:
        return Recorder(lambda params: torch.optim.SGD(params, lr=lr), batches=4)

    used = lrs_of_fit(tmp_path, halving(), saver(tmp_path), model=model(), max_epochs=1)
    assert used == halvings(4, float(lr))
    torch.load(tmp_path / "2.ckpt", weights_only=True)
    assert resumed(tmp_path, 2, halving(), model=model(), max_epochs=1).used == used[2:]


# ---- schedulers that are taken off


class TimmLike:
    """As timm's: no ``get_last_lr``, and a warmup's LR in the groups from the first moment on."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
            group["lr"] = 0.001

    def step(self, epoch: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = 0.002 * epoch

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass


class Timm(Recorder):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=1.0)
        return [optimizer], [{"scheduler": TimmLike(optimizer), "interval": "epoch"}]

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        scheduler.step(epoch=self.current_epoch)


def test_a_scheduler_without_get_last_lr_is_taken_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def run(*callbacks: Any, ckpt_path: Path | None = None) -> list[Any]:
        model = Timm(batches=2)
        trainer(tmp_path, halving(replace_scheduler=True), *callbacks, max_epochs=2).fit(model, ckpt_path=ckpt_path)
        return model.used

    full = run(saver(tmp_path))
    assert full == halvings(4)
    assert "StepDecay: took TimmLike off for this fit." in caplog.messages
    assert run(ckpt_path=tmp_path / "3.ckpt") == full[3:]


def test_a_scheduler_without_get_last_lr_is_refused_by_name_like_others(tmp_path: Path) -> None:
    """A control, green before issue 12."""
    with pytest.raises(MisconfigurationException, match="attached TimmLike to SGD"):
        trainer(tmp_path, halving(), max_epochs=1).fit(Timm())


@pytest.mark.parametrize("asks", [(False, True), (True, False)], ids=["the second", "the first (a control)"])
def test_one_schedule_that_replaces_the_scheduler_is_enough(asks: tuple[bool, bool], tmp_path: Path) -> None:
    """In either order."""

    class Split(Recorder):
        def configure_optimizers(self) -> Any:
            weight, bias = self.parameters()
            optimizer = torch.optim.SGD([{"params": [weight]}, {"params": [bias]}], lr=1.0)
            return [optimizer], [lr_scheduler.LinearLR(optimizer, 0.1)]

    model = Split(batches=2)
    schedules = [halving(param_groups=group, replace_scheduler=ask) for group, ask in enumerate(asks)]
    trainer(tmp_path, *schedules, max_epochs=1).fit(model)
    assert model.used == [[1.0, 1.0], [0.5, 0.5]]


def adamw(params: Any) -> Any:
    return torch.optim.AdamW(params, lr=0.5, betas=(0.8, 0.99))


def momentum(params: Any) -> Any:
    return torch.optim.SGD(params, lr=0.5, momentum=0.7)


TRACES: dict[str, tuple[Any, Any, Any]] = {
    "OneCycleLR, AdamW": (adamw, lambda o: lr_scheduler.OneCycleLR(o, 2.0, total_steps=20), (0.8, 0.99)),
    "OneCycleLR, SGD": (momentum, lambda o: lr_scheduler.OneCycleLR(o, 2.0, total_steps=20), 0.7),
    "CyclicLR, AdamW": (adamw, lambda o: lr_scheduler.CyclicLR(o, 0.01, 2.0), (0.8, 0.99)),
    "CyclicLR, SGD": (momentum, lambda o: lr_scheduler.CyclicLR(o, 0.01, 2.0), 0.7),
}


@pytest.mark.parametrize(("configure", "scheduler", "beta"), TRACES.values(), ids=TRACES)
def test_a_scheduler_that_is_taken_off_leaves_no_trace(
    configure: Any, scheduler: Any, beta: Any, tmp_path: Path
) -> None:
    """It had overwritten the LR, and the betas or the momentum, as soon as it was made."""

    def both(params: Any) -> Any:
        optimizer = configure(params)
        return [optimizer], [{"scheduler": scheduler(optimizer), "interval": "step"}]

    model = Recorder(both, batches=3)
    trainer(tmp_path, halving(replace_scheduler=True), max_epochs=1).fit(model)
    assert model.used == halvings(3, 0.5)
    assert model.first_momenta == [beta] * 3


# ---- groups that go


class Deletes(Recorder):
    """Of its two groups, ``w`` and ``b``, the second is deleted when epoch 2 starts."""

    def configure_optimizers(self) -> Any:
        weight, bias = self.parameters()
        return torch.optim.SGD([{"params": [weight], "name": "w"}, {"params": [bias], "name": "b"}], lr=1.0)

    def on_train_epoch_start(self) -> None:
        if self.trainer.current_epoch == 2:
            del self.trainer.optimizers[0].param_groups[1]


@pytest.mark.parametrize(
    ("groups", "lrs"),
    [
        ("b", [[1.0, 1.0], [1.0, 0.5], 1.0, 1.0]),
        (1, [[1.0, 1.0], [1.0, 0.5], 1.0, 1.0]),
        (["w", "b"], [[1.0, 1.0], [0.5, 0.5], 0.25, 0.125]),
        ("w", [[1.0, 1.0], [0.5, 1.0], 0.25, 0.125]),
    ],
)
@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_a_group_that_a_schedule_names_may_be_deleted(groups: Any, lrs: Any, interval: Any, tmp_path: Path) -> None:
    """``w`` alone is a control, green before issue 12."""
    schedule = StepDecay(1, 0.5, interval=interval, param_groups=groups)
    assert lrs_of_fit(tmp_path, schedule, model=Deletes(batches=1), max_epochs=4) == lrs


# ---- strategies that accumulate by themselves


@pytest.mark.parametrize(("batches", "accumulate", "updates"), [(7, 3, 2), (8, 3, 2), (6, 3, 2)])
def test_the_last_short_window_of_a_strategy_that_accumulates_makes_no_update(
    batches: int, accumulate: int, updates: int, tmp_path: Path
) -> None:
    """6 batches, whose windows are all full, are a control, green before issue 12."""

    class Accumulates(SingleDeviceStrategy):
        @property
        def handles_gradient_accumulation(self) -> bool:
            return True

    class Steps(Recorder):
        """Does what such a strategy does: a step that is none, inside a window."""

        def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
            if (batch_idx + 1) % accumulate:
                optimizer_closure()
            else:
                super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)

    model = Steps(batches=batches)
    strategy = Accumulates(device=torch.device("cpu"))
    run: dict[str, Any] = {"max_epochs": 2, "accumulate_grad_batches": accumulate, "strategy": strategy}
    fit = trainer(tmp_path, CosineAnnealing(interval="step"), **run)
    fit.fit(model)
    total = 2 * updates
    assert model.used == pytest.approx([cosine(t / total) for t in range(total)])
    assert fit.optimizers[0].param_groups[0]["lr"] == 0.0


# ---- what is said


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a product"])
def test_a_metric_that_never_came_because_no_validation_did_is_told(inside: bool, tmp_path: Path) -> None:
    plateau = ReduceOnPlateau("typo")
    schedule = ProductSchedule([Constant(), plateau]) if inside else plateau
    model = Recorder(batches=2, val_batches=1)
    with pytest.warns(UserWarning, match="'typo'") as told:
        trainer(tmp_path, schedule, max_epochs=2, check_val_every_n_epoch=10).fit(model)
    assert model.used == [1.0] * 4
    (text,) = [str(w.message) for w in told if "'typo'" in str(w.message)]
    assert "lr-SGD" in text
    assert "train_loss" in text


def test_a_metric_that_came_is_not_told(tmp_path: Path) -> None:
    """A control, green before issue 12: warnings are errors here."""
    assert lrs_of_fit(tmp_path, ReduceOnPlateau("flat"), model=Metrics(), max_epochs=2) == [1.0, 1.0]


WHOLES: dict[str, tuple[Any, Any]] = {
    "a cooldown": (
        lambda **kw: SequentialSchedule(
            [Constant(interval="step"), CooldownOnPlateau(2, interval="step")], [1], interval="step", **kw
        ),
        "SequentialSchedule",
    ),
    "a guard": (
        lambda **kw: ProductSchedule(
            [Constant(interval="step"), BackOffOnSpike("grad_norm", interval="step")], interval="step", **kw
        ),
        "ProductSchedule",
    ),
}


@pytest.mark.filterwarnings("ignore:.* The fit ends without a single value of it")
@pytest.mark.parametrize(("make", "whole"), WHOLES.values(), ids=WHOLES)
def test_a_refusal_inside_a_composite_names_the_whole_that_can_be_changed(
    make: Any, whole: str, tmp_path: Path
) -> None:
    with pytest.raises(MisconfigurationException, match="optimizer=<index>") as refused:
        trainer(tmp_path, make(), max_epochs=1).fit(TwoOptimizers())
    assert whole in str(refused.value)

    class Steps(TwoOptimizers):
        def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
            first: Any = self.optimizers()[0]  # type: ignore[index]
            first.zero_grad()
            self.manual_backward(self.layer(batch).sum() * 1e-3)
            self.used.append(first.param_groups[0]["lr"])
            first.step()

    model = Steps()
    trainer(tmp_path, make(optimizer=0), max_epochs=1).fit(model)  # what the refusal advises
    assert model.used == [1.0] * 7


class Mine(StepDecay):
    """A class of one's own, without a constructor."""


WRONG: list[tuple[Any, str]] = [
    (
        lambda: CosineAnnealing(min_delta=0.1),
        "CosineAnnealing: no argument 'min_delta'. It takes t_max, power, k_decay, eta_min, ",
    ),
    (lambda: CosineAnnealing(eta_mn=0.1), "CosineAnnealing: no argument 'eta_mn'. Did you mean eta_min=0.1?"),
    (lambda: StepDecay(1, warm_up=3), "StepDecay: no argument 'warm_up'. Did you mean warmup=3?"),
    (lambda: ReduceOnPlateau(patiense=3), "ReduceOnPlateau: no argument 'patiense'. Did you mean patience=3?"),
    (lambda: Mine(1, gama=0.5, log_lr=False), "Mine: no argument 'gama'. Did you mean gamma=0.5?"),
    (
        lambda: ProductSchedule([Constant(), Constant()], intervall="step"),
        "ProductSchedule: no argument 'intervall'. Did you mean interval='step'?",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_wrong_keyword_is_told_of_the_class_that_was_called(make: Any, message: str) -> None:
    with pytest.raises(TypeError) as refused:
        make()
    assert str(refused.value).startswith(message)


# ---- the form of the state


def test_a_state_of_an_unknown_format_is_refused_by_name(tmp_path: Path) -> None:
    trainer(tmp_path, halving(), saver(tmp_path), max_epochs=1).fit(Recorder(batches=2))
    checkpoint = torch.load(tmp_path / "1.ckpt", weights_only=True)
    state = checkpoint["callbacks"]["StepDecay"]
    assert type(state["format"]) is int
    state["format"] = 4711
    torch.save(checkpoint, tmp_path / "strange.ckpt")
    model = Recorder(batches=2)
    with pytest.raises(MisconfigurationException, match=r"StepDecay.*4711"):
        trainer(tmp_path, halving(), max_epochs=1).fit(model, ckpt_path=tmp_path / "strange.ckpt")
    assert model.used == []
