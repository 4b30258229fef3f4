"""The convolutional network of Madry's MNIST challenge: a small model for adversarial training. Undefended by itself."""

from __future__ import annotations

import torch
from torch import nn

from robench import Above0, Positive, Recipe, Schedule, Task, defense


@defense(paper="arXiv:1706.06083")
def madry_cnn(
    task: Task,
    *,
    epochs: Positive | None = None,
    batch_size: Positive = 50,
    lr: Above0 = 1e-3,
    seed: int = 0,
) -> Recipe:
    """The convolutional network of Madry's MNIST challenge: two convolutions of 5 x 5, one hidden layer of 1,024.

    Args:
        epochs: None: as many as suit the data set (the authors' adversarial training had about 91 at lr=1e-4).
        seed: of the initial weights, the order of the images and their augmentation.
    """
    features = nn.Sequential(
        nn.Conv2d(task.shape[0], 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
    )
    with torch.no_grad():
        size = features(torch.zeros(1, *task.shape)).shape[1]
    model = nn.Sequential(*features, nn.Linear(size, 1024), nn.ReLU(), nn.Linear(1024, task.classes))
    return Recipe(model, Schedule.of(task, epochs, batch_size, lr, weight_decay=0.0))
