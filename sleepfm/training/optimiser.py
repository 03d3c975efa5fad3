"""The optimiser and its learning rate, which follows from the step alone so that a resumed run needs no schedule's state."""

from __future__ import annotations

import math

import torch
from torch import nn

from sleepfm.training.settings import OptimiserSettings

_SECOND_MOMENT = 0.98
"""AdamW's memory of squared gradients; shorter than its default, as is usual for short contrastive runs with warm-up."""


def make_optimiser(network: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """Return the optimiser of a network.

    Weight decay pulls on matrices only, not on biases and norms. A parameter may carry `rate_factor`, by which its learning rate
    is multiplied (`set_rate`).
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            groups.setdefault((parameter.ndim > 1, getattr(parameter, "rate_factor", 1.0)), []).append(parameter)
    listed = [
        {"params": parameters, "weight_decay": settings.weight_decay if decays else 0.0, "rate_factor": factor}
        for (decays, factor), parameters in groups.items()
    ]
    if settings.kind == "sgd":
        return torch.optim.SGD(listed, lr=settings.learning_rate, momentum=settings.momentum)
    return torch.optim.AdamW(listed, lr=settings.learning_rate, betas=(settings.momentum, _SECOND_MOMENT))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["rate_factor"]


def learning_rate(settings: OptimiserSettings, step: int, total_steps: int, steps_an_epoch: int) -> float:
    """Return the rate of a step (from 0)."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "cosine":
        done = (step - settings.warmup_steps) / max(1, total_steps - settings.warmup_steps)
        return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    if settings.schedule == "step":
        return float(settings.learning_rate * settings.step_factor ** math.floor(step / (steps_an_epoch * settings.step_epochs)))
    return settings.learning_rate
