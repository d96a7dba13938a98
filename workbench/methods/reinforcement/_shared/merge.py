"""Merging the weights of models of one shape: linear, along the arc, TIES, DARE, and in two stages; memory or files.

A rule sees one tensor of each model at a time. Tensors in floating point are merged in float32 at least (float64 stays)
and keep their dtype; others are the first model's. Formulas as in mergekit 0.1.5 where nothing else is said. Torch; for
files also safetensors.

Held against mergekit 0.1.5 itself, through `using="mergekit"`, on random Llamas in files (float32, weights .3 and .7):
ties gives the same bits; linear, slerp and the two stages of `balanced_files` the same but for rounding (at most
2.4e-7, with weights up to 1.2). dare does not: mergekit draws other elements and rescales by the L1 norm.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue, MissingData, UnknownName

Weights = Mapping[str, Tensor]
Rule = Callable[[Sequence[Tensor]], Tensor]

RULES = ("linear", "slerp", "ties", "dare")
GARBAGE = 3.0  # above this `linearity` a merge is likely garbage
_NEARLY_PARALLEL = 0.9995

# -- rules for one tensor ---------------------------------------------------------------------------------------------


def linear(tensors: Sequence[Tensor], weights: Sequence[float], *, normalize: bool = False) -> Tensor:
    """Sum of w m over the models; `normalize`: over the sum of w. A model of weight 0 has no part, not even its NaN."""
    terms = [w * m for w, m in zip(weights, tensors, strict=True) if w]
    total = functools.reduce(torch.add, terms) if terms else torch.zeros_like(tensors[0])
    return total / sum(weights) if normalize else total


def slerp(one: Tensor, other: Tensor, t: float) -> Tensor:
    """From `one` (t = 0) to `other` (t = 1) along the angle of the flat vectors; straight where |cos| > 0.9995."""
    scale = one.norm() * other.norm()
    cosine = float((one * other).sum() / scale) if scale > 0 else 1.0
    if abs(cosine) > _NEARLY_PARALLEL or t in (0, 1):
        return linear((one, other), (1 - t, t))
    angle = math.acos(cosine)
    return (math.sin((1 - t) * angle) * one + math.sin(t * angle) * other) / math.sin(angle)


def ties(
    base: Tensor, tensors: Sequence[Tensor], weights: Sequence[float], density: Sequence[float] | float, *,
    normalize: bool = True, strength: float = 1.0,
) -> Tensor:  # fmt: skip
    """Trim, elect a sign, add what agrees (TIES, arXiv 2306.01708, algorithm 1).

    Of each difference to `base` the share `density` with the largest magnitude stays, int(density numel) and at least
    one. The sign of the weighted sum is elected, 0 as +, and the weighted differences of that sign are added,
    `normalize`: over the sum of their weights. `strength` multiplies the result (lambda).
    """
    deltas = [_largest(m - base, d) for m, d in zip(tensors, _each(density, tensors), strict=True)]
    return base + strength * _mixed(deltas, weights, elect=True, normalize=normalize)


def dare(
    base: Tensor, tensors: Sequence[Tensor], weights: Sequence[float], density: Sequence[float] | float, *,
    generator: torch.Generator | None = None, masks: Sequence[Tensor] | None = None, rescale: str = "density",
    elect: bool = False, normalize: bool = False, strength: float = 1.0,
) -> Tensor:  # fmt: skip
    """Drop differences to `base` at random, rescale the others, add (DARE, arXiv 2311.03099, equation 2).

    Args:
        base, tensors: one tensor of the common start and of each model.
        weights: of the models.
        density: probability that an element stays.
        generator: of the draws.
        masks: 0 and 1 in place of draws.
        rescale: "density", divide by it, as in the paper; "l1", to the difference's L1 norm before, as mergekit does;
            "off".
        elect, normalize, strength: as in `ties`, of which "dare_ties" takes the sign election.
    """
    if rescale not in ("density", "l1", "off"):
        raise UnknownName("way of rescaling", rescale, ("density", "l1", "off"))
    deltas = []
    for i, (m, share) in enumerate(zip(tensors, _each(density, tensors), strict=True)):
        delta = m - base
        if masks is None:
            kept = torch.rand(delta.shape, generator=generator).to(delta.device) < share
        else:
            kept = masks[i].bool()
        left = delta * kept
        if rescale == "density":
            left = left / share
        elif rescale == "l1" and (norm := left.abs().sum()) >= 1e-7:  # mergekit's bound: nothing left, nothing scaled
            left = left * (delta.abs().sum() / norm)
        deltas.append(left)
    return base + strength * _mixed(deltas, weights, elect=elect, normalize=normalize)


def _each(density: Sequence[float] | float, tensors: Sequence[Tensor]) -> Sequence[float]:
    return [density] * len(tensors) if isinstance(density, int | float) else density


def _largest(delta: Tensor, density: float) -> Tensor:
    """`delta` with 0 for all but its largest magnitudes; of equal ones (short dtypes have many) the first stay."""
    kept = max(1, int(density * delta.numel()))
    if kept >= delta.numel():
        return delta
    size = delta.abs().flatten()
    least = size.kthvalue(size.numel() - kept + 1).values
    inside = size > least
    inside[(size == least).nonzero().flatten()[: kept - int(inside.sum())]] = True
    return delta * inside.view_as(delta)


def _mixed(deltas: Sequence[Tensor], weights: Sequence[float], *, elect: bool, normalize: bool) -> Tensor:
    if not elect:
        return linear(deltas, weights, normalize=normalize)
    sign = torch.where(linear(deltas, weights) >= 0, 1.0, -1.0)
    total, share = torch.zeros_like(deltas[0]), torch.zeros_like(deltas[0])
    for delta, weight in zip(deltas, weights, strict=True):
        agree = ((weight * delta).sign() == sign).to(delta)
        total += weight * delta * agree
        share += weight * agree
    return total / torch.where(share == 0, 1, share) if normalize else total


def _rule(
    rule: str, models: int, weights: Sequence[float] | None, density: float, generator: torch.Generator | None
) -> Rule:
    """The rule for the models' tensors in a row; of ties and dare the first tensor is the base, which has no weight."""
    if rule not in RULES:
        raise UnknownName("merge rule", rule, RULES)
    based = rule in ("ties", "dare")
    given = models - based
    if given < 1 or (rule == "slerp" and models != 2):
        raise InvalidValue(f"A merge by {rule} needs {'exactly 2 models' if rule == 'slerp' else 'more models'}.")
    shares = [1 / given] * given if weights is None else list(weights)
    if len(shares) != given:
        raise InvalidValue(f"There are {given} models to be weighted, but {len(shares)} weights.")
    for share in shares:
        _ratio("A weight", share)
    if not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise InvalidValue(f"The weights of a merge must sum to 1; {', '.join(map(str, shares))} sum to {sum(shares)}.")
    if not 0 < density <= 1:
        raise InvalidValue(f"density must lie in (0, 1]; got {density}.")
    if rule == "linear":
        return functools.partial(linear, weights=shares)
    if rule == "slerp":
        return lambda tensors: slerp(tensors[0], tensors[1], shares[1])
    if rule == "ties":
        return lambda tensors: ties(tensors[0], tensors[1:], shares, density)
    return lambda tensors: dare(tensors[0], tensors[1:], shares, density, generator=generator)


