"""Architectures that no library has, registered with timm: `timm.create_model("rvt_tiny_plus")` knows them once this is imported."""

from robench.models import fan, pvt, rvt, t2t

__all__ = ["fan", "pvt", "rvt", "t2t"]
