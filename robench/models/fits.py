"""Which of a file's tensors are those of a model, what is left over beside them, and what a message says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from robench.models.saved import Stored

WRAPPERS = {
    "_orig_mod",  # torch.compile
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "_modules",  # of a whole module that was pickled
    "_parameters",
    "_buffers",
}
"""Parts of names that no layer has."""
COUNTED = ("num_batches_tracked", "relative_position_index", "attn_mask", "position_ids")
"""Names of buffers that are counted or follow from the shape: a file may lack them, or have them besides."""
BESIDES = (*COUNTED, "n_averaged", "total_ops", "total_params", "_extra_state")
CRITERIA = ("criterion", "loss", "loss_fn", "loss_fct", "loss_func")
"""Modules beside the model whose `weight` or `pos_weight` are the weights of classes in a loss."""
ATTACKER = "attacker."
"""What MadryLab's robustness saves beside the model: its weights and its normalisation once more."""
NORMALISERS = (
    ("mean", "std"),
    ("new_mean", "new_std"),
    ("mu", "sigma"),
    ("mu", "std"),
    ("_mean", "_std"),
    ("pixel_mean", "pixel_std"),
    ("image_mean", "image_std"),
    ("normalize_mean", "normalize_std"),
)
"""Ends of the names of a normalisation in front, MadryLab's among them."""

Elements = Stored | Tensor


@dataclass(frozen=True)
class Contents:
    """All tensors of a file.

    Attributes:
        tensors: by their names, those of nests and prefixes before them.
        paths: of each its nests' keys, and its own.
    """

    tensors: dict[str, Elements]
    paths: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Fit:
    """Tensors of a file that stand under a prefix, beside those of a model.

    Attributes:
        weights: by the model's names.
        used: their names in the file.
        missing, misshapen: names that the file lacks, and of other shapes.
    """

    prefix: str
    weights: dict[str, Elements]
    used: frozenset[str]
    missing: list[str]
    misshapen: list[str]

    @property
    def complete(self) -> bool:
        return not (self.missing or self.misshapen)


