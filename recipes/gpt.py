"""A small GPT on Python's own standard library, byte by byte: nothing is downloaded, and the schedule counts tokens.

    python -m recipes.gpt fit --config recipes/configs/gpt/minute.yaml     # 2 cores, about a minute
    python -m recipes.gpt fit --config recipes/configs/gpt/gpu.yaml        # one GPU, up to an hour
    python -m recipes.gpt fit --config recipes/configs/gpt/sharded.yaml    # two GPUs that share the weights
    python -m recipes.gpt fit --config recipes/configs/gpt/minute.yaml --ckpt_path <a checkpoint>
    python -m recipes.gpt compare                                          # which schedule: see recipes/gpt_compare.py

Data: the modules of the standard library that runs this, sorted by path; every tenth file is for validation. A resumed
run goes on with the next batch, also in mid-epoch. Losses are in bits a byte, and each validation leaves a sample of
text in TensorBoard, behind a context that the model was given:

    tensorboard --logdir lightning_logs/gpt
"""

from __future__ import annotations

import math
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)
from torch.utils.data import DataLoader, DistributedSampler

from recipes import mlp

BITS = 1 / math.log(2)  # in a nat


@cache
def standard_library() -> tuple[bytes, bytes]:
    """The text for training, and that for validation."""
    root = Path(sysconfig.get_path("stdlib"))
    others = {"site-packages", "dist-packages", "test", "tests"}
    files = sorted(file for file in root.rglob("*.py") if not others & {*file.relative_to(root).parts})
    texts = [file.read_bytes() for file in files]
    return b"".join(text for i, text in enumerate(texts) if i % 10), b"".join(texts[::10])


