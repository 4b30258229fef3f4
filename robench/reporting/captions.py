"""What stands below a table: what its numbers are of, and what a reader must know of a row or a cell beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from robench.benchmarks import SEVERITIES, SMALL_SIDE
from robench.records.cards import ModelCard
from robench.records.manifest import Facts
from robench.records.unit import Measured
from robench.reporting.corrupted import Corrupted
from robench.reporting.evidence import in_full, on_board
from robench.reporting.groups import Group, Threat
from robench.reporting.metrics import attack_success_rate, attacked_images, on_the_boundary
from robench.reporting.ties import FEWEST

MARKED = "Marked: the best for the defender in each column and its statistical ties (paired bootstrap over images); in columns of ASR the robust accuracy that is left decides, so that being right on few images is no merit."


def caption_of(group: Group, cards: Mapping[str, ModelCard], *, different_images: bool, marked: bool) -> list[str]:
    """What a reader must know of the table of a group.

    Args:
        cards: by the names of the models.
        marked: whether any cell is.
        different_images: whether rows, or columns of a row, were measured on different images.
    """
    facts = [one.unit.facts for one in group.units]
    targets = sorted({fact.targets for fact in facts if fact.targets})
    lines = [
        f"n = {_counts(group)} test images ({copy_of(group)}; {facts[0].source.partition(' in ')[0]}), "
        f"attack seed {group.units[0].unit.identity.seed}.",
        "Clean and robust: accuracy in % of all images. ASR: successes in % of the correctly classified images"
        + (" and their targets" if "all" in targets else "")
        + ".",
        "L1, L2, L∞: mean over successes, pixels in [0, 1]; a stronger attack adds harder images to them, so compare them on images broken in both rows.",
        f"95 % intervals are at most ±{100 * max(map(_half_width, group.units)):.1f} points wide for ASR (Wilson; clustered by image where rows share one); they cover test images, not training seeds.",
        *([MARKED] if marked else []),
    ]
    if different_images:
        lines.append(
            "Rows or cells that say n were measured on different images. They are compared on the images that they share; "
            f"one that shares fewer than {FEWEST} with the largest is compared with none, and not marked."
        )
    if any(_less(group, norm) for norm in {fact.norm for fact in facts}):
        lines.append(
            "≤: a worst case over fewer attacks than other rows; the missing ones could only lower it. It has no rank and no mark. "
            "An attack counts at each of its radii, and only if it attacked all images."
        )
    if targets:
        lines.append(f"Targets: {', '.join(targets)}.")
    for threat in group.threats:
        if share := threat.first.unit.facts.share:
            lines.append(
                f"{threat.label} touches {_touched(group, threat)} of the patches of each image ({100 * share[0]:.3g} % were asked for). "
                "True class: its mean confidence there, in %, over the correctly classified images."
            )
    for one in group.units:
        lines += _about_unit(group, one)
    for model, label in group.defenses.items():
        if card := cards.get(model):
            lines += about_model(card, label)
    return list(dict.fromkeys(lines))


def _counts(group: Group) -> str:
    counts = sorted(group.counts)
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def copy_of(group: Group) -> str:
    """Which copy of the data set it is: its name where the card knows it."""
    unit = group.units[0].unit
    name, fingerprint = unit.facts.variant, unit.identity.data
    return f"{name}, fingerprint {fingerprint}" if name else f"test fingerprint {fingerprint}"


def about_model(card: ModelCard, label: str) -> list[str]:
    """What a reader must know of a model beside its numbers."""
    lines = [f"{label}: {card.note}."] if card.note else []
    if card.approximate_slopes:
        lines.append(
            f"{label} is not differentiable everywhere: white-box attacks follow slopes that stand in for its own, and may miss some."
        )
    if card.attention:
        shares = ", ".join(f"{100 * layer[min(4, len(layer)) - 1]:.0f}" for layer in card.attention)
        lines.append(
            f"{label}: the 4 largest weights of a row hold {shares} % of the attention in layers 1 to {len(card.attention)}."
        )
    return lines


def _half_width(one: Measured) -> float:
    share = attack_success_rate(one.arrays)
    return 0.0 if not share.total else max(share.interval.high - share.value, share.value - share.interval.low)


def _touched(group: Group, threat: Threat) -> str:
    """The share of the patches that a threat touches, for each row where they differ, as those of the models' own grids do."""
    found = {label: group.find(model, threat) for model, label in group.defenses.items()}
    shares = {label: one.unit.facts.share[1] for label, one in found.items() if one and one.unit.facts.share}
    if len({*shares.values()}) <= 1:
        return f"{100 * next(iter(shares.values())):.3g} %"
    return ", ".join(f"{100 * share:.3g} % ({label})" for label, share in shares.items())


def _about_unit(group: Group, one: Measured) -> Iterator[str]:
    """What a reader must know of a cell beside its number."""
    where = f"{group.label(one)} under {group.attack_in_full(one)}"
    given, of = attacked_images(one.arrays)
    if given < of:
        yield (
            f"{where}: adversarial images of {given:,} of {of:,} correctly classified images were given; "
            "the others count as not attacked."
        )
    if thin := on_the_boundary(one.arrays):
        yield (
            f"{where}: {thin:,} of {of:,} images left their label by less than the judge's margin; they are on the boundary, "
            "and not successes."
        )


def _less(group: Group, norm: str) -> bool:
    """Whether some row lacks an attack in a norm that another has."""
    of_norm = [t for t in group.threats if t.first.unit.facts.norm == norm and on_board(t.first)]
    have = [{t.key for t in of_norm if (one := group.find(model, t)) and in_full(one)} for model in group.defenses]
    return any(own and own != set().union(*have) for own in have)


def corruptions_said(group: Group, facts: Facts, rows: Mapping[str, Corrupted]) -> list[str]:
    """What a reader must know of every one of these tables."""
    counts = sorted({len(row.wrong) for row in rows.values()})
    n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    height, width = facts.shape[1:]
    table = "CIFAR-10-C's" if min(height, width) <= SMALL_SIDE else "ImageNet-C's"
    intervals = "95 % intervals are of a bootstrap over images and cover no training seeds; those that are not printed are in the page and in JSON."
    seen = f"n = {n} test images of {height} x {width} pixels"
    if facts.family:
        sources = list(dict.fromkeys(one.unit.facts.source.partition(" in ")[0] for one in group.units))
        more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
        written = any(" as robench wrote it" in source for source in sources)
        kept = " They are not the published files, though they lie as those do: no mean of them is a figure of the benchmark."
        return [
            f"{seen}, from files as they are ({sources[0]}{more}).",
            f"Top-1 error in %.{kept if written else ''}",
            intervals,
        ]
    lines = [
        f"{seen} ({facts.source.partition(' in ')[0]}), attack seed {group.units[0].unit.identity.seed}.",
        "Top-1 error in %, over all images; the same pixels for every defense.",
        f"Corruptions were made in memory, with {table} parameters: they are not the "
        "published files, which are stored as JPEG and harder for it, and no mean of them is a figure of ImageNet-C.",
        intervals,
    ]
    if any((("frost", severity) in row.wrong) for row in rows.values() for severity in SEVERITIES):
        lines.append("Frost: its textures are made by rule here, not photographs as in the published corruption.")
    return lines
