"""A leaderboard as Markdown, and as one tidy table for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from robench.reporting.escaping import markdown
from robench.reporting.leaderboard.boards import Board, Standing
from robench.reporting.leaderboard.contents import Leaderboard
from robench.reporting.rates import Rate
from robench.reporting.same_weights import published
from robench.reporting.writing.tidy import COLUMNS, comma_separated

HEADERS = [
    "Rank", "Defense", "Worst case ↑", "Clean", "Attacks", "n", "Training seeds", "Evidence", "Published (ours minus it)",
]  # fmt: skip


def percent(rate: Rate) -> str:
    """A rate with its interval, in %."""
    if not rate.total:
        return "–"
    low, high = rate.interval
    return f"{100 * rate.value:.1f} ({100 * low:.1f}–{100 * high:.1f})"


def as_markdown(found: Leaderboard) -> str:
    """All boards, one after another."""
    parts = [
        "# Leaderboard",
        f"robench {found.version}, {found.made}. A board is one data set, norm, radius and knowledge; nothing is averaged over boards.",
    ]
    for board in found.boards:
        lines = [_line(HEADERS), _line(["---:", ":---", "---:", "---:", "---:", "---:", ":---", ":---", ":---"])]
        lines += [_line(map(markdown, cells(found, board, one))) for one in board.standings]
        lines += [
            _line([*map(markdown, ("–", label, f"refused: {reason}")), *[""] * 6]) for label, reason in board.refused
        ]
        parts += [f"## {markdown(board.title)}", "\n".join(lines), *map(markdown, board.caption)]
    parts += [f"Note: {markdown(note)}" for note in found.notes]
    return "\n\n".join(parts) + "\n"


def cells(found: Leaderboard, board: Board, standing: Standing) -> list[str]:
    """What a row says, a text for each of `HEADERS`."""
    missing = len(standing.met) < len(board.required)
    count, spread = standing.seeds
    known = published(
        standing.defense, found.behind(board, standing).units[0].unit.spec.dataset.name, board.norm, board.eps
    )
    reason = f" · {standing.reason}" if standing.reason else ""
    return [
        "–" if standing.rank is None else str(standing.rank),
        standing.label + reason,
        ("≤ " if missing else "") + percent(standing.worst),
        percent(standing.clean),
        f"{len(standing.met)} of {len(board.required)}",
        f"{standing.worst.total:,}",
        "1" if spread is None else f"{count} (± {100 * spread:.1f})",
        standing.evidence,
        f"{100 * known.robust:.1f} {known.source} ({100 * (standing.worst.value - known.robust):+.1f})"
        if known
        else "–",
    ]


def as_csv(found: Leaderboard) -> str:
    """Every number of every board on a line of its own; rates are shares."""
    return comma_separated(COLUMNS, _lines(found))


def _lines(found: Leaderboard) -> Iterator[dict[str, object]]:
    for board in found.boards:
        for one in board.standings:
            about = found.behind(board, one)
            identity = about.units[0].unit.identity
            common: dict[str, object] = {
                "table": board.title, "dataset": board.dataset, "defense": one.label, "norm": board.norm, "eps": board.eps,
                "seed": identity.seed, "n": one.worst.total, "weights": identity.weights, "data": identity.data,
            }  # fmt: skip
            missing = "at most" if len(one.met) < len(board.required) else ""
            common["note"] = "; ".join(filter(None, [missing, one.reason]))
            rates = [("", "robust_accuracy", one.worst), ("", "clean_accuracy", one.clean)]
            rates += [(faced.attack, "robust_accuracy", faced.rate) for faced in one.faced]
            for attack, metric, rate in rates:
                low, high = rate.interval
                numbers = {"count": rate.count, "total": rate.total, "value": rate.value, "low": low, "high": high}
                yield common | numbers | {"attack": attack, "metric": metric}
            if one.rank is not None:
                yield common | {"attack": "", "metric": "rank", "value": one.rank}
        for label, reason in board.refused:
            told: dict[str, object] = {
                "table": board.title,
                "dataset": board.dataset,
                "defense": label,
                "norm": board.norm,
                "eps": board.eps,
            }
            yield told | {"metric": "refused", "note": reason}


def _line(texts: Iterable[str]) -> str:
    return "| " + " | ".join(texts) + " |"
