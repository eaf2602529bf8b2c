"""The end of a case against what it expects: a sentence for each difference. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from lib.display import clip
from lib.steps import StepStatus
from lib.workflow.cases import Expect, Outcome
from orchestrator.rehearsal.cases import Ended

_GOOD: Final = (Outcome.LANDED.value, Outcome.DONE.value)
_SHOWN: Final = 300


def differences(expect: Expect, ended: Ended) -> list[str]:
    """All that is not as it was expected, with what came instead."""
    return [*_outcome(expect, ended), *_steps(expect, ended), *_order(expect, ended), *_outputs(expect, ended),
            *_prompts(expect, ended)]  # fmt: skip


def _outcome(expect: Expect, ended: Ended) -> Iterator[str]:
    wanted = (expect.outcome.value,) if expect.outcome else _GOOD
    if ended.outcome not in wanted:
        yield f"outcome: expected {' or '.join(wanted)}, got {ended.outcome}: {_short(ended.message)}"
    for text in expect.says:
        if text not in ended.message:
            yield f"message: expected {_json(text)}, got {_json(_short(ended.message))}"


def _steps(expect: Expect, ended: Ended) -> Iterator[str]:
    for name, status in expect.steps.items():
        known = _records(name, ended)
        got = ended.statuses[known[-1]] if known else StepStatus.PENDING.value
        if got != status:
            why = ended.why[known[-1]] if known else ""
            yield f"{name}: expected {status}, got {got}{f' ({_short(why)})' if why else ''}"
    for name, count in expect.attempts.items():
        began = sum(_is(name, each, ended) for each in ended.order)
        if began != count:
            yield f"{name}: expected {_times(count)}, got {_times(began)}"


def _order(expect: Expect, ended: Ended) -> Iterator[str]:
    left = list(expect.order)
    for name in ended.order:
        if left and _is(left[0], name, ended):
            left.pop(0)
    if left:
        yield f"order: expected {arrows(expect.order)}, got {arrows(ended.order)}"


def _outputs(expect: Expect, ended: Ended) -> Iterator[str]:
    for name, value in expect.outputs.items():
        if name not in ended.outputs:
            yield f"output {name}: expected {_json(value)}, got none"
        elif ended.outputs[name] != value:
            yield f"output {name}: expected {_json(value)}, got {_json(ended.outputs[name])}"


def _prompts(expect: Expect, ended: Ended) -> Iterator[str]:
    for name, texts in expect.prompts.items():
        asked = [words for each in ended.asked if _is(name, each, ended) for words in ended.asked[each]]
        for text in texts:
            if not any(text in words for words in asked):
                yield f"prompt of {name}: expected {_json(text)}, got {_json(asked[-1]) if asked else 'none'}"


def arrows(names: Sequence[str]) -> str:
    """Ids in their order; one that comes several times in a row is counted."""
    told: list[tuple[str, int]] = []
    for name in names:
        if told and told[-1][0] == name:
            told[-1] = name, told[-1][1] + 1
        else:
            told.append((name, 1))
    return " → ".join(f"{name} ×{count}" if count > 1 else name for name, count in told) or "nothing"  # noqa: RUF001


def _records(name: str, ended: Ended) -> list[str]:
    return [name] if name in ended.statuses else [each for each in ended.statuses if _is(name, each, ended)]


def _is(name: str, step: str, ended: Ended) -> bool:
    """True if a step is the one of that name, or one of its instances or turns."""
    return name in {step, ended.nodes[step]}


def _times(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"


def _short(text: str) -> str:
    return clip(" ".join(text.split()), _SHOWN)


def _json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return clip(json.dumps(value, ensure_ascii=False), _SHOWN)
