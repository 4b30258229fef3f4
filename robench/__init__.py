"""robench: how robust is this defense, really, under this threat model?

    import robench

    result = robench.run(defense="ksa(k=4)", attack="cw_l2", dataset="digits")
    print(result.table())

    images, labels, names = robench.load("cifar10", n=500)
    adversarial = robench.ATTACKS["pgd_linf"](net, images, labels, eps=8 / 255)

The names and where they are defined stand in `__init__.pyi`. They are imported when they are first used, so that
`import robench` and `robench --help` do not wait for torch.
"""

import ast as _ast
from importlib import import_module as _import_module
from pathlib import Path as _Path

__version__ = "0.1.0"

_HOME = {
    alias.name: node.module
    for node in _ast.parse(_Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body
    if isinstance(node, _ast.ImportFrom)
    for alias in node.names
}
__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'robench' has no attribute {name!r}")
    return getattr(_import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
