"""Designs: read from what an architect said, checked, put in order, shown. Pure.

What is wrong is said in sentences that an assistant can act on, since that is whom they go back to.
"""

from __future__ import annotations

import difflib
import graphlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lib.design.final_json import MAX_SEARCHED, last_object
from lib.design.globs import overlap
from lib.display import escaped
from lib.errors import RelayError
from lib.model import Component, Design
from lib.names import shown_data
from lib.project.paths import RESERVED

#: The code of a design that can't be built.
DESIGN_INVALID: Final = "design_invalid"
MAX_WARNINGS: Final = 20

_SLUG_RULE: Final = "lower-case letters, digits, - and _, beginning with a letter or digit, at most 63 characters"


def parse_design(text: str) -> Design:
    """The design in a file, or in the last JSON object with `components` of a message, fenced or bare.

    Raises `RelayError` (`design_missing`, `design_invalid`) that says what to write instead.
    """
    try:
        found = _last_object(text)
        found = shown_data(found)  # lone surrogates are valid in JSON and can't be written to any file
        design = Design.model_validate(_without_blanks(found))
        design.model_dump_json()  # refuses what no later event could hold
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=True)
        problems = "; ".join(dict.fromkeys(_sentence(detail, found) for detail in details))
        raise _invalid(problems) from error
    except (RecursionError, ValueError) as error:
        raise _invalid("it is nested too deeply or holds numbers out of range; write `interfaces` as text") from error
    return design


def check(design: Design) -> tuple[list[str], list[str]]:
    """Errors, which keep the design from being built, and warnings, which only deserve a look, as sentences."""
    ids = [component.id for component in design.components]
    errors = [
        f'two components have the id "{name}"; give each its own' for name in dict.fromkeys(ids) if ids.count(name) > 1
    ]
    errors += [f'the id "{name}" is reserved; choose another' for name in ids if name in RESERVED]
    errors += [problem for component in design.components for problem in _dependency_problems(component, ids)]
    if not errors and (cycle := _cycle(design.components)):
        errors.append(f"the dependencies form a cycle: {' → '.join(cycle)}; remove one of them")
    return errors, _overlaps(design.components)


def order(components: Iterable[Component]) -> tuple[str, ...]:
    """The ids so that each comes after those it depends on, otherwise as listed; unknown dependencies don't count.

    Requires a graph without cycles, as `check` makes sure.
    """
    return tuple(_sorter(components).static_order())


