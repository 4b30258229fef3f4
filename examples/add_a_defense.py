"""A defense of your own: a function that returns an untrained model and how to train it.

From the command line, beside a defense that robench has:

    robench run --defense "./add_a_defense.py::blurred(width=32)" --defense vit --attack fgsm --dataset digits

Or run this file: python add_a_defense.py
"""

from torch import nn

import robench


@robench.defense(paper="yours")
def blurred(task: robench.Task, *, width: robench.Positive = 16, seed: int = 0) -> robench.Recipe:
    """A small network that looks at a blurred image.

    Args:
        width: channels of its convolution.
        seed: of the initial weights and the order of the images.
    """
    model = nn.Sequential(
        robench.Normalize(task.mean, task.std),
        nn.AvgPool2d(3, stride=1, padding=1),
        nn.Conv2d(task.shape[0], width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(16 * width, task.classes),
    )
    return robench.Recipe(model, robench.Schedule(steps=200, lr=3e-3))


if __name__ == "__main__":
    print(robench.run(blurred, "fgsm(eps=0.1)", "digits", n=50, workers=1).table())
