"""What attacks cost beside the passes that they need, and beside other libraries at the same work: `make speed`.

Not a test: it prints a table of ratios, all measured in one run on one thread, in CPU seconds, medians of up to three. "Own
passes" is the time of the forward and backward passes that the attack ran, in a bare loop over batches of 128.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

warnings.simplefilter("ignore")

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import robench  # noqa: E402
from robench import ATTACKS, Classifier  # noqa: E402
from robench.console import Silent  # noqa: E402
from robench.harness import Settings, obtain, rows_of, subject_of  # noqa: E402
from robench.norms import lengths  # noqa: E402

BATCH = 128
DEFENSE = "vit(epochs=20)"
OURS: list[tuple[str, dict[str, Any]]] = [
    ("pgd_linf", {"eps": 0.02, "until_success": False}),
    ("pgd_linf", {"eps": 0.1}),
    ("mim", {"eps": 0.02, "until_success": False}),
    ("apgd_linf", {"eps": 0.02}),
    ("apgd_linf", {"eps": 0.02, "loss": "dlr_targeted", "steps": 30}),
    ("fab_linf", {"steps": 20, "target_classes": 3}),
    ("ddn", {}),
    ("deepfool", {}),
    ("cw_l2", {}),
    ("cw_linf", {}),
    ("ead", {"steps": 30}),
    ("square_linf", {"eps": 0.05, "queries": 500}),
    ("rays", {"queries": 500}),
]


def seconds(work: Callable[[], Any], enough: float = 8.0) -> tuple[float, Any, int]:
    """Median CPU seconds of this thread over three runs, or fewer where they are long; the result; the number of runs."""
    taken: list[float] = []
    result = None
    while len(taken) < 3 and sum(taken) < enough:
        started = time.thread_time()
        result = work()
        taken.append(time.thread_time() - started)
    return statistics.median(taken), result, len(taken)


def pass_seconds(module: nn.Module, inputs: Tensor) -> tuple[float, float]:
    """CPU seconds of a forward pass, and of a forward and a backward pass, for one image in a batch of 128."""
    batch = inputs[:BATCH]

    def forward() -> None:
        with torch.no_grad():
            for _ in range(10):
                module(batch)

    def both() -> None:
        for _ in range(10):
            probe = batch.clone().requires_grad_()
            torch.autograd.grad(module(probe).sum(), probe)

    return seconds(forward)[0] / 10 / len(batch), seconds(both)[0] / 10 / len(batch)


def peers(
    module: nn.Module, inputs: Tensor, labels: Tensor
) -> dict[str, tuple[str, dict[str, Any], Callable[[], Tensor], str]]:
    """Other libraries at the same work: (our attack, its options, their call, the norm to compare)."""
    import foolbox

    model = foolbox.PyTorchModel(module, bounds=(0, 1))
    wanted = foolbox.criteria.Misclassification(labels)

    def square() -> Tensor:
        from pyautoattack import AutoAttack

        attack = AutoAttack(module, norm="Linf", eps=0.05, version="custom", attacks=["square"], device="cpu", seed=0)
        attack.square.n_queries = 500
        found = attack.run_standard_evaluation(inputs, labels, batch_size=256)
        return found[0] if isinstance(found, tuple) else found

    return {
        "foolbox LinfPGD 40": (
            "pgd_linf", {"eps": 0.02, "until_success": False},
            lambda: foolbox.attacks.LinfPGD(steps=40).run(model, inputs, labels, epsilon=0.02), "linf"),
        "foolbox DDN 100": ("ddn", {}, lambda: foolbox.attacks.DDNAttack(steps=100)(model, inputs, wanted, epsilons=None)[0], "l2"),
        "foolbox DeepFool": ("deepfool", {}, lambda: foolbox.attacks.L2DeepFoolAttack()(model, inputs, wanted, epsilons=None)[0], "l2"),
        "foolbox CW-L2 9 x 100": (
            "cw_l2", {},
            lambda: foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=9, steps=100)(model, inputs, wanted, epsilons=None)[0], "l2"),
        "pyautoattack Square 500": ("square_linf", {"eps": 0.05, "queries": 500}, square, "linf"),
    }  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    (row,) = rows_of([DEFENSE], [], ["digits"], Settings(), robench.Places.of())
    subject = subject_of(row, obtain(row, Settings(workers=1), Silent()), torch.device("cpu"))
    labels = subject.split.targets()
    right = (subject.clean.argmax(1) == labels).nonzero().squeeze(1)[:256].numpy()
    inputs, labels, ids = subject.split.inputs(right), labels[right], subject.split.image_ids()[right].tolist()
    forward, both = pass_seconds(subject.module, inputs)
    print(
        f"{DEFENSE} on digits, {len(ids)} images, one thread; a forward pass {1e6 * forward:.0f} us, with its backward pass {1e6 * both:.0f} us"
    )

    def run(name: str, options: dict[str, Any]) -> tuple[float, Tensor, list[float]]:
        """Seconds, images, and forward and backward passes of one run."""
        model = Classifier(subject.module, 10, ids)
        taken, found, runs = seconds(lambda: ATTACKS[name].function(model, inputs, labels, **options))
        return taken, found, [int(count.sum()) / runs for count in (model.forwards, model.backwards)]

    def asr_and_norm(found: Tensor, norm: str) -> str:
        hit = subject.module(found).argmax(1) != labels
        return f"ASR {100 * hit.float().mean():5.1f} %, mean {lengths(found - inputs)[norm][hit].mean():.4f}"

    print(f"\n{'attack':<62}{'passes/image':>13}{'CPU s':>8}{'x own passes':>14}")
    for name, options in OURS:
        taken, _, (forwards, backwards) = run(name, options)
        own = forwards * forward + backwards * (both - forward)
        print(
            f"{robench.Call(name, options)!s:<62}{(forwards + backwards) / len(ids):>13.0f}{taken:>8.2f}{taken / own:>14.2f}"
        )
    print(f"\n{'the same work elsewhere':<26}{'their CPU s / ours':>20}  theirs, ours")
    for name, (own, options, work, norm) in peers(subject.module, inputs, labels).items():
        theirs, found, _ = seconds(work)
        taken, ours, _ = run(own, options)
        print(f"{name:<26}{theirs / taken:>20.2f}  {asr_and_norm(found, norm)}; {asr_and_norm(ours, norm)}")


if __name__ == "__main__":
    main()
