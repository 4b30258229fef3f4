"""The convolutional network of Carlini & Wagner: undefended; a source of adversarial images that transfer."""

from __future__ import annotations

import torch
from torch import nn

from robench import Above0, Normalize, Positive, Recipe, Schedule, Task, Width, defense


@defense(paper="arXiv:1608.04644")
def carlini(
    task: Task,
    *,
    width: Width | None = None,
    hidden: Width | None = None,
    epochs: Positive | None = None,
    batch_size: Positive = 128,
    lr: Above0 = 1e-3,
    seed: int = 0,
) -> Recipe:
    """Carlini & Wagner's CNN, the synthetic model of black-box studies: four convolutions, two hidden layers.

    Args:
        width: channels of the first two convolutions, half of those of the other two; None: 64 for colour images, 32
            for grey ones, as the authors have them.
        hidden: width of the hidden layers; None: 256 for colour images, 200 for grey ones.
        epochs: None: as many as suit the data set.
        seed: of the initial weights, the order of the images and their augmentation.
    """
    channels, height, _ = task.shape
    width, hidden = width or (64 if channels > 1 else 32), hidden or (256 if channels > 1 else 200)
    border = 0 if height >= 20 else 1  # the authors' convolutions have no border, which 8 pixels leave no room for

    def stage(before: int, after: int) -> list[nn.Module]:
        return [
            nn.Conv2d(before, after, 3, padding=border),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=border),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]

    features = nn.Sequential(*stage(channels, width), *stage(width, 2 * width), nn.Flatten())
    with torch.no_grad():
        size = features(torch.zeros(1, *task.shape)).shape[1]
    model = nn.Sequential(
        Normalize(task.mean, task.std),
        *features,
        nn.Linear(size, hidden),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, task.classes),
    )
    return Recipe(model, Schedule.of(task, epochs, batch_size, lr))
