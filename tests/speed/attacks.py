"""What attacks cost beside the passes that they need, and beside other libraries at the same work: `make speed`.

Not a test: it prints a table of ratios, all measured in one run on one thread, in CPU seconds, medians of up to three. "Own
passes" is the time of the forward and backward passes that the attack ran, in a bare loop over batches of 128.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import robench  # noqa: E402
from robench import ATTACKS, Classifier  # noqa: E402
from robench.attacking.norms import lengths  # noqa: E402
from robench.console import Silent  # noqa: E402
from robench.entries.cards import DatasetCard  # noqa: E402
from robench.running.conditions import conditions  # noqa: E402
from robench.running.harness import obtain  # noqa: E402
from robench.running.rows import rows_of  # noqa: E402
from robench.running.settings import Settings  # noqa: E402
from robench.running.subject import Subject  # noqa: E402
from robench.running.workers import complete  # noqa: E402

BATCH = 128
PLAIN, ROBUST = "vit(epochs=20)", "madry(model=vit(epochs=40), eps=0.1)"
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


Peers = dict[str, tuple[Callable[[], Tensor], str, list[tuple[str, dict[str, Any]]]]]
"""Other libraries: their call, the norm to compare, and ours at the same work, or at the same result with less."""


def peers(module: nn.Module, inputs: Tensor, labels: Tensor) -> Peers:
    """foolbox and ART, at budgets that both have."""
    import foolbox
    from art.attacks.evasion import CarliniL2Method
    from art.estimators.classification import PyTorchClassifier

    model = foolbox.PyTorchModel(module, bounds=(0, 1))
    wanted = foolbox.criteria.Misclassification(labels)
    few, some = inputs[:32], labels[:32]
    learning = deepcopy(module).requires_grad_(True)
    shape = tuple(inputs.shape[1:])
    theirs = PyTorchClassifier(learning, nn.CrossEntropyLoss(), shape, 10, clip_values=(0, 1), device_type="cpu")

    def art_cw() -> Tensor:
        attack = CarliniL2Method(theirs, max_iter=10, binary_search_steps=10, batch_size=32, verbose=False)
        return torch.from_numpy(attack.generate(few.numpy(), torch.eye(10)[some].numpy()))

    def foolbox_cw() -> Tensor:
        attack = foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=9, steps=100)
        return attack(model, few, foolbox.criteria.Misclassification(some), epsilons=None)[0]

    return {
        "foolbox LinfPGD 40": (
            lambda: foolbox.attacks.LinfPGD(steps=40).run(model, inputs, labels, epsilon=0.02),
            "linf",
            [("pgd_linf", {"eps": 0.02, "until_success": False})],
        ),
        "foolbox DDN 100": (
            lambda: foolbox.attacks.DDNAttack(steps=100)(model, inputs, wanted, epsilons=None)[0],
            "l2",
            [("ddn", {})],
        ),
        "foolbox DeepFool": (
            lambda: foolbox.attacks.L2DeepFoolAttack()(model, inputs, wanted, epsilons=None)[0],
            "l2",
            [("deepfool", {})],
        ),
        "foolbox CW-L2 9 x 100": (foolbox_cw, "l2", [("cw_l2", {}), ("cw_l2", {"search_steps": 4, "steps": 20})]),
        "ART CW-L2 10 x 10": (
            art_cw,
            "l2",
            [("cw_l2", {"preset": "art"}), ("cw_l2", {"search_steps": 4, "steps": 20})],
        ),
    }


def ensembles(module: nn.Module, inputs: Tensor, labels: Tensor, eps: float) -> Peers:
    """pyautoattack's Square and its standard version, at a radius that most images survive."""
    from pyautoattack import AutoAttack

    def run(attacks: list[str], queries: int) -> Tensor:
        attack = AutoAttack(module, norm="Linf", eps=eps, version="custom", attacks=attacks, device="cpu", seed=0)
        attack.apgd.n_restarts = attack.fab.n_restarts = attack.apgd_targeted.n_restarts = 1
        attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = 9
        attack.square.n_queries = queries
        found = attack.run_standard_evaluation(inputs, labels, batch_size=256)
        return found[0] if isinstance(found, tuple) else found

    standard = ["apgd-ce", "apgd-t", "fab-t", "square"]
    square = [("square_linf", {"eps": eps, "queries": queries}) for queries in (1000, 200)]
    return {
        "pyautoattack Square 1,000": (lambda: run(["square"], 1000), "linf", square),
        "pyautoattack standard": (lambda: run(standard, 5000), "linf", [("autoattack", {"eps": eps})]),
    }


