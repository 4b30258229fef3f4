"""One shard: some images of a model are attacked, judged and recorded."""

from __future__ import annotations

import threading
import time

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench.attacking.classifier import Classifier
from robench.attacking.losses import spread
from robench.attacking.patches import masks_of
from robench.attacking.stillness import Kept, refuse_changed, refuse_other_answers
from robench.attacking.targets import resolve_targets
from robench.data.splits import to_unit
from robench.running.conditions import Condition
from robench.running.judge import Asked, judge, records_of_attacked, records_of_clean_errors
from robench.running.natural import natural_shard
from robench.running.subject import Subject


def attack_shard(
    subject: Subject,
    condition: Condition,
    seed: int,
    places: NDArray[np.int64],
    keep: set[str],
    stop: threading.Event | None = None,
    still: Kept | None = None,
) -> pd.DataFrame:
    """Attack, judge and record some images of the split.

    Args:
        places: of the images in the split.
        keep: ids whose adversarial pixels go into the records.
        still: the model's state, which the attack must leave as it is; None: this is not looked at.
    """
    started = time.thread_time() if subject.device.type == "cpu" else time.perf_counter()
    condition = condition.on(subject.module, subject.name)
    if condition.goal == "natural":
        return _natural(subject, condition, seed, places, keep, stop, still)
    split, rule, device = subject.split, condition.targets, subject.device
    labels, ids, clean = split.targets()[places], split.image_ids()[places].tolist(), subject.clean[places]
    per_image = None
    if rule is not None:
        every = Classifier(subject.module, subject.classes, ids, seed=seed)
        per_image = resolve_targets(rule, labels, clean, every.draws)
    correct = clean.argmax(1) == labels

    def each(rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """One row for each (image, target) of these images: the rows, and the targets."""
        if per_image is None:
            return rows, None
        return rows.repeat_interleave(per_image.shape[1]), per_image[rows].flatten()

    def asked(rows: Tensor, targets: Tensor | None) -> Asked:
        return Asked([ids[r] for r in rows], labels[rows], clean[rows], targets, condition.eps)

    masks = condition.call.options.get("masks") if condition.card.confined else None
    missed = asked(*each((~correct).nonzero().squeeze(1)))
    frames = [records_of_clean_errors(missed.repeated(masks) if masks else missed)]
    rows, targets = each(correct.nonzero().squeeze(1))
    if len(rows):
        pixels = split.pixels(places[rows.numpy()])
        inputs, goal = to_unit(pixels).to(device), None if targets is None else targets.to(device)
        case = asked(rows, targets)
        model = Classifier(
            subject.module,
            subject.classes,
            case.ids,
            seed=seed,
            name=subject.name,
            stop=stop,
            half=subject.precision == "bfloat16",
            spread=spread(case.clean),
            positions=(places if subject.positions is None else subject.positions[places])[rows.numpy()].tolist(),
        )
        adversarial = condition.run(model, inputs, labels[rows].to(device), goal)
        if still is not None:
            refuse_changed(still, condition.text)
            if not model.random:
                refuse_other_answers(subject.module, inputs, case.clean, condition.text)
        allowed, times = _allowed(condition, model, inputs), 1
        if masks and isinstance(adversarial, Tensor) and adversarial.shape[:2] == (len(inputs), masks):
            case, times, adversarial = case.repeated(masks), masks, adversarial.flatten(0, 1)
            inputs = inputs.repeat_interleave(masks, 0)
            goal = None if goal is None else goal.repeat_interleave(masks)
        verdict = judge(
            subject.judged,
            inputs,
            adversarial,
            case.labels.to(device),
            goal,
            classes=subject.classes,
            norm=condition.norm,
            eps=condition.eps if condition.goal == "budget" else None,
            ids=case.ids,
            attack=condition.text,
            name=subject.name,
            allowed=allowed,
            clean=case.clean,
        )
        seconds = (time.thread_time() if device.type == "cpu" else time.perf_counter()) - started
        kept = {  # of several draws the last
            row: (adversarial[row].to("cpu", torch.float32).numpy().tobytes(), pixels[row // times].tobytes())
            for row, name in enumerate(case.ids)
            if name in keep and row % times == times - 1
        }
        forwards, backwards = (each.repeat_interleave(times) // times for each in (model.forwards, model.backwards))
        passes = (forwards, backwards, seconds)
        frames.append(records_of_attacked(case, verdict, passes, kept))
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)


def _natural(
    subject: Subject,
    condition: Condition,
    seed: int,
    places: NDArray[np.int64],
    keep: set[str],
    stop: threading.Event | None,
    still: Kept | None,
) -> pd.DataFrame:
    """The same for a threat that no model is asked for: a single pass of each image, whatever it was taken for before."""
    ids = subject.split.image_ids()[places].tolist()
    model = Classifier(subject.module, subject.classes, ids, seed=seed, name=subject.name, stop=stop)
    found = natural_shard(subject, condition, places, keep, model)
    if still is not None:
        refuse_changed(still, condition.text)
    return found


def _allowed(condition: Condition, model: Classifier, inputs: Tensor) -> Tensor | None:
    """The pixels that a confined attack may change, drawn again by the judge's side, a row for each image and mask."""
    if not condition.card.confined:
        return None
    return masks_of(model.draws, inputs.shape, condition.call.options).flatten(0, 1)