def _balanced(a: float, b: float, rule: str, density: float, generator: torch.Generator | None) -> Rule:
    """The two stages for tensors in the order base, instruct, distilled."""
    _ratio("a", a)
    _ratio("b", b)
    based = rule in ("ties", "dare")
    first = _rule(rule, 2 + based, (1 - a, a), density, generator)

    def stages(tensors: Sequence[Tensor]) -> Tensor:
        middle = first(tensors if based else tensors[1:])
        return linear((middle, tensors[0]), (b, 1 - b))

    return stages


def _ratio(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise InvalidValue(f"{name} must lie in [0, 1]; got {value}.")


# -- state dicts ------------------------------------------------------------------------------------------------------


def merge(
    models: Sequence[Weights], rule: str = "linear", *, weights: Sequence[float] | None = None,
    base: Weights | None = None, density: float = 0.5, generator: torch.Generator | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """Merge state dicts into a new one.

    Args:
        models: at least one; slerp takes two.
        rule: "linear", "slerp" (by the second weight), "ties" or "dare" (divided by the density).
        weights: one a model, in [0, 1], with sum 1; None: all the same.
        base: ties, dare: what the models were fine-tuned from.
        density: ties, dare: share of differences kept, in (0, 1].
        generator: of dare's draws, which do not depend on the order of the tensors.

    Raises `InvalidValue` naming the first tensor that differs in name, shape or dtype, or that has NaN in the result,
    for weights out of range, and for a missing base; `UnknownName` for another rule.
    """
    sources = _sources(rule, models, base)
    with torch.no_grad():
        return _ordered(sources[0], _merged(sources, _rule(rule, len(sources), weights, density, generator),
                                            _titles(rule, len(sources))))  # fmt: skip


def balanced(
    base: Weights, instruct: Weights, distilled: Weights, *, a: float = 0.5, b: float = 0.9, rule: str = "linear",
    density: float = 0.5, generator: torch.Generator | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """Merge in two stages: b ((1 - a) instruct + a distilled) + (1 - b) base (BAI, arXiv 2509.00309).

    `rule`, `density` and `generator` are the first stage's, see `merge`; ties and dare take differences from `base`.
    a = b = 1 is the distilled model, bit by bit. Errors as in `merge`.
    """
    sources = (base, instruct, distilled)
    with torch.no_grad():
        return _ordered(base, _merged(sources, _balanced(a, b, rule, density, generator), _NAMES))


def linearity(base: Weights, instruct: Weights, distilled: Weights) -> float:
    """|distilled - instruct| / |distilled - base| over all floating-point tensors as one vector.

    Small where both were fine-tuned from `base` and stayed near it; 0 where all are the same, infinite where only
    distilled and base are. Raises `InvalidValue` naming the first tensor that differs in name, shape or dtype.
    """
    sources = (base, instruct, distilled)
    apart = start = 0.0
    for _, (b, i, d) in _aligned(sources, _NAMES):
        if d.is_floating_point():
            apart += float((d.double() - i.double()).square().sum())
            start += float((d.double() - b.double()).square().sum())
    if not start:
        return math.inf if apart else 0.0
    return math.sqrt(apart / start)


def linearly_connected(base: Weights, instruct: Weights, distilled: Weights) -> tuple[float, str | None]:
    """`linearity`, and a sentence of warning where it is above `GARBAGE` or NaN."""
    found = linearity(base, instruct, distilled)
    if found <= GARBAGE:
        return found, None
    return found, (
        f"The distilled model is {found:.1f} times as far from the instructed one as from the pretrained one (healthy: "
        f"at most {GARBAGE:g}): they are not linearly connected, and a merge of them is likely garbage."
    )


_NAMES = ("base", "instruct", "distilled")


def _titles(rule: str, models: int) -> list[str]:
    based = rule in ("ties", "dare")
    return ["base"] * based + [f"model {i}" for i in range(1, models - based + 1)]


def _sources(rule: str, models: Sequence[Any], base: Any) -> list[Any]:
    """The models, with the base in front where the rule takes differences from it."""
    if not models:
        raise InvalidValue("There is nothing to merge: no model was given.")
    if (base is None) == (rule in ("ties", "dare")):
        wanted = "needs the model they were fine-tuned from" if base is None else "has no use for a base model"
        raise InvalidValue(f"A merge by {rule} {wanted} (base).")
    return list(models) if base is None else [base, *models]


def _aligned(sources: Sequence[Weights], titles: Sequence[str]) -> Iterator[tuple[str, list[Tensor]]]:
    """Name and tensors of each model, in the order of the names, so that draws do not depend on the models'."""
    _same(sources, titles)
    for name in sorted(sources[0]):
        yield name, [source[name] for source in sources]


def _same(sources: Sequence[Weights], titles: Sequence[str]) -> None:
    """Refuse models that differ in names, shapes or dtypes, before any is read or merged."""
    first = sources[0]
    for other, title in zip(sources[1:], titles[1:], strict=True):
        for name in sorted(first.keys() ^ other.keys()):
            has, lacks = (titles[0], title) if name in first else (title, titles[0])
            raise InvalidValue(f"These models cannot be merged: {has} has a tensor {name}, {lacks} has none.")
        for name in sorted(first):
            for what, one, two in zip(("shape", "dtype"), _about(first, name), _about(other, name), strict=True):
                if one != two:
                    raise InvalidValue(
                        f"These models cannot be merged: the {what} of {name} is {_shown(one)} in {titles[0]} and "
                        f"{_shown(two)} in {title}."
                    )


def _about(source: Weights, name: str) -> tuple[tuple[int, ...], torch.dtype]:
    if isinstance(source, Checkpoint):
        return source.about[name]
    return tuple(source[name].shape), source[name].dtype


def _shown(value: Any) -> str:
    return str(value).removeprefix("torch.")


def _merged(sources: Sequence[Weights], rule: Rule, titles: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    for name, tensors in _aligned(sources, titles):
        yield name, _one(name, tensors, rule)


def _one(name: str, tensors: Sequence[Tensor], rule: Rule) -> Tensor:
    """One tensor merged."""
    kind = tensors[0].dtype
    if not kind.is_floating_point or not tensors[0].numel():
        return tensors[0].clone()
    if kind.itemsize < 2:
        raise InvalidValue(f"The tensor {name} has 8 bits a number, and its scales elsewhere: merge before quantising.")
    work = torch.promote_types(kind, torch.float32)
    made = rule([t.detach().to(work) for t in tensors]).to(kind)
    if bool(made.isnan().any()):
        raise InvalidValue(f"The merge has NaN in the tensor {name}: a model it is made from is broken there.")
    return made


def _ordered(first: Weights, made: Iterator[tuple[str, Tensor]]) -> dict[str, Tensor]:
    found = dict(made)
    return {name: found[name] for name in first}


# -- files ------------------------------------------------------------------------------------------------------------

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "C64": torch.complex64, "BOOL": torch.bool,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
    "U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64,
}  # fmt: skip
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_INDEX, _SINGLE = "model.safetensors.index.json", "model.safetensors"


class Checkpoint(Mapping[str, Tensor]):
    """Tensors of a safetensors checkpoint, each read when it is asked for.

    `path` is a file, an index (`model.safetensors.index.json`), or a folder that holds one of them. Raises
    `MissingData` if there is none, if a part is missing, or without safetensors; `InvalidValue` for files that are not
    safetensors and an index that is wrong.

    Attributes:
        home: folder of the files.
        parts: names of tensors by file.
        about: shape and dtype by name.
        metadata: what the first file says of itself.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        file = self._file()
        self.home = file.parent
        index = _index(file) if file.suffix == ".json" else {file.name: None}
        self.parts: dict[str, list[str]] = {}
        self.about: dict[str, tuple[tuple[int, ...], torch.dtype]] = {}
        self.metadata: dict[str, str] = {}
        for part, names in index.items():
            with self._open(part) as opened:
                self.metadata = self.metadata or dict(opened.metadata() or {})
                here = sorted(opened.keys())
                self.parts[part] = here if names is None else names
                for name in self.parts[part]:
                    if name not in here:
                        raise InvalidValue(
                            f"The index of {self.path} puts the tensor {name} into {part}, which lacks it."
                        )
                    found = opened.get_slice(name)
                    if found.get_dtype() not in _DTYPES:
                        raise InvalidValue(
                            f"The tensor {name} of {self.path} has the unknown dtype {found.get_dtype()}."
                        )
                    self.about[name] = tuple(found.get_shape()), _DTYPES[found.get_dtype()]
        self._where = {name: part for part, names in self.parts.items() for name in names}

    def _file(self) -> Path:
        """The file or index that `path` means."""
        alone = sorted(self.path.glob("*.safetensors"))
        inside = [self.path / _INDEX, self.path / _SINGLE, *(alone if len(alone) == 1 else ())]
        for file in inside if self.path.is_dir() else [self.path]:
            if file.is_file():
                return file
        raise MissingData(f"There is no safetensors checkpoint at {self.path}: no {_SINGLE}, and no {_INDEX}.")

    @contextlib.contextmanager
    def _open(self, part: str) -> Iterator[Any]:
        safetensors = _needed("safetensors", "Checkpoints in files need")
        file = self.home / part
        if not file.is_file():
            raise MissingData(f"The checkpoint {self.path} lacks its part {part}.")
        try:
            opened = safetensors.safe_open(str(file), framework="pt")
        except safetensors.SafetensorError as error:
            raise InvalidValue(f"{file} cannot be read as safetensors: {error}.") from error
        with opened as handle:
            yield handle

    def __getitem__(self, name: str) -> Tensor:
        """Read it. The file is opened for it alone, so that its memory is given back with the tensor."""
        with self._open(self._where[name]) as file:
            return file.get_tensor(name)

    def __contains__(self, name: object) -> bool:
        return name in self._where

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


def merge_files(
    paths: Sequence[str | Path], out: str | Path, rule: str = "linear", *, weights: Sequence[float] | None = None,
    base: str | Path | None = None, density: float = 0.5, generator: torch.Generator | None = None,
    using: str | None = None,
) -> Path:  # fmt: skip
    """Merge checkpoints in files tensor by tensor, so that a few tensors are in memory at a time.

    Args:
        paths: of the models, see `Checkpoint`.
        out: a file that ends in `.safetensors`, or a folder, where the checkpoint is split as the first model is (as
            the base, where there is one). Weights alone are written, no configuration and no tokenizer.
        rule, weights, density, generator: as in `merge`, whose result for the same draws this is.
        base: ties, dare: path of what the models were fine-tuned from.
        using: "mergekit": leave it to mergekit, which reads and writes whole folders, configuration and tokenizer
            included, and rescales dare by the L1 norm; None: do it here.

    Returns `out`. What was there before stays until the merge is complete. Raises as `merge` and `Checkpoint`, and
    `InvalidValue` if `out` would overwrite a model, `MissingData` if mergekit is asked for and absent.
    """
    sources = _sources(rule, paths, base)
    made = _rule(rule, len(sources), weights, density, generator)
    if using is not None:
        shares = [1 / len(paths)] * len(paths) if weights is None else list(weights)
        return _mergekit(using, _recipe(rule, paths, shares, base, density), Path(out), generator)
    return _write([Checkpoint(path) for path in sources], made, Path(out))


def balanced_files(
    base: str | Path, instruct: str | Path, distilled: str | Path, out: str | Path, *, a: float = 0.5, b: float = 0.9,
    rule: str = "linear", density: float = 0.5, generator: torch.Generator | None = None, using: str | None = None,
) -> Path:  # fmt: skip
    """`balanced` for checkpoints in files, as `merge_files` merges them; mergekit can do it for linear alone."""
    made, paths = _balanced(a, b, rule, density, generator), (base, instruct, distilled)
    if using is not None:
        if rule != "linear":
            raise InvalidValue(f"mergekit merges in two stages by linear alone here; got {rule}.")
        shares = (1 - b, b * (1 - a), b * a)  # both stages at once
        return _mergekit(using, _recipe(rule, paths, shares, None, density), Path(out), generator)
    return _write([Checkpoint(path) for path in paths], made, Path(out))


def _index(file: Path) -> dict[str, list[str] | None]:
    """Names of tensors by file."""
    try:
        where = json.loads(file.read_text("utf-8"))["weight_map"]
        parts: dict[str, list[str] | None] = {part: [] for part in sorted(set(where.values()))}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidValue(f"{file} is no index of a checkpoint: it has no weight_map of names to files.") from error
    for part in parts:
        if Path(part).name != part:
            raise InvalidValue(f"{file} points to {part}; the files of a checkpoint stand beside its index.")
        parts[part] = sorted(name for name, there in where.items() if there == part)
    return parts


def _write(sources: Sequence[Checkpoint], rule: Rule, out: Path) -> Path:
    """Merge into files: headers first, then each tensor to its place."""
    first, titles = sources[0], [str(source.path) for source in sources]
    whole = out.suffix == ".safetensors"
    home = out.parent if whole else out
    single = whole or len(first.parts) == 1
    parts = {out.name if whole else _SINGLE: list(first)} if single else first.parts
    read = {(source.home / part).resolve() for source in sources for part in source.parts}
    for part in parts:
        if (home / part).resolve() in read:
            raise InvalidValue(f"The merge would overwrite {home / part}, which it is made from; write it elsewhere.")
    _same(sources, titles)
    home.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as opened:
        places: dict[str, tuple[BinaryIO, int]] = {}  # file and position
        drafts = [home / f"{part}.partial" for part in parts]
        for draft in drafts:
            opened.callback(draft.unlink, missing_ok=True)
        for draft, names in zip(drafts, parts.values(), strict=True):
            file: BinaryIO = opened.enter_context(draft.open("wb"))
            header, offsets = _header(names, first)
            file.write(header)
            places |= {name: (file, len(header) + offset) for name, offset in offsets.items()}
        with torch.no_grad():
            for name, tensor in _merged(sources, rule, titles):
                file, place = places[name]
                file.seek(place)
                file.write(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        for file, _ in places.values():
            file.flush()
        for draft, part in zip(drafts, parts, strict=True):
            draft.replace(home / part)
    if len(parts) > 1:
        size = sum(_bytes(first, name) for name in first)
        where = {name: part for part, names in parts.items() for name in names}
        index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(where.items()))}
        (home / _INDEX).write_text(json.dumps(index, indent=2) + "\n", "utf-8")
    return out


def _header(names: Sequence[str], like: Checkpoint) -> tuple[bytes, dict[str, int]]:
    """What opens a safetensors file (a length, then JSON, filled up to 8 bytes), and each tensor's place behind it."""
    entries: dict[str, Any] = {"__metadata__": like.metadata or {"format": "pt"}}
    end = 0
    # Wide dtypes first, as the format's own writer has it: every tensor then starts at a multiple of its width.
    for name in sorted(names, key=lambda name: (-like.about[name][1].itemsize, name)):
        shape, dtype = like.about[name]
        start, end = end, end + _bytes(like, name)
        entries[name] = {"dtype": _CODES[dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    offsets = {name: entries[name]["data_offsets"][0] for name in names}
    return len(text).to_bytes(8, "little") + text, offsets


def _bytes(like: Checkpoint, name: str) -> int:
    shape, dtype = like.about[name]
    return math.prod(shape) * dtype.itemsize


# -- mergekit ---------------------------------------------------------------------------------------------------------


def _recipe(
    rule: str, paths: Sequence[str | Path], weights: Sequence[float], base: str | Path | None, density: float
) -> dict[str, Any]:
    """mergekit's configuration of a merge."""
    models = [str(path) for path in paths]
    if rule == "slerp":
        return {"merge_method": "slerp", "models": [{"model": m} for m in models], "base_model": models[0],
                "parameters": {"t": weights[1]}}  # fmt: skip
    if rule == "linear":
        listed = [{"model": m, "parameters": {"weight": w}} for m, w in zip(models, weights, strict=True)]
        return {"merge_method": "linear", "models": listed, "parameters": {"normalize": False}}
    listed = [
        {"model": m, "parameters": {"weight": w, "density": density}} for m, w in zip(models, weights, strict=True)
    ]
    method = {"ties": "ties", "dare": "dare_linear"}[rule]
    return {"merge_method": method, "models": listed, "base_model": str(base)}


def _mergekit(using: str, recipe: dict[str, Any], out: Path, generator: torch.Generator | None) -> Path:
    if using != "mergekit":
        raise UnknownName("package that merges", using, ("mergekit",))
    for path in (*(entry["model"] for entry in recipe["models"]), out):
        if Path(path).is_file() or Path(path).suffix == ".safetensors":
            raise InvalidValue(f"mergekit reads and writes whole folders, with configuration; {path} is a file.")
    config, merge, options = (
        _needed(f"mergekit.{part}", "Merging with mergekit needs") for part in ("config", "merge", "options")
    )
    seed = None if generator is None else generator.initial_seed()
    merge.run_merge(
        config.MergeConfiguration.model_validate(recipe), str(out),
        options=options.MergeOptions(random_seed=seed, copy_tokenizer=True, quiet=True),
    )  # fmt: skip
    return out


def _needed(module: str, why: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingData(f"{why} the package {package}, which is not installed: pip install {package}.") from error
