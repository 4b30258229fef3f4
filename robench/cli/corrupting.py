"""`robench corrupt`: corrupted images in the layouts of the benchmarks, for other tools."""

from __future__ import annotations

from typing import Annotated

import typer

from robench.cli.app import app, clean_exit, example
from robench.cli.options import DataOption, NOption, QuietOption, WorkersOption
from robench.console import reporter
from robench.places import Places, home


@app.command(
    epilog=example(
        "robench corrupt --dataset cifar10 --out CIFAR-10-C",
        "robench corrupt --dataset imagenet --names fog --severities 3 --out ImageNet-C",
        "robench corrupt --dataset cifar10 --sequences --out CIFAR-10-P",
    )
)
def corrupt(
    dataset: Annotated[str, typer.Option(help="The data set whose test images are corrupted: cifar10.")],
    out: Annotated[str, typer.Option(metavar="PATH", help="Folder to write to.")],
    names: Annotated[
        list[str] | None, typer.Option(help="A corruption: fog. May be repeated; the 15 of the benchmark by default.")
    ] = None,
    severities: Annotated[
        list[int] | None, typer.Option(min=1, max=5, help="1 to 5. May be repeated; all by default.")
    ] = None,
    sequences: Annotated[
        bool,
        typer.Option("--sequences", help="Sequences of perturbations instead, as of ImageNet-P; the 10 by default."),
    ] = False,
    n: NOption = None,
    seed: Annotated[int, typer.Option(help="Of the corruptions' random numbers, as of a run's attacks.")] = 0,
    workers: WorkersOption = None,
    data: DataOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write corrupted test images: files of numpy as CIFAR-10-C, JPEGs of quality 85 as ImageNet-C. It goes on where it ended."""
    with clean_exit():
        from robench.benchmarks import CORRUPTIONS, PERTURBATIONS, SEVERITIES
        from robench.data.loading import load_data
        from robench.entries.options import whole_seed
        from robench.errors import UsageError
        from robench.running.corrupting import Corruptor, check_names
        from robench.running.settings import usable_cores

        if sequences and severities:
            raise UsageError("--severities is of corruptions; sequences have none")
        wanted = names or [*(PERTURBATIONS if sequences else CORRUPTIONS)]
        check_names(wanted, sequences=sequences)
        loaded = load_data(dataset, Places.of(data), n)
        corruptor = Corruptor(
            loaded, home(out, "the folder to write"), whole_seed(seed), workers or usable_cores(), reporter(quiet=quiet)
        )
        written = corruptor.write_sequences(wanted) if sequences else corruptor.write(wanted, severities or SEVERITIES)
        said = f"wrote {', '.join(written)}" if written else "all of it was there already"
        print(f"{out}: {len(loaded.split):,} images of {loaded.name}; {said}")
