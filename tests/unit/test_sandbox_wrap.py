"""The command that contains a job, made of its policy alone."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lib.sandbox import Access, Policy, wrap

NAMES = st.sampled_from(["a", "b", "c", "tmp"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda parts: Path("/", *parts))


def mounted(command: tuple[str, ...]) -> list[str]:
    """The places that `command` mounts something on beside the root and what is always there, in its order."""
    begin = command.index("/proc/sysrq-trigger") + 2
    options = command[begin : command.index("--chdir")]
    ends = {"--bind", "--ro-bind", "--tmpfs", "--perms", "--size"}
    return [one for one, after in pairwise((*options, "--bind")) if after in ends and one.startswith("/")]


@given(st.dictionaries(PATHS, st.sampled_from(Access), max_size=12))
def test_each_place_is_mounted_once_and_after_all_that_it_lies_in(access: dict[Path, Access]) -> None:
    places = [Path(place) for place in mounted(wrap(["true"], Policy(Path("/w"), Path("/s"), access, memory_max=1)))]
    assert sorted(places) == sorted(access)
    for index, place in enumerate(places):
        assert not [later for later in places[index + 1 :] if place.is_relative_to(later)]


@given(st.lists(st.text(min_size=1), min_size=1))
def test_the_program_and_its_arguments_end_the_command(argv: list[str]) -> None:
    command = wrap(argv, Policy(Path("/w"), Path("/s"), {}))
    assert list(command[-len(argv) :]) == argv
    assert command[: command.index("--")].count("--die-with-parent") == 1


def test_nothing_keeps_a_capability_but_root_over_files() -> None:
    plain, root = (wrap(["true"], Policy(Path("/w"), Path("/s"), {}, is_root=is_root)) for is_root in (False, True))
    assert "--cap-add" not in plain
    added = [name for option, name in pairwise(root) if option == "--cap-add"]
    assert added == ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"]
