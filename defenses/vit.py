"""The standard Vision Transformer of the papers: what every defense is compared with."""

from __future__ import annotations

from typing import Annotated

from robench import (
    Above0,
    AttentionMap,
    Bounds,
    Depth,
    NotNegative,
    Positions,
    Positive,
    Recipe,
    Schedule,
    Task,
    Width,
    build_vit,
    defense,
    suitable_patch,
)


@defense(paper="arXiv:2010.11929")
def vit(
    task: Task,
    *,
    patch: Positive | None = None,
    dim: Width = 64,
    depth: Depth = 6,
    heads: Width = 8,
    mlp: Width = 128,
    attention: AttentionMap = "softmax",
    positions: Positions = "learned",
    epochs: Positive | None = None,
    batch_size: Positive = 128,
    lr: Above0 = 3e-3,
    weight_decay: NotNegative = 0.05,
    warmup: Annotated[float, Bounds(0, 1)] = 0.1,
    seed: int = 0,
) -> Recipe:
    """Standard Vision Transformer, trained on clean images with cross-entropy.

    Args:
        patch: side of a patch in pixels; None: a quarter of the image's side (8 for CIFAR-10, 7 for MNIST, 2 for the
            8-pixel digits), 16 from 96 pixels on.
        mlp: width of the hidden layer of each block's perceptron.
        attention: map from scores to weights; "linear", "relu", "sparsemax" and "entmax" are readings of the KSA paper's
            "linear function", as controls without its penalty.
        positions: of the tokens: "learned", or "sinusoidal", which are not trained.
        epochs: None: as many as suit the data set (`robench show DATASET`).
        seed: of the initial weights, the order of the images and their augmentation.
    """
    model = build_vit(
        task.shape,
        task.classes,
        task.mean,
        task.std,
        patch=patch or suitable_patch(task.shape),
        dim=dim,
        depth=depth,
        heads=heads,
        mlp=mlp,
        attention=attention,
        positions=positions,
    )
    return Recipe(model, Schedule.of(task, epochs, batch_size, lr, weight_decay=weight_decay, warmup=warmup))
