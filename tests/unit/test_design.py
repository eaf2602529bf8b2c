"""Designs are found in what an architect says, checked in sentences, ordered and shown."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.design.document import as_json, as_markdown, check, order, parse_design
from lib.errors import RelayError
from lib.model import Component, Design


def design(*components: dict[str, Any], **fields: str) -> str:
    return json.dumps({"summary": "s", "components": list(components), **fields})


def refused(text: str) -> str:
    with pytest.raises(RelayError) as caught:
        parse_design(text)
    assert caught.value.remedy
    return caught.value.message


def errors_of(*components: dict[str, Any]) -> list[str]:
    return check(parse_design(design(*components)))[0]


def warnings_of(*components: dict[str, Any]) -> list[str]:
    return check(parse_design(design(*components)))[1]


class TestParsing:
    def test_takes_the_last_design_of_a_message(self) -> None:
        text = f"First {design({'id': 'old'})}, but better:\n```json\n{design({'id': 'new'})}\n```\nDone {{really}}."
        assert [part.id for part in parse_design(text).components] == ["new"]

    def test_reads_over_braces_in_prose_and_code(self) -> None:
        text = (
            f'Use {{x}} and `{{"a": 1` or {{ "b": [}} and {{"c": 2}}.\n{design({"id": "api"})}\nNow {{"status": "ok"}}'
        )
        assert parse_design(text).components[0].id == "api"

    def test_a_component_with_components_of_its_own_is_no_design(self) -> None:
        text = design({"id": "outer", "components": [{"id": "inner"}]})
        assert [part.id for part in parse_design(text).components] == ["outer"]

    def test_ignores_unknown_keys_and_nulls(self) -> None:
        parsed = parse_design(design({"id": "a", "effort": 3, "verify": None, "depends_on": None}, risk="low"))
        assert parsed.components[0].verify is None
        assert parsed.components[0].depends_on == ()

    def test_a_blank_command_verifies_nothing_and_counts_as_none(self) -> None:
        assert parse_design(design({"id": "a", "verify": "  "})).components[0].verify is None

    def test_reads_its_own_file_back_whatever_its_size(self) -> None:
        parts = [Component(id=f"c{n}", title='é ✓ "x"', purpose="p" * 2000, files=("a/*",)) for n in range(300)]
        big = Design(summary="s", components=tuple(parts))
        assert parse_design(as_json(big)) == big

    def test_says_that_there_is_none(self) -> None:
        assert '"components"' in refused("I could not decide. {nothing}")

    def test_says_where_broken_json_breaks(self) -> None:
        message = refused('Here:\n{"components": [\n  {"id": "a"},\n  {"id": "b" "title": "B"}\n]}')
        assert "line 4, column 14" in message

    def test_names_the_component_and_the_key_that_are_wrong(self) -> None:
        message = refused(design({"id": "api", "depends_on": "db"}, {"title": "no id"}, {"id": "Bad Id"}))
        assert 'component "api": depends_on' in message
        assert 'component 2 has no "id"' in message
        assert 'component "Bad Id": its id may only have lower-case letters' in message

    @pytest.mark.parametrize("bad", ["../x", "-d", "--output=F", "a/b", "a\nb", "é", "", "a" * 64])
    def test_refuses_ids_that_could_be_read_as_paths_or_options(self, bad: str) -> None:
        assert "its id" in refused(design({"id": bad}))

    def test_refuses_a_design_without_components(self) -> None:
        assert "components" in refused(design())

    def test_what_no_file_could_hold_is_mended_or_refused(self) -> None:
        lone = parse_design('{"components": [{"id": "a", "title": "\\ud800x", "interfaces": {"k": "\\udfff"}}]}')
        as_json(lone).encode()
        as_markdown(lone, "r").encode()
        deep = '{"a":' * 500 + "1" + "}" * 500
        assert "nested too deeply" in refused('{"components": [{"id": "a", "interfaces": ' + deep + "}]}")
        assert "out of range" in refused('{"components": [{"id": "a", "interfaces": ' + "9" * 5000 + "}]}")

    @given(st.text())
    def test_any_text_gives_a_design_or_an_error_with_a_remedy(self, text: str) -> None:
        refused(text)

    @pytest.mark.parametrize("around", ['{{"design": {0}}}', '{{"answer": {{"design": {0}}}}}'])
    def test_what_is_only_put_around_a_design_is_taken_off(self, around: str) -> None:
        assert parse_design(around.format(design({"id": "a"}))).components[0].id == "a"

    def test_a_design_among_other_things_of_an_object_is_none(self) -> None:
        assert "no design was found" in refused(f'{{"was": {design({"id": "a"})}, "why": "an example"}}')

    @given(st.text(alphabet='{}[]",\\ a1'), st.text(alphabet='`{}[]" \n'))
    def test_a_whole_design_is_found_after_anything(self, before: str, after: str) -> None:
        # Without a colon before it, no object can have it as a member.
        assert parse_design(f"{before}\n{design({'id': 'a'})}\n{after}").components[0].id == "a"


class TestChecking:
    def test_a_sound_design_has_neither_errors_nor_warnings(self) -> None:
        parts = [{"id": "a", "files": ["a.py"]}, {"id": "b", "files": ["b.py"], "depends_on": ["a"]}]
        assert check(parse_design(design(*parts))) == ([], [])

    def test_names_a_cycle_in_the_order_of_dependence(self) -> None:
        cycle = [{"id": "a", "depends_on": ["b"]}, {"id": "b", "depends_on": ["c"]}, {"id": "c", "depends_on": ["a"]}]
        [error] = errors_of(*cycle, {"id": "d", "depends_on": ["a"]})
        walk = error.split(": ")[1].split(";")[0].split(" → ")
        needs = {part["id"]: part["depends_on"] for part in cycle}
        assert walk[0] == walk[-1]
        assert all(after in needs[before] for before, after in pairwise(walk))

    def test_tells_unknown_and_own_dependencies(self) -> None:
        errors = errors_of({"id": "api", "depends_on": ["api", "storag"]}, {"id": "storage"})
        assert errors[0] == '"api" depends on itself; remove that'
        assert 'did you mean "storage"?' in errors[1]

    def test_tells_ids_that_are_taken(self) -> None:
        errors = errors_of({"id": "a"}, {"id": "a"}, {"id": "merged"}, {"id": "architect"})
        assert len(errors) == 3
        assert '"a"' in errors[0]
        assert '"merged" is reserved' in errors[1]

    def test_warns_of_files_with_two_owners(self) -> None:
        owners = [{"id": "a", "files": ["src/**"]}, {"id": "b", "files": ["docs/x.md", "src/b.py"]}, {"id": "c"}]
        assert warnings_of(*owners) == ['"a" and "b" may both write src/** and src/b.py']

    def test_warns_at_most_so_often(self) -> None:
        assert len(warnings_of(*({"id": f"c{n}", "files": ["x"]} for n in range(20)))) == 21


@st.composite
def graphs(draw: st.DrawFn) -> list[Component]:
    """Components in any order whose dependencies have no cycle; some name what does not exist."""
    count = draw(st.integers(1, 12))
    needs = [draw(st.sets(st.integers(0, max(0, n - 1)))) if n else set() for n in range(count)]
    parts = [Component(id=f"c{n}", depends_on=(*(f"c{m}" for m in needs[n]), "gone")) for n in range(count)]
    return draw(st.permutations(parts))


@given(graphs())
def test_the_order_has_every_id_once_after_all_that_it_needs(parts: list[Component]) -> None:
    ids = order(parts)
    assert sorted(ids) == sorted(part.id for part in parts)
    place = {name: index for index, name in enumerate(ids)}
    for part in parts:
        assert all(place[need] < place[part.id] for need in part.depends_on if need in place)
    assert order(parts) == ids


def test_independent_components_keep_their_order() -> None:
    assert order([Component(id=name) for name in ("z", "a", "m")]) == ("z", "a", "m")


class TestPage:
    def test_shows_requirement_components_and_graph(self) -> None:
        parsed = parse_design(
            design(
                {"id": "db", "title": "Storage", "files": ["db.py"], "acceptance": ["It keeps."], "verify": "true"},
                {"id": "api", "purpose": "Serves.", "depends_on": ["db"], "interfaces": {"GET": "/users"}},
            )
        )
        page = as_markdown(parsed, "Build it\nwell")
        for part in ("> Build it\n> well", "c0 --> c1", "## db: Storage", "- Files: `db.py`", "- Verify: `true`",
                     "- [ ] It keeps.", "- Depends on: db", '"GET": "/users"'):  # fmt: skip
            assert part in page

    def test_a_label_can_not_leave_its_quotes(self) -> None:
        title = 'a"]\n    click c0 "javascript:alert(1)" <b> `#'
        page = as_markdown(Design(components=(Component(id="end", title=title),)), "r")
        graph = page.split("```mermaid\n")[1].split("\n```")[0].splitlines()
        assert len(graph) == 2
        assert graph[1].count('"') == 2
        assert not set("<>`]") & set(graph[1][graph[1].index('"') : graph[1].rindex('"')])

    def test_an_interface_can_not_leave_its_fence(self) -> None:
        page = as_markdown(Design(components=(Component(id="a", interfaces="x\n```\n# no heading"),)), "r")
        assert "````\nx\n```\n# no heading\n````" in page

    def test_carries_nothing_that_drives_a_terminal(self) -> None:
        assert "\x1b" not in as_markdown(Design(summary="\x1b[2J", components=(Component(id="a"),)), "\x1b]52;")
