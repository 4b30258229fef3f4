"""An attack of your own: a function that takes a model, inputs and labels, and returns adversarial inputs.

From the command line:

    robench run --defense vit --attack "./add_an_attack.py::sign_noise(eps=0.1)" --dataset digits

Or run this file: python add_an_attack.py
"""

from torch import Tensor

import robench


@robench.attack(norm="linf", goal="budget", knowledge="score")
def sign_noise(
    model: robench.Classifier, inputs: Tensor, labels: Tensor, *, eps: robench.Radius, tries: robench.Positive = 10
) -> Tensor:
    """The best of several random corners of the L∞ ball.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        eps: radius of the ball, for pixels in [0, 1].
        tries: corners that are looked at for each image.
    """
    best, lowest = inputs, robench.goal_margin(model(inputs), labels, None)
    for number in range(tries):
        # Random numbers belong to the image: neither the batch nor the number of workers changes them.
        signs = model.draws.uniform("corner", number, None, inputs.shape[1:]).to(inputs).sub(0.5).sign()
        moved = (inputs + eps * signs).clamp(0, 1)
        margin = robench.goal_margin(model(moved), labels, None)
        better = margin > lowest
        best = moved.where(better[:, None, None, None], best)
        lowest = margin.where(better, lowest)
    return best


if __name__ == "__main__":
    attack = f"{__file__}::sign_noise(eps=[0.1, 0.2])"
    print(robench.run("vit(depth=2, epochs=4)", attack, "digits", n=50, workers=1).table())