@dataclass(frozen=True)
class Victim:
    """A trained defense on the digits and images that it classifies correctly."""

    name: str
    subject: Subject
    inputs: Tensor
    labels: Tensor
    ids: list[str]

    @classmethod
    def of(cls, defense: str) -> Victim:
        (row,) = rows_of([defense], [], ["digits"], Settings(), robench.Places.of())
        subject = row.subject(obtain(row, Settings(workers=1), Silent()), torch.device("cpu"))
        labels = subject.split.targets()
        right = (subject.clean.argmax(1) == labels).nonzero().squeeze(1)[:256].numpy()
        return cls(
            defense, subject, subject.split.inputs(right), labels[right], subject.split.image_ids()[right].tolist()
        )

    def run(self, name: str, options: dict[str, Any], count: int) -> tuple[float, Tensor, list[float]]:
        """Seconds, images, and forward and backward passes of one run on the first images."""
        model = Classifier(self.subject.module, 10, self.ids[:count])
        attack = ATTACKS[name]
        given = {k: v for k, v in attack.resolve(options).items() if k != "targets"}
        work = partial(attack.function, model, self.inputs[:count], self.labels[:count], **given)
        taken, found, runs = seconds(work)
        return taken, found, [int(passes.sum()) / runs for passes in (model.forwards, model.backwards)]

    def asr_and_norm(self, found: Tensor, norm: str) -> str:
        hit = self.subject.module(found).argmax(1) != self.labels[: len(found)]
        return f"ASR {100 * hit.float().mean():5.1f} %, mean {lengths(found - self.inputs[: len(found)])[norm][hit].mean():.4f}"


def overheads(victim: Victim, attacks: list[tuple[str, dict[str, Any]]]) -> None:
    """What attacks cost over the passes that they make."""
    forward, both = pass_seconds(victim.subject.module, victim.inputs)
    print(
        f"\n{victim.name} on digits, {len(victim.ids)} images, one thread; a forward pass {1e6 * forward:.0f} us, "
        f"with its backward pass {1e6 * both:.0f} us"
    )
    print(f"{'attack':<62}{'passes/image':>13}{'CPU s':>8}{'x own passes':>14}")
    for name, options in attacks:
        taken, _, (forwards, backwards) = victim.run(name, options, len(victim.ids))
        own = forwards * forward + backwards * (both - forward)
        passes = (forwards + backwards) / len(victim.ids)
        print(f"{robench.Call(name, options)!s:<62}{passes:>13.0f}{taken:>8.2f}{taken / own:>14.2f}", flush=True)


def comparisons(victim: Victim, others: Peers) -> None:
    """CPU seconds of other libraries over ours."""
    print(f"\n{'elsewhere':<26}{'here':<46}{'their CPU s / ours':>18}  theirs; ours")
    for name, (work, norm, own) in others.items():
        theirs, found, _ = seconds(work)
        for attack, options in own:
            taken, ours, _ = victim.run(attack, options, len(found))
            told = f"{victim.asr_and_norm(found, norm)}; {victim.asr_and_norm(ours, norm)}"
            print(f"{name:<26}{robench.Call(attack, options)!s:<46}{theirs / taken:>18.2f}  {told}", flush=True)


def scaling(victim: Victim, images: int = 1024, batch: int = 128) -> None:
    """Images a second of two workers over one, taking turns: wall time, so that it is only true on an idle machine."""
    places = np.resize(np.arange(len(victim.subject.split)), images)
    print()
    for text in ("pgd_linf(eps=0.02, steps=20, until_success=False)", "square_linf(eps=0.01, queries=40)"):
        (condition,) = conditions(text, DatasetCard())
        rates: dict[int, list[float]] = {1: [], 2: []}
        for workers in (1, 2) * 3:
            started = time.perf_counter()
            complete(
                Nowhere(),
                victim.subject,
                condition,
                0,
                places,
                set(),
                workers=workers,
                batch=batch,
                done=lambda _: None,
            )
            rates[workers].append(images / (time.perf_counter() - started))
        one, two = (statistics.median(rates[workers]) for workers in (1, 2))
        print(f"two workers: {two / one:.2f} x the images a second of one ({text}, batches of {batch})", flush=True)


class Nowhere:
    """Records that nobody wants."""

    def add(self, frame: pd.DataFrame) -> None: ...


def main() -> None:
    torch.set_num_threads(1)
    plain, robust = Victim.of(PLAIN), Victim.of(ROBUST)
    overheads(plain, OURS)
    overheads(
        robust, [(name, options) for name, options in OURS if name in ("pgd_linf", "apgd_linf", "cw_l2", "square_linf")]
    )
    comparisons(plain, peers(plain.subject.module, plain.inputs, plain.labels))
    comparisons(plain, ensembles(plain.subject.module, plain.inputs[:64], plain.labels[:64], eps=0.015))
    scaling(plain)


if __name__ == "__main__":
    main()
