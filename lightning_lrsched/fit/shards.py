"""What a rank holds of the model: whole tensors or, where it is sharded, its shards, which are DTensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

try:
    from torch.nn.utils import get_total_norm
except ImportError:  # before torch 2.6

    def get_total_norm(tensors: Sequence[Tensor]) -> Tensor:  # type: ignore[misc]
        norms = [torch.linalg.vector_norm(tensor) for tensor in tensors] or [torch.tensor(0.0)]
        total: Tensor = torch.linalg.vector_norm(torch.stack([norm.to(norms[0].device) for norm in norms]))
        return total


def is_shard(held: Any) -> bool:
    """Whether it is a DTensor, which is not where it is today in every version of torch."""
    return hasattr(held, "full_tensor")


def known(module: Module) -> bool:
    """Whether shards say which part of the model they are: DTensors do, FSDP's and DeepSpeed's flat tensors do not."""
    return any(is_shard(parameter) for parameter in module.parameters())


def whole(data: Any) -> Any:
    """Put shards together in rank zero, which is the one that writes checkpoints; all ranks must ask."""
    if is_shard(data):
        mesh = data.device_mesh
        tensor = data.to(mesh.device_type).full_tensor()  # NCCL does not reach into host memory
        return tensor.cpu() if mesh.get_rank() == 0 else data
    if isinstance(data, dict):
        return {key: whole(value) for key, value in data.items()}
    if isinstance(data, list):
        return [whole(value) for value in data]
    return data


def like(held: Any, data: Any) -> Any:
    """The inverse: the shard of each whole tensor of which a rank is to hold one."""
    if is_shard(held) and isinstance(data, Tensor) and not is_shard(data):
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(data, held.device_mesh, held.placements)
    if isinstance(held, dict) and isinstance(data, dict):
        return {key: like(held.get(key), value) for key, value in data.items()}
    if isinstance(held, list) and isinstance(data, list):
        return [like(*each) for each in zip(held, data, strict=True)]
    return data


def total_norm(tensors: Iterable[Tensor]) -> Tensor:
    """The 2-norm of them all, shards being those of whole tensors; one message for each mesh of ranks."""
    by_mesh: dict[Any, list[Tensor]] = {}
    for tensor in tensors:
        by_mesh.setdefault(getattr(tensor, "device_mesh", None), []).append(tensor)
    norms: list[Any] = [get_total_norm(each) for each in by_mesh.values()]
    norms = [norm.full_tensor() if is_shard(norm) else norm for norm in norms]
    return norms[0] if len(norms) == 1 else get_total_norm(norms)
