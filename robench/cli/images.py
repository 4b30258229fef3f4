"""`robench images`: adversarial images of a store, for another library; loads no entry."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from robench.cli.app import app, clean_exit, example
from robench.cli.options import StoreOption
from robench.places import home

Which = Annotated[str | None, typer.Option(help="Of which cell: a name, or a call as the table has it.")]


@app.command(epilog=example('robench images --attack "pgd_linf(eps=0.1)" --out submission.pt'))
def images(
    out: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help=".npz: ids, images, clean images, labels; .pt or .npy: the images alone, (N, C, H, W), float32.",
        ),
    ],
    store: StoreOption = "results",
    defense: Which = None,
    attack: Which = None,
    dataset: Which = None,
) -> None:
    """Write the adversarial images of one cell that was run with --keep-images, in the order of the test set."""
    with clean_exit():
        from robench.reporting.pages import stored

        result, notes = stored(home(store, "the store"))
        found = result.images(defense=defense, attack=attack, dataset=dataset)
        path = found.write(home(out, "the file to write"))
        if path.suffix != ".npz" and len(found.images) < found.of:
            notes.append(
                f"{len(found.images):,} of the {found.of:,} images of the test set; {path.suffix} files do not say which: .npz does"
            )
        print("\n".join(f"note: {note}" for note in notes), end="\n" if notes else "", file=sys.stderr)
        print(f"{path}: {len(found.images):,} images of shape {tuple(found.images.shape[1:])}")
