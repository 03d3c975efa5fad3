"""An encoder and a head trained as one network from signals: the baseline that tells what pretraining is worth."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from sleepfm.models.efficientnet import EfficientNet1D
from sleepfm.models.encoder import Encoder


class EndToEnd(nn.Module):
    """A head on the tokens of an encoder, both with gradients.

    Parameters
    ----------
    encoder
        Any encoder network.
    head
        Called with (batch, modality, token, E) and the mask of what is absent, as `StagingHead` and `LogisticProbe`.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward_sets(self, x_rt: Tensor, counts_mn: Tensor) -> Tensor:
        """Return what the head says of each window.

        Parameters
        ----------
        x_rt, counts_mn
            See `sleepfm.models.encoder.Encoder.embed_sets`.

        Returns
        -------
        Tensor
            logits_nsk, (window, token, class), of a head that gives logits by token; what stands at a window without any
            modality means nothing.
        """
        encoder = cast(Encoder | EfficientNet1D, self.encoder)
        _, tokens_mnse = encoder.embed_sets(x_rt, counts_mn)
        absent_nm1 = (counts_mn == 0).t().unsqueeze(-1).to(tokens_mnse.device)
        mask_nms = absent_nm1.expand(-1, -1, tokens_mnse.shape[2])
        logits_nsk: Tensor = self.head(tokens_mnse.transpose(0, 1), mask_nms)
        return logits_nsk
