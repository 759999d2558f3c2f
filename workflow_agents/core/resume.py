"""What a resumed run takes over of the run that failed. Pure.

Every success is taken over. A failure of a step is taken over only where the code has caught
it, which shows in what the same branch, or one that it forked afterwards, recorded later. The
failures at the frontier are what the run is resumed for: those steps run again.
"""

from collections.abc import Sequence

from workflow_agents.protocol.history import Recorded, StepKey


def left_out(recorded: Sequence[Recorded]) -> list[StepKey]:
    """The keys of the failed steps that a resumed run tries again."""
    places = [_place(r.key) for r in recorded]
    return [
        failed.key
        for i, (failed, (path, position)) in enumerate(zip(recorded, places, strict=True))
        if not failed.ok and not any(_is_behind(p, n, path, position) for p, n in places[i + 1 :])
    ]


def _place(key: StepKey) -> tuple[str, int]:
    if isinstance(key, int):
        return "", key
    path, _, position = key.rpartition("/")
    return f"{path}/", int(position)


def _is_behind(path: str, position: int, branch: str, at: int) -> bool:
    """Whether a place comes after position `at` of a branch, in it or in its later forks."""
    if path == branch:
        return position > at
    if not path.startswith(branch):
        return False
    forked_at = path[len(branch) :].partition(".")[0]
    return int(forked_at) >= at