def as_json(design: Design) -> str:
    """The design as it is kept in a file that a person may edit."""
    return json.dumps(design.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def as_markdown(design: Design, requirement: str) -> str:
    """The design as a page to read before approving it, with a picture of the dependencies (Mermaid)."""
    quoted = "\n".join(f"> {line}".rstrip() for line in requirement.strip().splitlines())
    parts = ["# Design", quoted, design.summary.strip(), _picture(design.components)]
    parts += [_section(component) for component in design.components]
    return escaped("\n\n".join(part for part in parts if part) + "\n", keep_newlines=True)


def _last_object(text: str) -> dict[str, Any]:
    """The last object with the key `components`, as `last_object` finds it."""
    found, failure = last_object(text, "components")
    if found is not None:
        return found
    if failure is not None and '"components"' in text[-MAX_SEARCHED:]:
        raise _invalid(f"the JSON breaks off at line {failure.lineno}, column {failure.colno}: {failure.msg}")
    message = 'no design was found: end with one JSON object that has the key "components"'
    raise RelayError(message, remedy='relay reject "what to do differently"', code="design_missing")


def _invalid(problems: str) -> RelayError:
    return RelayError(problems, remedy='relay reject "what to do differently"', code=DESIGN_INVALID)


def _without_blanks(found: Mapping[str, Any]) -> dict[str, Any]:
    """The object with nulls and blank commands left out, which models write for "none"."""
    components = found["components"]
    if isinstance(components, list):
        components = [_filled(part) if isinstance(part, dict) else part for part in components]
    return {**_filled(found), "components": components}


def _filled(part: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in part.items()
        if value is not None and not (key == "verify" and isinstance(value, str) and not value.strip())
    }


def _sentence(detail: ErrorDetails, found: Mapping[str, Any]) -> str:
    """One error of the model, with the component named as a person would."""
    where = list(detail["loc"])
    subject = "the design"
    if where[0] == "components" and len(where) > 1 and isinstance(where[1], int):
        part = found["components"][where[1]]
        name = part.get("id") if isinstance(part, dict) else None
        subject = f'component "{name}"' if isinstance(name, str) else f"component {where[1] + 1}"
        where = where[2:]
    key = ".".join(str(step) for step in where)
    if key == "id" and detail["type"] == "string_pattern_mismatch":
        return f"{subject}: its id may only have {_SLUG_RULE}"
    if detail["type"] == "missing":
        return f'{subject} has no "{key}"'
    reason = detail["msg"].replace("valid tuple", "list of strings").replace("Tuple", "List")
    return f"{subject}: {key or 'it'}: {reason}"


def _dependency_problems(component: Component, ids: list[str]) -> Iterable[str]:
    for name in component.depends_on:
        if name == component.id:
            yield f'"{component.id}" depends on itself; remove that'
        elif name not in ids:
            near = difflib.get_close_matches(name, ids, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(ids)}"
            yield f'"{component.id}" depends on "{name}", which is no component; {hint}'


def _sorter(components: Iterable[Component]) -> graphlib.TopologicalSorter[str]:
    parts = {component.id: component for component in components}
    return graphlib.TopologicalSorter(
        {name: [need for need in part.depends_on if need in parts] for name, part in parts.items()}
    )


def _cycle(components: Iterable[Component]) -> list[str]:
    """The ids along a cycle, the first one repeated at its end, each depending on the next; empty if there is none."""
    try:
        _sorter(components).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return []


def _overlaps(components: Iterable[Component]) -> list[str]:
    warnings = []
    for left, right in itertools.combinations(components, 2):
        shared = [(mine, theirs) for mine in left.files for theirs in right.files if overlap(mine, theirs)]
        if shared:
            mine, theirs = shared[0]
            same = mine if mine == theirs else f"{mine} and {theirs}"
            warnings.append(f'"{left.id}" and "{right.id}" may both write {same}')
    more = len(warnings) - MAX_WARNINGS
    return warnings if more <= 0 else [*warnings[:MAX_WARNINGS], f"and {more} more overlaps of files"]


def _picture(components: Iterable[Component]) -> str:
    """A Mermaid flowchart: arrows go from what is needed to what needs it. Node names are our own, labels quoted."""
    nodes = {component.id: f"c{index}" for index, component in enumerate(components)}
    lines = [f'    {nodes[part.id]}["{_label(part)}"]' for part in components]
    lines += [
        f"    {nodes[need]} --> {nodes[part.id]}" for part in components for need in part.depends_on if need in nodes
    ]
    return "\n".join(["```mermaid", "flowchart LR", *lines, "```"])


def _label(component: Component) -> str:
    """Id and title; Mermaid's entity codes (`#quot;`) for all that could end the label or start markup."""
    text = f"{component.id}: {component.title}" if component.title else component.id
    return re.sub(r"[^\w\s.,:()/+*\'-]", lambda match: "".join(f"#{ord(char)};" for char in match[0]), _line(text))


def _section(component: Component) -> str:
    head = f"## {component.id}" + (f": {_line(component.title)}" if component.title else "")
    facts = [
        ("Depends on", ", ".join(component.depends_on)),
        ("Files", ", ".join(f"`{_line(pattern)}`" for pattern in component.files)),
        ("Verify", f"`{_line(component.verify)}`" if component.verify else ""),
    ]
    listed = "\n".join(f"- {name}: {value}" for name, value in facts if value)
    accepted = "\n".join(f"- [ ] {_line(item)}" for item in component.acceptance)
    return "\n\n".join(
        part for part in (head, component.purpose.strip(), listed, _interfaces(component), accepted) if part
    )


def _interfaces(component: Component) -> str:
    shown = component.interfaces
    if not shown:
        return ""
    text = shown if isinstance(shown, str) else json.dumps(shown, indent=2, ensure_ascii=False)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"Interfaces:\n\n{fence}\n{text.strip()}\n{fence}"


def _line(text: str) -> str:
    return " ".join(text.split())
