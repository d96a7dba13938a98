"""From a card and overrides to the resolved configuration of a run, with Hydra's grammar and our sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workbench.cards import Card, InvalidValue, UnknownName, card, check
from workbench.cards.controls import RESERVED, canonical, flat, plain, put
from workbench.runs.rules import check_rules

_GROUPS = ("run", "tracking")


def parse(overrides: Iterable[str]) -> dict[str, Any]:
    """Overrides as typed on a command line (``epsilon=0.1``, ``optimizer.lr=1e-3``) as a dict.

    Raises:
        InvalidValue: an override that is not Hydra's grammar.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    values: dict[str, Any] = {}
    for text in overrides:
        try:
            [override] = OverridesParser.create().parse_overrides([text])
        except HydraException:
            raise InvalidValue(f"'{text}' is not an override; write name=value, as in epsilon=0.1.") from None
        if override.is_sweep_override():
            raise InvalidValue(f"'{text}' names several values; one run takes one.")
        if override.is_delete() or override.is_add():
            raise InvalidValue(f"'{text}' adds or deletes a field; only the values of existing ones can be set.")
        values[override.key_or_group] = override.value()
    return values


def compose(
    experiment: str,
    *,
    arm: str | None = None,
    preset: str | None = None,
    seed: int | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The resolved configuration: defaults, then the preset's overrides, the arm's, the caller's.

    Raises:
        UnknownName: experiment, arm, preset or field (the nearest is suggested).
        InvalidValue: a value of the wrong type or out of range, or against a rule between fields.
    """
    found = card(experiment)
    mine = {canonical(k): v for k, v in (overrides or {}).items()}
    root = {k: mine.pop(k) for k in list(mine) if k.split(".")[0] in RESERVED and k.split(".")[0] != "optimizer"}
    rules = root.pop("rules", [])  # checked against the experiment below; Hydra knows nothing of them
    named = {"arm": arm, "preset": preset, "seed": seed}
    root.update({name: value for name, value in named.items() if value is not None})
    tree = _root(root)
    layers: list[Mapping[str, Any]] = []
    if tree["preset"]:
        layers.append(found.preset(str(tree["preset"])).overrides)
    if tree["arm"]:
        layers.append(found.arm(str(tree["arm"])).overrides)
    config = configured(found, [*layers, mine])
    tree = {"experiment": experiment, **tree, **plain(config), "rules": rules}
    return {**tree, "rules": check_rules(found, tree)}


def configured(found: Card, layers: Iterable[Mapping[str, Any]]) -> Any:
    """The card's configuration object with the layers of values on top, checked and validated."""
    config = found.config()
    controls = found.controls
    leaves = flat(config)
    for layer in layers:
        for name, value in layer.items():
            full = name if name in leaves else canonical(name)
            if full in controls:
                put(config, full, check(controls, {full: value})[full])
            elif full in leaves:
                put(config, full, _as(leaves[full], value, full))
            else:
                raise UnknownName("control", name, [*leaves, *RESERVED], where=found.id)
    config.validate()
    return config


def restored(found: Card, tree: Mapping[str, Any]) -> Any:
    """The configuration object that a run's `config.yaml` describes."""
    own = {k: v for k, v in tree.items() if k == "optimizer" or k not in RESERVED}
    return configured(found, [flat(own)])


def _root(values: Mapping[str, Any]) -> dict[str, Any]:
    """The workbench's own part, composed by Hydra from `workbench.conf` (groups: run, tracking)."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    texts = [f"{k}={v}" for k, v in values.items() if k in _GROUPS and isinstance(v, str)]
    try:
        with initialize_config_module("workbench.conf", version_base=None):
            tree = hydra_compose("config", overrides=texts)
        OmegaConf.set_struct(tree, True)
        for name, value in values.items():
            if f"{name}={value}" in texts:
                continue
            known = list(flat(_container(tree)))
            if name not in known and OmegaConf.select(tree, name, throw_on_missing=False) is None:
                raise UnknownName("field", name, known, where="the configuration of a run")
            OmegaConf.update(tree, name, dict(value) if isinstance(value, Mapping) else value)
    except (HydraException, OmegaConfBaseException) as error:
        raise InvalidValue(str(error).splitlines()[0]) from None
    plain_tree = _container(tree)
    seed = plain_tree["seed"]
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise InvalidValue(f"seed must be a whole number of at least 0; got {seed!r}.")
    return plain_tree


def _container(tree: Any) -> dict[str, Any]:
    from omegaconf import OmegaConf

    container = OmegaConf.to_container(tree, resolve=True)
    assert isinstance(container, dict)
    return {str(k): v for k, v in container.items()}


def _as(old: Any, value: Any, name: str) -> Any:
    """A launch-time constant's new value in the type of the old one."""
    if isinstance(old, bool) != isinstance(value, bool) or (
        old is not None and not isinstance(value, type(old)) and not (isinstance(old, float) and isinstance(value, int))
    ):
        raise InvalidValue(f"{name} must be {type(old).__name__}, as {old!r} is; got {value!r}.")
    return float(value) if isinstance(old, float) else value
