"""An untrained network with every kind of state, and images that it is right on."""

from __future__ import annotations

import torch
from torch import nn

import robench


def network() -> nn.Sequential:
    """Untrained, with batch norm that is frozen while the rest trains, one parameter that does not learn, and dropout."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 10)
    )
    net.train()
    net[1].eval()
    net[0].weight.requires_grad_(False)
    return net


def split(net: nn.Module, count: int = 8) -> robench.Split:
    """Digits, labelled as the network has them."""
    images = robench.DATASETS["digits"].function(robench.Places.of()).test.first(count)
    was = [(part, part.training) for part in net.modules()]
    with torch.no_grad():
        dtype = next(net.parameters()).dtype
        labels = net.eval()(images.inputs(slice(None)).to(dtype)).argmax(1)
    for part, mode in was:
        part.training = mode
    return robench.Split.of("own", images.pixels(slice(None)), labels.numpy())
