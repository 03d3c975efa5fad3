"""Nights whose truth is known, with the exact stage probabilities that noisy signals leave of it."""

from __future__ import annotations

import numpy as np

EPOCHS = 720
CHANGES = np.array(
    [
        [0.90, 0.08, 0.015, 0.0, 0.005],
        [0.08, 0.72, 0.18, 0.0, 0.02],
        [0.015, 0.02, 0.93, 0.025, 0.01],
        [0.01, 0.0, 0.04, 0.95, 0.0],
        [0.02, 0.01, 0.01, 0.0, 0.96],
    ]
)


def simulated_night(rng: np.random.Generator, clearness: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw a night of a hidden Markov chain: the true stages, and the exact probabilities that its noisy signals leave."""
    stages = np.zeros(EPOCHS, np.int8)
    for k in range(1, EPOCHS):
        stages[k] = rng.choice(5, p=CHANGES[stages[k - 1]])
    look = clearness * (np.eye(5) + 0.4 * (np.eye(5, k=1) + np.eye(5, k=-1)))  # neighbouring stages look alike
    seen = look[stages] + rng.standard_normal((EPOCHS, 5))
    likely = np.exp(-0.5 * ((seen[:, None, :] - look[None]) ** 2).sum(axis=2))
    forward, backward = np.zeros((EPOCHS, 5)), np.ones((EPOCHS, 5))
    forward[0] = np.eye(5)[0]
    for k in range(1, EPOCHS):
        forward[k] = (forward[k - 1] @ CHANGES) * likely[k]
        forward[k] /= forward[k].sum()
    for k in range(EPOCHS - 2, -1, -1):
        backward[k] = CHANGES @ (likely[k + 1] * backward[k + 1])
        backward[k] /= backward[k].sum()
    shares = forward * backward
    return stages, shares / shares.sum(axis=1, keepdims=True)
