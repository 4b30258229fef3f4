"""Residual networks for small images: Madry's wide one with pre-activation, and ResNet-20. Undefended by themselves."""

from __future__ import annotations

from typing import Annotated, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from robench import (
    Above0,
    Bounds,
    Depth,
    Normalize,
    NotNegative,
    Positive,
    Recipe,
    Schedule,
    Task,
    UsageError,
    Width,
    defense,
)


class PreActivation(nn.Module):
    """Norm, activation, convolution, twice; added to its input (He et al., 2016b), which is padded where widths differ."""

    def __init__(self, before: int, after: int, stride: int, slope: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(before), nn.BatchNorm2d(after)])
        self.convs = nn.ModuleList(
            [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.Conv2d(after, after, 3, 1, 1, bias=False)]
        )
        self.extra, self.stride, self.slope = after - before, stride, slope

    def forward(self, x: Tensor) -> Tensor:
        inner = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            inner = conv(F.leaky_relu(norm(inner), self.slope))
        if self.stride > 1:
            x = F.avg_pool2d(x, self.stride, ceil_mode=True)
        if self.extra:
            x = F.pad(x, (0, 0, 0, 0, self.extra // 2, self.extra - self.extra // 2))
        return x + inner


@defense(paper="arXiv:1605.07146, arXiv:1706.06083")
def wide_resnet(
    task: Task,
    *,
    width: Width = 10,
    depth: Depth = 34,
    slope: Annotated[float, Bounds(0, 1)] = 0.1,
    epochs: Positive | None = None,
    batch_size: Positive = 128,
    lr: Above0 = 0.1,
    weight_decay: NotNegative = 2e-4,
    optimizer: Literal["adamw", "sgd"] = "sgd",
    seed: int = 0,
) -> Recipe:
    """A wide residual network with pre-activation: Madry's "w32-10" by default, ResNet-20-like with width 1 and depth 22.

    Args:
        width: what the 16, 32 and 64 channels of the three stages are multiplied with.
        depth: layers: 6 in each unit of the three stages, and 4 more; 34 is five units a stage.
        slope: of the leaky ReLU below zero.
        lr: falls to a tenth after half and again after three quarters of the training.
        optimizer: SGD with Nesterov momentum, or AdamW.
        seed: of the initial weights, the order of the images and their augmentation.
    """
    if (depth - 4) % 6 or depth < 10:
        raise UsageError(
            f"wide_resnet(depth={depth}): a depth is 6 units a stage and 4 more layers: 10, 16, 22, 28, 34"
        )
    layers: list[nn.Module] = [Normalize(task.mean, task.std), nn.Conv2d(task.shape[0], 16, 3, 1, 1, bias=False)]
    before = 16
    for stage, channels in enumerate((16 * width, 32 * width, 64 * width)):
        for unit in range((depth - 4) // 6):
            layers.append(PreActivation(before, channels, 2 if stage and not unit else 1, slope))
            before = channels
    layers += [nn.BatchNorm2d(before), nn.LeakyReLU(slope), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = nn.Sequential(*layers, nn.Linear(before, task.classes))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    decay: Literal["steps", "cosine"] = "steps" if optimizer == "sgd" else "cosine"
    schedule = Schedule.of(
        task, epochs, batch_size, lr, weight_decay=weight_decay, warmup=0.02, decay=decay, optimizer=optimizer
    )
    return Recipe(model, schedule)
