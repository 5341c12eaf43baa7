"""Many planners, from bad to good, to learn how well one score predicts another."""

from dataclasses import dataclass

# By family: specs as `load_planner` takes them. The families are those of the paper's study, without its learned ones;
# in their place stand disturbed rule-based planners and disturbed humans, which err in other ways.
_FAMILIES: dict[str, tuple[str, ...]] = {
    "constant kinematics": (
        "stationary",
        "constant-velocity",
        "constant-velocity,factor=0.5",
        "constant-velocity,factor=0.8",
        "constant-velocity,factor=1.2",
        "constant-velocity,turn=true",
        "constant-velocity,turn=true,factor=0.8",
        "constant-acceleration",
        "constant-acceleration,turn=true",
        "constant-acceleration,turn=true,acceleration=-2",
        "constant-acceleration,turn=true,acceleration=-0.5",
        "constant-acceleration,turn=true,acceleration=1",
    ),
    "idm": (
        "idm",
        "idm,target_speed=3",
        "idm,target_speed=6",
        "idm,target_speed=10",
        "idm,target_speed=20",
        "idm,speed_share=0.4",
        "idm,speed_share=0.7",
        "idm,speed_share=1.3",
        "idm,headway=0.3",
        "idm,headway=0.8",
        "idm,headway=3",
        "idm,headway=5",
        "idm,gap=4",
        "idm,gap=0.2,headway=0.2",
        "idm,acceleration=0.5",
        "idm,acceleration=4",
        "idm,deceleration=1",
        "idm,deceleration=8,headway=0.5",
        "idm,lateral_offset=0.5",
        "idm,lateral_offset=-0.8",
        "idm,lateral_offset=1.2",
        "idm,lateral_offset=-2",
        "idm,lateral_offset=3",
    ),
    "idm disturbed": (
        "idm,noise_across=0.3",
        "idm,noise_across=1",
        "idm,noise_along=1",
        "idm,noise_along=3",
        "idm,noise_across=0.6,noise_along=2",
        "idm,delay=0.1",
        "idm,delay=0.2",
        "idm,delay=0.3",
        "idm,pace=0.8",
        "idm,pace=1.2",
    ),
    "pdm-closed": (
        "pdm-closed",
        "pdm-closed,speed_factor=0.3",
        "pdm-closed,speed_factor=0.6",
        "pdm-closed,speed_factor=0.8",
        "pdm-closed,speed_factor=1.25",
        "pdm-closed,speed_factor=1.6",
        "pdm-closed,headway=0.3",
        "pdm-closed,headway=0.8",
        "pdm-closed,headway=3",
        "pdm-closed,gap=4",
        "pdm-closed,acceleration=0.5",
        "pdm-closed,acceleration=3",
        "pdm-closed,deceleration=8,headway=0.5",
        "pdm-closed,lateral_offset=0.5",
        "pdm-closed,lateral_offset=-1",
        "pdm-closed,lateral_offset=2",
    ),
    "pdm-closed disturbed": (
        "pdm-closed,noise_across=0.3",
        "pdm-closed,noise_across=1",
        "pdm-closed,noise_along=1",
        "pdm-closed,noise_along=3",
        "pdm-closed,delay=0.1",
        "pdm-closed,delay=0.2",
        "pdm-closed,delay=0.3",
        "pdm-closed,pace=0.8",
        "pdm-closed,pace=1.2",
        "pdm-closed,shift=1,noise_across=0.5",
    ),
    "human disturbed": (
        "human",
        "human,noise_across=0.3",
        "human,noise_across=1",
        "human,noise_across=2",
        "human,noise_along=1",
        "human,noise_along=4",
        "human,shift=0.5",
        "human,shift=-1",
        "human,shift=2",
        "human,delay=0.1",
        "human,delay=0.2",
        "human,delay=0.3",
        "human,pace=0.6",
        "human,pace=0.9",
        "human,pace=1.1",
        "human,pace=1.3",
    ),
    "mixed": (
        "idm,headway=0.5,speed_share=1.2,delay=0.3,noise_across=0.4",
        "idm,headway=2.5,speed_share=0.6,noise_across=0.8,noise_along=1",
        "idm,lateral_offset=0.7,pace=0.9,delay=0.2",
        "pdm-closed,speed_factor=1.3,headway=0.5,noise_along=2",
        "pdm-closed,speed_factor=0.7,delay=0.3,noise_across=0.6",
        "human,pace=0.8,delay=0.3,noise_across=0.6",
        "human,pace=1.15,shift=-0.7,noise_along=2",
        "constant-velocity,turn=true,noise_across=0.5",
    ),
}


@dataclass(frozen=True)
class Member:
    """A planner of the population.

    Attributes:
        family: which idea of driving it varies.
        spec: for `load_planner`; the planner is the same wherever it is loaded.
    """

    family: str
    spec: str


def population() -> tuple[Member, ...]:
    """The planners of the study, the same in every run; no two have the same spec."""
    return tuple(Member(family, spec) for family, specs in _FAMILIES.items() for spec in specs)
