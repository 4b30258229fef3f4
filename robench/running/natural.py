"""Natural threats: corruptions, sequences of frames, noise in patches. No model is asked for them, and every image meets them.

An image that the model gets wrong as it is may be right once it is corrupted, so that an error rate is over all images and
not over those that are right before: nothing is left out here. What comes back is a picture, in 8 bits; it is the same
whatever model looks at it, since its random numbers belong to the image.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench.attacking.classifier import Classifier, checked_forward
from robench.attacking.losses import goal_margin
from robench.attacking.norms import lengths
from robench.attacking.patches import masks_of
from robench.data.splits import to_unit
from robench.errors import AttackError
from robench.records.schema import frame_of
from robench.running.conditions import Condition
from robench.running.subject import Subject

FORWARD_PIXELS = 2**22
"""So many values go through a model at once; frames of a sequence are many images."""
RANKED = 5
"""The most likely classes of a frame that are kept."""


def natural_shard(
    subject: Subject, condition: Condition, places: NDArray[np.int64], keep: set[str], model: Classifier
) -> pd.DataFrame:
    """Change some images of the split, look at what the model says of them, and record it.

    Args:
        places: of the images in the split.
        keep: ids whose changed pixels go into the records.
        model: of these images; the attack may draw from it and ask it nothing.
    """
    started = time.thread_time() if subject.device.type == "cpu" else time.perf_counter()
    split, device = subject.split, subject.device
    labels, ids, clean = split.targets()[places], split.image_ids()[places].tolist(), subject.clean[places]
    pixels = split.pixels(places)
    inputs = to_unit(pixels).to(device)
    frames = split.frames if condition.card.as_it_is else None
    if frames is None:
        changed = checked(condition, model, inputs, labels.to(device))
    else:
        changed = to_unit(frames[split.rows[places]]).to(device)
    times = changed.shape[1]
    logits = logits_of(subject, changed.flatten(0, 1))
    every = labels.repeat_interleave(times)
    prediction = logits.argmax(1)
    wrong = prediction != every
    margin = goal_margin(logits, every, None)
    before = clean.argmax(1).repeat_interleave(times)
    likely = logits.double().softmax(1)
    spent = (time.thread_time() if device.type == "cpu" else time.perf_counter()) - started
    count = len(every)
    columns: dict[str, object] = {
        "image": [name for name in ids for _ in range(times)],
        "label": every.numpy(),
        "clean_prediction": before.numpy(),
        "correct": (before == every).numpy(),
        "corruption": condition.met(subject.published)[0],
        "severity": condition.met(subject.published)[1],
        "prediction": prediction.numpy(),
        "fooled": wrong.numpy(),
        "success": wrong.numpy(),
        "prediction_uint8": prediction.numpy(),
        "success_uint8": wrong.numpy(),
        "margin": margin.double().numpy(),
        "confidence": likely.gather(1, every[:, None]).squeeze(1).numpy(),
        "certainty": likely.amax(1).clamp(max=1).numpy(),
        "forwards": 0,
        "backwards": 0,
        "seconds": spent / max(1, count),
    }
    several = condition.card.several if frames is None else "frame"
    if times > 1:
        columns[several] = np.tile(np.arange(times, dtype=np.int32), len(ids))
    if several == "frame":
        columns["top5"] = list(logits.topk(min(RANKED, logits.shape[1]), dim=1).indices.to(torch.int32).numpy())
    else:
        delta = changed.flatten(0, 1).double() - inputs.repeat_interleave(times, 0).double()
        columns |= {name: size.cpu().numpy() for name, size in lengths(delta).items()}
    if keep & set(ids):
        last = changed[:, -1].to("cpu", torch.float32)
        kept = {(row + 1) * times - 1: row for row, name in enumerate(ids) if name in keep}
        columns["adversarial"] = [last[kept[r]].numpy().tobytes() if r in kept else None for r in range(count)]
        columns["clean"] = [pixels[kept[r]].tobytes() if r in kept else None for r in range(count)]
    return frame_of(count, columns)


def checked(condition: Condition, model: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
    """What the threat makes of images, float32 in 256 levels of [0, 1], (N, T, C, H, W); T is 1 where there is one of each.

    Raises:
        AttackError: it is of another shape, not finite, outside [0, 1] or not in 8 bits; pixels outside its patches changed;
            or the model was asked.
    """
    found, what = condition.run(model, inputs, labels), condition.text
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if not isinstance(found, Tensor) or shape not in (tuple(inputs.shape), _with_several(inputs, found)):
        raise AttackError(f"{what} returned {shape}, but images of shape {tuple(inputs.shape)} were wanted")
    found = found.detach().to(inputs)
    levels = found * 255
    for wrong, said in (
        (~torch.isfinite(found), "holds values that are not finite"),
        ((found < 0) | (found > 1), "leaves the box [0, 1]"),
        ((levels - levels.round()).abs() > 1e-3, "is no picture of 8 bits a channel, as natural images are"),
    ):
        rows = wrong.flatten(1).any(1)
        if rows.any():
            name = model.ids[int(rows.nonzero()[0])]
            raise AttackError(
                f"{what} broke its threat model: image {name} {said}; {int(rows.sum())} of {len(rows)} do"
            )
    found = (levels.round() / 255).view(len(inputs), -1, *inputs.shape[1:])
    if condition.card.confined:
        allowed = masks_of(model.draws, inputs.shape, condition.call.options).to(inputs.device)
        outside = ((found != inputs[:, None]) & ~allowed).flatten(1).any(1)
        if outside.any():
            name = model.ids[int(outside.nonzero()[0])]
            raise AttackError(f"{what} broke its threat model: image {name} changed outside its patches")
    if int(model.forwards.sum()):
        raise AttackError(f"{what} asked the model, and a natural threat knows none; give it another goal")
    return found


def _with_several(inputs: Tensor, found: Tensor) -> tuple[int, ...]:
    return (len(inputs), found.shape[1] if found.ndim == 5 and found.shape[1] else -1, *inputs.shape[1:])


def logits_of(subject: Subject, images: Tensor) -> Tensor:
    """Logits of many images, on the CPU, in float32: a share of them at a time."""
    size = batch_of(images.shape[1:])
    with torch.no_grad():
        parts = [
            checked_forward(subject.judged, images[i : i + size], subject.classes, subject.name).float().cpu()
            for i in range(0, len(images), size)
        ]
    return torch.cat(parts)


def batch_of(shape: tuple[int, ...] | torch.Size) -> int:
    """How many images of this shape go through a model at once."""
    return int(min(256, max(8, FORWARD_PIXELS // int(np.prod(shape)))))