class Resumable(DataLoader[Tensor]):
    """Goes on in mid-epoch with the batch after the last one, as Lightning keeps its state in the checkpoint."""

    done, skip = 0, 0

    def __iter__(self) -> Iterator[Tensor]:  # type: ignore[override]
        skip, self.skip = self.skip, 0
        for self.done, batch in enumerate(super().__iter__(), start=1):
            if self.done > skip:
                yield batch

    def state_dict(self) -> dict[str, int]:
        return {"done": self.done % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.skip = state["done"]


class StandardLibrary(LightningDataModule):
    """Windows of the text side by side, in another order each epoch.

    Args:
        context: Bytes that the model sees at most.
        batch_size: Windows a batch, on each device.
        val_windows: Windows of validation, evenly spaced over its text.
        train_bytes: So many bytes of the text for training only, to see a model overfit. None: all.
        seed: Another order for another seed.
    """

    def __init__(
        self,
        context: int = 64,
        batch_size: int = 16,
        val_windows: int = 512,
        train_bytes: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.context, self.batch_size, self.val_windows = context, batch_size, val_windows
        self.train_bytes, self.seed = train_bytes, seed

    def windows(self, text: bytes) -> Tensor:
        """One in each row, with the byte after it, which is the first of the next."""
        return torch.frombuffer(bytearray(text), dtype=torch.uint8).unfold(0, self.context + 1, self.context)

    def setup(self, stage: str) -> None:
        train, val = standard_library()
        self.train = self.windows(train[: self.train_bytes])
        windows = self.windows(val)
        self.val = windows[:: max(len(windows) // self.val_windows, 1)][: self.val_windows]

    def train_dataloader(self) -> DataLoader[Tensor]:
        assert self.trainer is not None
        ranks = {"num_replicas": self.trainer.world_size, "rank": self.trainer.global_rank}
        order: Any = DistributedSampler(self.train, seed=self.seed, drop_last=True, **ranks)  # type: ignore[arg-type]
        return Resumable(self.train, self.batch_size, sampler=order, drop_last=True)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(self.val, 4 * self.batch_size)  # type: ignore[arg-type]


class Block(nn.Module):
    """Attention to what came before, then a network on each position; both are added to what goes through."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.RMSNorm(width), nn.RMSNorm(width)
        self.qkv, self.mixed = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width, bias=False), nn.GELU(), nn.Linear(4 * width, width, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        heads = self.qkv(self.before_attention(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each: batch, head, position, channel
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.mixed(attended.transpose(1, 2).flatten(2))
        out: Tensor = x + self.mlp(self.before_mlp(x))
        return out


class Decoder(nn.Module):
    """Bytes in, logits of each next byte out; the same matrix embeds the bytes and tells the logits."""

    def __init__(self, context: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.bytes, self.positions = nn.Embedding(256, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.RMSNorm(width)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:  # sums of about 1 at the start; less of what each layer adds
                adds = name.endswith(("mixed.weight", "mlp.2.weight"))
                nn.init.normal_(parameter, std=(2 * layers if adds else 1) ** -0.5 * width**-0.5)

    def forward(self, text: Tensor) -> Tensor:
        x = self.bytes(text) + self.positions.weight[: text.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.bytes.weight)


class GPT(LightningModule):
    """A decoder, trained to tell the next byte.

    Args:
        context: Bytes that it sees at most.
        width: Channels of each position.
        layers: Blocks.
        heads: Heads of attention; they share the width.
        optimizer: AdamW, or SGD with momentum 0.9.
        lr: The base LR.
        weight_decay: Of matrices; vectors have none.
        compiled: Whether ``torch.compile`` has its turn.
        sample: Bytes of the text that each validation writes; 0: none.
    """

    tokens: Tensor

    def __init__(
        self,
        context: int = 64,
        width: int = 64,
        layers: int = 2,
        heads: int = 2,
        optimizer: Literal["adamw", "momentum"] = "adamw",
        lr: float = 0.004,
        weight_decay: float = 0.1,
        compiled: bool = False,
        sample: int = 256,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)  # the CLI logs them, with the loss
        self.optimizer, self.lr, self.weight_decay = optimizer, lr, weight_decay
        self.compiled, self.sample = compiled, sample
        self.net = Decoder(context, width, layers, heads)
        self.register_buffer("tokens", torch.tensor(0))  # trained on, all devices together; a checkpoint holds it

    def configure_model(self) -> None:
        if self.device_mesh is not None:  # of the ModelParallelStrategy
            from torch.distributed.fsdp import FSDPModule, fully_shard  # public from torch 2.6 on

            for module in [*self.net.blocks, self.net]:
                if not isinstance(module, FSDPModule):  # as it is when a fit is followed by a validation
                    fully_shard(module, mesh=self.device_mesh["data_parallel"])
        if self.compiled:
            self.net.compile()

    def loss(self, windows: Tensor) -> Tensor:
        """In nats a byte."""
        logits = self.net(windows[:, :-1].long())
        return F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten().long())

    def training_step(self, windows: Tensor, batch_idx: int) -> Tensor:
        loss = self.loss(windows)
        self.log("train_loss", loss.detach() * BITS)
        self.tokens += windows[:, 1:].numel() * self.trainer.world_size
        return loss

    def validation_step(self, windows: Tensor, batch_idx: int) -> None:
        self.log("val_loss", self.loss(windows) * BITS, prog_bar=True, sync_dist=True)
        if batch_idx == 0:
            self.given = windows[:1, :-1].long()

    def on_validation_epoch_end(self) -> None:
        if self.sample and isinstance(self.logger, TensorBoardLogger) and not self.trainer.sanity_checking:
            text = self.written(self.given, self.sample).decode(errors="replace")
            context = bytes(self.given[0].tolist()).decode(errors="replace")
            indented = "\n".join(f"    {line}" for line in f"{context}█{text}".splitlines())
            self.logger.experiment.add_text("sample", indented, self.global_step)

    def written(self, window: Tensor, length: int) -> bytes:
        """So many bytes that go on from a window, each drawn by its probability; the dice are their own."""
        dice, text = torch.Generator().manual_seed(0), []
        for _ in range(length):
            chances = self.net(window)[0, -1].float().softmax(0).cpu()
            text.append(int(torch.multinomial(chances, 1, generator=dice)))
            window = torch.cat([window[:, 1:], window.new_tensor([[text[-1]]])], 1)
        return bytes(text)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        parameters = [*self.net.parameters()]
        groups: list[dict[str, Any]] = [
            {"name": "matrices", "params": [p for p in parameters if p.dim() > 1]},
            {"name": "vectors", "params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
        ]
        options: dict[str, Any] = {"lr": self.lr, "weight_decay": self.weight_decay}
        if self.optimizer == "momentum":
            return torch.optim.SGD(groups, momentum=0.9, **options)
        return torch.optim.AdamW(groups, betas=(0.9, 0.95), **options)


def tokens(trainer: Trainer) -> int:
    """Trained on so far: a schedule's ``interval``."""
    return int(trainer.lightning_module.tokens)  # type: ignore[arg-type]


class CLI(mlp.CLI):
    """One context for data and model; checkpoints of the lowest loss and of the last update."""

    runs = "lightning_logs/gpt"

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.link_arguments("data.context", "model.context")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults({"checkpoint.monitor": "val_loss", "checkpoint.save_last": True})

    def after_fit(self) -> None:
        self.trainer.validate(self.model, datamodule=self.datamodule, verbose=True)
        self.show({"final/val_loss": self.trainer.callback_metrics["val_loss"]})


def main() -> None:
    if sys.argv[1:2] == ["compare"]:
        from recipes import gpt_compare

        gpt_compare.main(sys.argv[2:])
        return
    warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # Lightning 2.6's own, with torch 2.13
    warnings.filterwarnings("ignore", ".*does not have many workers")  # the text is in memory
    CLI(
        GPT,
        StandardLibrary,
        auto_configure_optimizers=False,
        seed_everything_default=0,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"exit_on_error": False},
        trainer_defaults={"max_steps": 800, "gradient_clip_val": 1.0, "log_every_n_steps": 10},
    )


if __name__ == "__main__":
    main()
