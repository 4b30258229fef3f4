"""Attack a network of your own: train it as you like, then call an attack with it, or let robench judge the attack.

Run it: python attack_your_own_net.py
"""

import torch
from torch import nn

import robench


def trained(split: robench.Split) -> nn.Module:
    """A small convolutional network, trained for 300 steps."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(288, 10),
    )
    inputs, labels = split.inputs(slice(None)), split.targets()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(300):
        rows = torch.randint(len(inputs), (128,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(inputs[rows]), labels[rows]).backward()
        optimizer.step()
    return net.eval()


def main() -> None:
    digits = robench.DATASETS["digits"].function(robench.Places.of())
    net = trained(digits.train)

    images, labels, _ = robench.load("digits", n=100)  # the images that a run with --n 100 evaluates on
    adversarial = robench.ATTACKS["pgd_linf"](net, images, labels, eps=0.1, steps=10)
    with torch.no_grad():
        for name, inputs in (("clean", images), ("attacked", adversarial)):
            print(f"{name}: {100 * (net(inputs).argmax(1) == labels).float().mean():.0f} % right")

    # The same, judged: one row an image, nothing stored.
    records = robench.evaluate(net, "pgd_linf(eps=0.1, steps=10)", digits.test.first(100))
    attacked = records[records.correct]
    print(f"success: {attacked.success.sum()} of {len(attacked)} correctly classified images")


if __name__ == "__main__":
    main()
