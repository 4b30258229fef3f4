"""Every public name says what it is with an example, and the examples that show their answers give them."""

from __future__ import annotations

import doctest
import inspect

import pytest
import torch
from torch import Tensor, nn

import robench

DOCUMENTED = [
    name
    for name in robench.__all__
    if inspect.isfunction(getattr(robench, name))
    or (inspect.isclass(getattr(robench, name)) and getattr(robench, name).__module__.startswith("robench."))
]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_public_name_has_an_example_that_is_true(name: str) -> None:
    value = getattr(robench, name)
    text = inspect.getdoc(value) or ""
    if inspect.isclass(value) and issubclass(value, Exception):
        assert text
        return
    assert "Example:" in text, f"{name} has no example"
    names = {**{public: getattr(robench, public) for public in robench.__all__}, "robench": robench}
    case = doctest.DocTestParser().get_doctest(
        text, {**names, "torch": torch, "nn": nn, "Tensor": Tensor}, name, None, 0
    )
    torch.manual_seed(0)
    told: list[str] = []
    found = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(case, out=told.append)
    assert not found.failed, "".join(told)
