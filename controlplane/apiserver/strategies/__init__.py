"""What the API server does differently for each kind: defaults, preparation, validation.

One file per kind or small family of kinds, each with one object that satisfies
`strategy.Strategy`; the one order of steps that all kinds share is the registry's. Everything here
is pure: no clock, no dice, no store. What needs to know other objects (allocation of addresses,
existence of the namespace) is admission and does not belong here.
"""

from podling.controlplane.apiserver.strategies.built_in import (
    STRATEGIES,
    StrategyConfig,
    build_strategies,
)

__all__ = ["STRATEGIES", "StrategyConfig", "build_strategies"]
