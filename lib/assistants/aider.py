"""`aider`, which prints for people, and exits 0 on every error of its service. Behaviour as seen with 0.86.2.

Variant: a model. It has no sessions; a later turn of the same builder is given the history of the earlier ones. Its
text is judged: a `litellm.…Error` is a failure until a message is answered, which its line about tokens tells. The
exact numbers are in its analytics log, which is never sent anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.assistants import _kinds
from lib.assistants._program import PROVIDERS, Program, further, model_of
from lib.assistants._reading import count, mapping, money, parse_object
from lib.contracts import SIDE_OUTPUT, AssistantEvent, Safety, Turn
from lib.model import Usage

#: Used for its history where others have a session's id.
SESSION = "chat-history"
#: Roles that are asked for an answer, and not for changes.
_ASKED = frozenset({"architect", "reviewer"})
#: What it prints beside its model's words.
_NOISE = re.compile(
    r"(?:Analytics have|Detected dumb|Update git|HTTPSConnectionPool|Aider v|(?:Main |Weak |Editor )?[Mm]odel:"
    r"|Git repo:|Repo-map:|https://aider\.chat|Restored previous|Warning|The API provider|Retrying in|error \d{3}$"
    r"|Added .* to the chat|Note: in-chat|Cur working dir|Git working dir|\s*$)"
)
_ERROR = re.compile(r"litellm\.(\w+)")
#: HTTP statuses of its errors; those without one are known by their words.
_STATUSES = {
    "AuthenticationError": 401,
    "PermissionDeniedError": 403,
    "NotFoundError": 404,
    "BadRequestError": 400,
    "UnprocessableEntityError": 422,
    "RateLimitError": 429,
    "InternalServerError": 500,
    "BadGatewayError": 502,
    "ServiceUnavailableError": 503,
    "Timeout": 408,
}
_ERRORS = {"APIError": "server", "APIConnectionError": "network", "BudgetExceededError": "credits",
           "ContextWindowExceededError": "context_full", "ContentPolicyViolationError": "refused"}  # fmt: skip
_TOKENS = re.compile(r"Tokens: ([\d.,]+)(k|M)? sent,.* ([\d.,]+)(k|M)? received\.(?: Cost: \$([\d.]+) message)?")
_FACTORS = {"": 1, "k": 1000, "M": 1_000_000}


def arguments(turn: Turn, session: str) -> Sequence[str]:
    keep, scratch = Path(turn.keep or turn.scratch), Path(turn.scratch)
    argv = ["--message-file", "/dev/stdin", "--yes-always", "--no-auto-commits", "--no-dirty-commits", "--no-gitignore"]
    argv += ["--no-check-update", "--no-show-release-notes", "--analytics-disable", "--no-pretty", "--no-stream"]
    argv += ["--no-show-model-warnings", "--no-detect-urls", "--no-suggest-shell-commands"]
    argv += ["--map-tokens", "0"]  # its map of the repository would be kept in the worktree
    argv += ["--analytics-log", str(scratch / SIDE_OUTPUT), "--chat-history-file", str(keep / "aider.chat.md")]
    argv += ["--input-history-file", str(scratch / "aider.input")]
    argv += ["--restore-chat-history"] if session else []
    argv += ["--chat-mode", "ask"] if turn.role in _ASKED else []
    return [*argv, *model_of(turn), *further(turn)]


def parse(line: str) -> Sequence[AssistantEvent]:
    """A line that it printed, or one of its analytics log, which is an object."""
    if line.startswith('{"event": '):
        data = parse_object(line)
        return tuple(_logged(data)) if "user_id" in data else _said(line)
    return _said(line)


def _said(line: str) -> Sequence[AssistantEvent]:
    if error := _ERROR.match(line):
        kind = _kinds.kind_of(line, _STATUSES.get(error[1]), error[1]) or _ERRORS.get(error[1]) or "no_result"
        return (AssistantEvent(kind="retrying", text=line, error=kind),)
    if tokens := _TOKENS.match(line):
        used = Usage(input_tokens=_tokens(tokens[1], tokens[2]), output_tokens=_tokens(tokens[3], tokens[4]),
                     cost_usd=money(_number(tokens[5] or "0")))  # fmt: skip
        return (AssistantEvent(kind="usage", usage=used), AssistantEvent(kind="finished", session=SESSION, ok=True))
    return () if _NOISE.match(line) else (AssistantEvent(kind="text", text=line),)


def _logged(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    told = mapping(data.get("properties"))
    if data["event"] == "launched":  # what follows is exact, and replaces what it printed
        yield AssistantEvent(kind="usage", usage=Usage(), cumulative=True)
    elif data["event"] == "message_send":
        used = Usage(input_tokens=count(told.get("prompt_tokens")), output_tokens=count(told.get("completion_tokens")),
                     cost_usd=money(told.get("cost")))  # fmt: skip
        yield AssistantEvent(kind="usage", usage=used)


def _tokens(number: str, unit: str | None) -> int:
    return count(round(_number(number) * _FACTORS[unit or ""]))


def _number(text: str) -> float:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return 0.0


assistant = Program(
    name="aider",
    install="uv tool install aider-chat",
    login="",
    tested=("0.86.2", "0.86.2"),
    tells_cost=True,
    arguments=arguments,
    parser=parse,
    credentials=("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY", "GEMINI_API_KEY", "DEEPSEEK_API_KEY",
                 "~/.aider.conf.yml"),
    declared=Safety(
        logins=("~/.aider", "~/.aider.conf.yml"),
        guarded=("oauth-keys.env",),  # variables that it starts with, AIDER_LINT_CMD among them
        starters={"~/.aider/oauth-keys.env": ""},
        steering=(".aider*",),
    ),
    # Wide enough that no error is broken into lines.
    env={
        "COLUMNS": "10000",
        "AIDER_ANALYTICS": "false",
        "AIDER_CHECK_UPDATE": "false",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks for a price list at each start
    },
    folders=("~/.aider",),
    variables=("AIDER_*", *PROVIDERS),
    remedies={"auth": "$EDITOR ~/.aider.conf.yml"},
)  # fmt: skip
