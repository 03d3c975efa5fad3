"""Small networks with random weights, and configurations in the published form."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sleepfm.models.networks import build

ENCODER: dict[str, Any] = {"embed_dim": 16, "num_heads": 2, "num_layers": 2, "pooling_head": 2, "patch_size": 640, "dropout": 0.3}
HEAD: dict[str, Any] = {"embed_dim": 16, "num_heads": 2, "num_layers": 1, "pooling_head": 2, "dropout": 0.3, "max_seq_length": 64}
ENCODER_CONFIG: dict[str, Any] = {
    "model": "SetTransformer",
    **ENCODER,
    "sampling_freq": 128,
    "sampling_duration": 5,
    "modality_types": ["BAS", "RESP", "EKG", "EMG"],
    "BAS_CHANNELS": 10,
    "RESP_CHANNELS": 7,
    "EKG_CHANNELS": 2,
    "EMG_CHANNELS": 4,
}
STAGING_CONFIG: dict[str, Any] = {"model": "SleepEventLSTMClassifier", "model_params": {**HEAD, "num_classes": 5}}
DISEASE_CONFIG: dict[str, Any] = {
    "model": "DiagnosisFinetuneFullLSTMCOXPHWithDemo",
    "model_params": {**HEAD, "num_layers": 2, "num_classes": 3},
}


def random_network(config: dict[str, Any], seed: int = 0) -> nn.Module:
    """Return a network whose every number, batch statistics included, is far from its initial value."""
    torch.manual_seed(seed)
    network = build(config["model"], config.get("model_params", config))
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
        elif name.endswith(("running_mean", "bias")):
            tensor.normal_(0.0, 0.3)
        elif tensor.is_floating_point() and not name.endswith(".pe"):
            tensor.add_(torch.randn_like(tensor) * 0.1)
    return network.eval()