def cleaned(name: str) -> str:
    """A name without the parts that no layer has."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def fits_of(own: dict[str, Tensor], found: dict[str, Elements], front: set[str], strip: str = "") -> list[Fit]:
    """The file's tensors under every prefix that any name of the model stands behind, the best first.

    Of the model's names too, what all begin with may be left out. Those of a normalisation in front may be missing.
    """
    fits = []
    needed = [name for name in own if name not in front]
    for left_out in _prefixes(needed):
        short = {name[len(left_out) :] for name in needed}
        counts = Counter(prefix for name in found for prefix in _before(name, short, strip))
        fits += [_fit(own, found, front, left_out, prefix) for prefix, _ in counts.most_common(50)]
    return sorted(fits, key=lambda fit: (len(fit.missing) + len(fit.misshapen), len(fit.prefix)))


def _prefixes(names: list[str]) -> list[str]:
    """What all names begin with: "", "1.", "1.model." …"""
    parts = [name.split(".")[:-1] for name in names]
    common = [column[0] for column in zip(*parts, strict=False) if len(set(column)) == 1] if parts else []
    same = next((n for n in range(len(common), 0, -1) if all(p[:n] == common[:n] for p in parts)), 0)
    return [".".join([*common[:n], ""]) for n in range(same + 1)]


def _before(name: str, short: set[str], strip: str) -> Iterator[str]:
    """What stands in a file's name before one of the model's."""
    starts = [0, *(place + 1 for place, letter in enumerate(name) if letter == ".")]
    for start in starts:
        if strip:
            if name.startswith(strip, start) and name[start + len(strip) :] in short:
                yield name[: start + len(strip)]
        elif name[start:] in short:
            yield name[:start]


def _fit(own: dict[str, Tensor], found: dict[str, Elements], front: set[str], left_out: str, prefix: str) -> Fit:
    weights, used, missing, misshapen = {}, set(), [], []
    for name, tensor in own.items():
        in_file = prefix + name[len(left_out) :]
        given = found.get(in_file) if name.startswith(left_out) else None
        if given is None:
            if name not in front and last(name) not in COUNTED:
                missing.append(name)
            continue
        used.add(in_file)
        weights[name] = given
        alike = given.dtype.is_floating_point == tensor.dtype.is_floating_point
        if tuple(given.shape) != tuple(tensor.shape) or not alike:
            misshapen.append(name)
    return Fit(prefix, weights, frozenset(used), missing, misshapen)


def last(name: str) -> str:
    """The last part of a name."""
    return name.rpartition(".")[2]


def pairs(found: dict[str, Elements]) -> Iterator[tuple[str, str, str]]:
    """Names of mean and deviation of normalisations that may be in front of a model, and the prefix which they are beside."""
    for name in found:
        begin, dot, end = name.rpartition(".")
        around, _, module = begin.rpartition(".")
        for mean, std in NORMALISERS:
            other = f"{begin}{dot}{std}"
            if end == mean and other in found and (not module.isdigit() or int(module) == 0):
                yield name, other, around and around + "."


def left_over(fit: Fit, contents: Contents, complete: list[Fit], *, asked: bool) -> list[str]:
    """Names beside those of a complete fit that may be layers: with them it would be another model.

    What training scripts save besides is none: other whole weights of the same model, a normalisation in front of either,
    counts, the weights of a loss's classes, and single numbers in nests that hold no weights.

    Args:
        asked: the prefix was given: what is not under it is then none either, but for layers that are numbered like it.
    """
    found = contents.tensors
    known = set().union(*(one.used for one in complete))
    known.update(
        name
        for mean, std, beside in pairs(found)
        if beside.endswith(ATTACKER) or any(one.prefix.startswith(beside) for one in complete)
        for name in (mean, std)
    )
    left = [name for name in found if name not in known and last(name) not in BESIDES]
    if asked:
        return [name for name in left if name.startswith(fit.prefix) or _numbered_like(name, fit.prefix)]
    nest = _nest(fit, contents)
    return [name for name in left if not _of_a_loss(name, found[name], fit) and not _a_number(name, contents, nest)]


def _numbered_like(name: str, prefix: str) -> bool:
    """Whether both are layers of one Sequential: "0.weight" and "1."."""
    around, _, module = prefix.removesuffix(".").rpartition(".")
    begin = around and around + "."
    return module.isdigit() and name.startswith(begin) and name[len(begin) :].partition(".")[0].isdigit()


def _of_a_loss(name: str, value: Elements, fit: Fit) -> bool:
    begin, _, end = name.rpartition(".")
    around, dot, module = begin.rpartition(".")
    beside = fit.prefix.startswith(around + dot) and fit.prefix != around + dot
    return module in CRITERIA and end in ("weight", "pos_weight") and len(value.shape) == 1 and beside


def _nest(fit: Fit, contents: Contents) -> tuple[str, ...]:
    """The keys of the nests that all weights are in."""
    return common([contents.paths[name][:-1] for name in fit.used])


def _a_number(name: str, contents: Contents, nest: tuple[str, ...]) -> bool:
    """Whether it is an accuracy or a count in another nest than the weights, or around theirs."""
    path = contents.paths[name]
    shared = common([path, nest])
    apart = path[len(shared)]
    inside = any(key in WRAPPERS for key in (*shared, apart)) or apart.partition(".")[0].isdigit()
    return not contents.tensors[name].shape and len(shared) < len(nest) and not inside


def common(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    """What all begin with."""
    same = []
    for column in zip(*paths, strict=False):
        if len(set(column)) > 1:
            break
        same.append(column[0])
    return tuple(same)


def does_not_fit(
    name: str, own: dict[str, Tensor], contents: Contents, best: Fit | None, strip: str, elsewhere: list[str]
) -> str:
    """What is wrong, which names the file has, and which option may help.

    Args:
        best: of the fits, none of which is complete.
        strip: that was asked for.
        elsewhere: prefixes under which the weights are complete.
    """
    found = contents.tensors
    if "" in found:
        return f"holds a bare tensor of shape {tuple(found[''].shape)}, and no names; {name} wants {some(list(own))}"
    listed = f"the file has {some(list(found))}, and {name} wants {some(list(own))}"
    if elsewhere:
        under = ", ".join(map(repr, elsewhere))
        near = next((prefix for prefix in elsewhere if strip in prefix), elsewhere[-1])
        return f"has no whole weights of {name} under {strip!r}, but under {under}: strip={near!r}?"
    prefix = best.prefix if best else _around(contents)
    helps = f"another arch, or strip={prefix!r} if that stands before the names" if prefix else "another arch"
    if strip and prefix and prefix.endswith(strip):
        helps = f"another arch, as strip={strip!r} is given already"
    if best and best.misshapen and not best.missing:
        wrong = best.misshapen[0]
        return (
            f"holds {wrong} of shape {tuple(best.weights[wrong].shape)} ({best.weights[wrong].dtype}), but {name} on this data "
            f"has {tuple(own[wrong].shape)} ({own[wrong].dtype}); {listed}; {helps}?"
        )
    if best is None:
        return f"does not hold the weights of {name}: {len(own)} are missing; {listed}; {helps}?"
    strange = [
        key for key in found if key.startswith(best.prefix) and key not in best.used and last(key) not in BESIDES
    ]
    return (
        f"does not hold the weights of {name}: {len(best.missing)} are missing ({some(best.missing)}), {len(strange)} are not "
        f"known ({some(strange)}), {len(best.misshapen)} of another shape; {listed}; {helps}?"
    )


def _around(contents: Contents) -> str:
    """What stands before all names: the keys of nests, or the first part."""
    nest = [key for key in common([path[:-1] for path in contents.paths.values()]) if key not in WRAPPERS]
    names = list(contents.tensors)
    first = names[0].partition(".")[0] + "."
    shared = len(names) > 1 and all(name.startswith(first) for name in names)
    return ".".join([*nest, ""]) if nest else first if shared else ""


def too_much(name: str, fit: Fit, left: list[str], *, asked: bool) -> str:
    """That a file has layers besides, and what to do."""
    under = f" under {fit.prefix!r}" if fit.prefix else ""
    helps = "another arch, which has them too, or a file of the model's weights alone"
    if fit.prefix and not asked and not any(_numbered_like(key, fit.prefix) for key in left):
        helps = f"another arch, which has them too, or strip={fit.prefix!r} if they are no part of the model"
    return (
        f"holds the weights of {name}{under}, but {len(left)} are not known ({some(left)}); without these layers it would be "
        f"another model: {helps}?"
    )


def some(names: list[str]) -> str:
    """The first few of many names."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "none"
