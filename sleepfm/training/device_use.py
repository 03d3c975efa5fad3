"""How busy the device is that a run trains on, and how much of its memory the run holds."""

from __future__ import annotations

import os
import shutil
import subprocess

import psutil
import torch

_PATIENCE_S = 5.0
_MB = 1e6


class DeviceUse:
    """Measures the device of this process.

    Parameters
    ----------
    device
        Where the network is.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._process = psutil.Process()
        self._process.cpu_percent()  # from here on it is measured
        self._program = shutil.which("nvidia-smi") if device.type == "cuda" else None

    def figures(self) -> dict[str, float]:
        """Return `device_use` in percent since the last call and `device_memory_mb`, what the process holds now.

        On the CPU the use is the process's share of all cores and the memory its resident set; on a GPU both are the GPU's, as
        nvidia-smi and torch tell them, and the use is left out where there is no nvidia-smi.
        """
        if self._device.type != "cuda":
            used = self._process.cpu_percent() / (os.cpu_count() or 1)
            return {"device_use": round(used, 1), "device_memory_mb": round(self._process.memory_info().rss / _MB, 1)}
        held = torch.cuda.memory_reserved(self._device) / _MB
        use = self._gpu_use()
        return ({} if use is None else {"device_use": use}) | {"device_memory_mb": round(held, 1)}

    def _gpu_use(self) -> float | None:
        if self._program is None:
            return None
        # by the card's own number: torch counts only the devices that this process may see
        card = f"GPU-{torch.cuda.get_device_properties(self._device).uuid}"
        words = [self._program, f"--id={card}", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        try:
            said = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE_S, check=False).stdout.strip()
        except (OSError, subprocess.TimeoutExpired):
            return None
        return float(said) if said.isdecimal() else None
