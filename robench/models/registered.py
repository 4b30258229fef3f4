"""timm, with the architectures that no library has registered with it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def timm_library() -> ModuleType:
    """The module `timm`; its `create_model` also knows RVT, FAN-Hybrid, PVT and T2T-ViT, such as "rvt_tiny_plus".

    Example:
        model = robench.timm_library().create_model("pvt_tiny", num_classes=10)
    """
    for family in ("fan", "pvt", "rvt", "t2t"):
        import_module(f"robench.models.{family}")
    return import_module("timm")
