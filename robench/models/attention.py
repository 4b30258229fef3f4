"""Attention whose rows are watched, or made by another map than the softmax: robench's own layers and those of timm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from robench.models.maps import MAPS, AttentionMap, keep_largest
from robench.models.standins import straight_through

_softmax_slopes: ContextVar[bool] = ContextVar("softmax_slopes", default=False)
_heard: ContextVar[list[Tensor] | None] = ContextVar("attention_scores", default=None)


class Weighing(nn.Module):
    """A layer that makes rows of attention weights from scores.

    Attributes:
        map: of scores to weights that sum to one along the last dimension.
        hard_k: keep only the K largest weights of each row at inference, renormalised. Gradients pass straight through
            the cut (BPDA; Athalye, Carlini & Wagner, 2018): blocking them would only hide the model from an attack.
        watchers: lists that each forward pass appends its weights to.

    Example:
        >>> Weighing("linear").weigh(torch.tensor([[1.0, 2.0, 4.0]]))
        tensor([[0.0000, 0.2500, 0.7500]])
    """

    def __init__(self, attention: AttentionMap) -> None:
        super().__init__()
        self.map = MAPS[attention]
        self.hard_k: int | None = None
        self.watchers: list[list[Tensor]] = []

    def weigh(self, scores: Tensor) -> Tensor:
        """Weights of scores, (..., row). Those that are watched are of before any cut: what training made."""
        _hear(scores)
        weights = self.map(scores)
        for seen in self.watchers:
            seen.append(weights)
        if self.hard_k is not None and not self.training:
            kept = keep_largest(weights, self.hard_k)
            # Straight through: the gradient is that of the soft weights, so that an attack sees past the cut.
            weights = straight_through(kept / kept.sum(-1, keepdim=True), weights)
        return straight_through(weights, scores.softmax(-1)) if _softmax_slopes.get() else weights


class Attention(Weighing):
    """Multi-head self-attention whose row weights come from an exchangeable map.

    Example:
        >>> Attention(dim=16, heads=2, attention="linear")(torch.rand(3, 5, 16)).shape
        torch.Size([3, 5, 16])
    """

    def __init__(self, dim: int, heads: int, attention: AttentionMap) -> None:
        super().__init__(attention)
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        queries, keys, values = qkv.unbind(0)  # (batch, heads, tokens, dim / heads)
        weights = self.weigh((queries * self.scale) @ keys.transpose(-2, -1))  # (batch, heads, tokens, tokens)
        mixed: Tensor = self.proj((weights @ values).transpose(1, 2).reshape(batch, tokens, dim))
        return mixed


class Remapped(Weighing):
    """Another library's attention, `inner`, with this layer's weights in the place of its softmax."""

    def __init__(self, inner: nn.Module, attention: AttentionMap) -> None:
        super().__init__(attention)
        self.inner = inner

    def forward(self, *given: Any, **options: Any) -> Any:
        with _Intercepted(self.weigh):
            return self.inner(*given, **options)


class _Intercepted(TorchFunctionMode):
    """Within, in this thread, rows of attention are made by a function of their scores: a softmax over the last of three or more
    dimensions, and the fused form of it, which is taken apart."""

    def __init__(self, weigh: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.weigh = weigh

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._attended(*args, **kwargs)
        if func in (torch.softmax, Tensor.softmax, F.softmax):
            scores = args[0] if args else kwargs["input"]
            place = args[1] if len(args) > 1 else kwargs.get("dim")
            if scores.dim() > 2 and place in (-1, scores.dim() - 1):
                return self.weigh(scores)
        return func(*args, **kwargs)

    def _attended(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """What torch documents of its fused attention, step by step."""
        if enable_gqa:  # several heads of queries share one of keys
            shared = query.shape[-3] // key.shape[-3]
            key, value = (each.repeat_interleave(shared, -3) for each in (key, value))
        scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-2, -1)
        if is_causal:
            attn_mask = torch.ones_like(scores, dtype=torch.bool).tril()
        if attn_mask is not None:
            seen = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, -torch.inf) if seen else scores + attn_mask
        return F.dropout(self.weigh(scores), dropout_p) @ value


def attentions(model: nn.Module) -> list[nn.Module]:
    """The attention layers of a model in their order: robench's, and what is named `attn` in others, as timm has it.

    Example:
        >>> net = build_vit((1, 8, 8), 10, [0.5], [0.2], patch=2, dim=16, depth=3, heads=2, mlp=32)
        >>> len(attentions(net))
        3
    """
    found: list[nn.Module] = []
    within: set[nn.Module] = set()
    for name, module in model.named_modules():
        if module not in within and (isinstance(module, Weighing) or name.rpartition(".")[2] == "attn"):
            found.append(module)
            within |= {*module.modules()}
    return found


def remap(model: nn.Module, layer: nn.Module, attention: AttentionMap) -> Weighing:
    """Give an attention layer of a model another map; the layer that has it, which is a new one around another library's.

    Example:
        >>> net = build_vit((1, 8, 8), 10, [0.5], [0.2], patch=2, dim=16, depth=1, heads=2, mlp=32)
        >>> remap(net, attentions(net)[0], "linear") is attentions(net)[0]
        True
    """
    if isinstance(layer, Weighing):
        layer.map = MAPS[attention]
        return layer
    around = Remapped(layer, attention)
    around.train(layer.training)
    for module in model.modules():
        for name, child in module.named_children():
            if child is layer and module is not around:
                setattr(module, name, around)
    return around


@contextmanager
def watched(layers: Sequence[nn.Module]) -> Iterator[list[list[Tensor]]]:
    """Collect the attention weights of every forward pass within: for each layer those of one pass after another.

    They are (N, heads, tokens, tokens) in robench's own layers, and what the softmax returns in others: (windows, …), say. A
    layer without a softmax over the last of three or more dimensions has none. They are those before any hard top-K.

    Example:
        >>> net = build_vit((1, 8, 8), 10, [0.5], [0.2], patch=2, dim=16, depth=3, heads=2, mlp=32)
        >>> with watched(attentions(net)) as weights:
        ...     _ = net(torch.rand(2, 1, 8, 8))
        >>> len(weights), weights[0][0].shape
        (3, torch.Size([2, 2, 17, 17]))
    """
    seen: list[list[Tensor]] = [[] for _ in layers]
    with ExitStack() as stack:
        for layer, rows in zip(layers, seen, strict=True):
            stack.enter_context(_watching(layer, rows))
        yield seen


@contextmanager
def _watching(layer: nn.Module, rows: list[Tensor]) -> Iterator[None]:
    if isinstance(layer, Weighing):
        layer.watchers.append(rows)
        try:
            yield
        finally:
            layer.watchers[:] = [one for one in layer.watchers if one is not rows]
        return
    entered: list[_Intercepted] = []

    def noted(scores: Tensor) -> Tensor:
        rows.append(scores.softmax(-1))
        return rows[-1]

    def enter(*_: Any) -> None:
        entered.append(_Intercepted(noted))
        entered[-1].__enter__()  # type: ignore[no-untyped-call]

    def leave(*_: Any) -> None:
        entered.pop().__exit__(None, None, None)  # type: ignore[no-untyped-call]

    hooks = [layer.register_forward_pre_hook(enter), layer.register_forward_hook(leave, always_call=True)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _hear(scores: Tensor) -> None:
    """Add scores to those that `attention_scores` collects; a map that is itself a softmax says the same ones again."""
    heard = _heard.get()
    if heard is not None and not (heard and heard[-1] is scores):
        heard.append(scores)


def _heard_softmax(scores: Tensor) -> Tensor:
    _hear(scores)
    return scores.softmax(-1)


@contextmanager
def attention_scores() -> Iterator[list[Tensor]]:
    """Within, in this thread, collect the scores that rows of attention are made from, of every layer of every forward pass.

    They are (N, heads, queries, keys), or (windows, …), and have slopes. A softmax over the last of three or more dimensions
    counts as attention, in whichever library's model; but torch's own nn.MultiheadAttention, and what torchvision builds of it,
    keeps its scores to itself.

    Example:
        >>> net = build_vit((1, 8, 8), 10, [0.5], [0.2], patch=2, dim=16, depth=3, heads=2, mlp=32)
        >>> with attention_scores() as scores:
        ...     _ = net(torch.rand(2, 1, 8, 8))
        >>> len(scores), scores[0].shape
        (3, torch.Size([2, 2, 17, 17]))
    """
    collected: list[Tensor] = []
    before = _heard.set(collected)
    try:
        with _Intercepted(_heard_softmax):
            yield collected
    finally:
        _heard.reset(before)


@contextmanager
def softmax_slopes() -> Iterator[None]:
    """Within, in this thread, gradients pass through the softmax of the scores, whichever map the weights come from.

    The weights themselves stay. It is an adaptive attack on attention whose own slopes vanish or mislead.

    Example:
        >>> scores = torch.tensor([[0.0, 2.0]], requires_grad=True)
        >>> with softmax_slopes():
        ...     weights = Weighing("linear").weigh(scores)
        >>> weights[0, 1].backward()
        >>> weights, scores.grad.round(decimals=3)  # e^2 / (1 + e^2)^2 = 0.105; the linear map's own are 0
        (tensor([[0., 1.]], grad_fn=<AddBackward0>), tensor([[-0.1050,  0.1050]]))
    """
    before = _softmax_slopes.set(True)
    try:
        yield
    finally:
        _softmax_slopes.reset(before)
