"""The optimiser and its learning rate, which follows from the step alone so that a resumed run needs no schedule's state."""

from __future__ import annotations

import math

import torch
from torch import nn

from sleepfm.training.settings import OptimiserSettings

_SECOND_MOMENT = 0.98
"""AdamW's memory of squared gradients; shorter than its default, as is usual for short contrastive runs with warm-up."""


def make_optimiser(network: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """Return the optimiser of a network; weight decay pulls on matrices only, not on biases, norms and the temperature."""
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings.kind == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(settings.momentum, _SECOND_MOMENT))


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
