"""The kind of a failure that a service or its program tells: one table, asked by all adapters. Pure.

Structure (an HTTP status, the type or code of an error) goes before wording. Names and wordings as met
in public issues of claude, codex, gemini, qwen, opencode, copilot and aider, and in the error tables of the services
(docs.anthropic.com/en/api/errors, platform.openai.com/docs/guides/error-codes, ai.google.dev/gemini-api/docs); the
tests have them one by one.

- `auth`: no valid login; an account or organization that is disabled. `credits`: the plan, credits or quota are used
  up, and no time lifts that. `model`: the model is not to be had with this account, or does not exist.
- `context_full`: the conversation, or the prompt, is longer than the model takes. `refused`: the request is refused for
  good, for a reason that is none of these.
- `rate_limit`, `server`, `network`, `busy`: it passes. `timeout`: the program's own limit of time.
"""

from __future__ import annotations

import re
from typing import Final

from lib.assistants._limits import is_timed

#: Kinds that no waiting mends.
FINAL: Final = frozenset({"auth", "credits", "model", "context_full", "refused"})

_TYPES: Final = {
    "rate_limit": "rate_limit_error rate_limit_exceeded rate_limited usage_limit_reached usage_limit_exceeded "
    "resource_exhausted too_many_requests throttling throttlingexception limit_requests",
    "credits": "insufficient_quota quota_exceeded quota billing_error billing_hard_limit_reached billing_not_active "
    "usage_not_included insufficient_user_quota arrearage payment_required insufficient_credits insufficient_balance "
    "credits_exhausted spend_limit_reached creditserror credits_error",
    "auth": "authentication_error authentication_failed authentication invalid_api_key unauthenticated unauthorized "
    "authorization token_expired refresh_token_reused refresh_token_expired refresh_token_invalidated "
    "token_invalidated "
    "token_revoked account_deactivated organization_deactivated oauth_org_not_allowed invalid_grant api_key_invalid "
    "deactivated_workspace",
    "model": "model_not_found model_not_supported unsupported_model model_not_available deploymentnotfound "
    "providermodelnotfounderror modelnotfounderror model_not_enabled",
    "context_full": "context_length_exceeded context_window_exceeded contextoverflowerror request_too_large "
    "context_limit model_max_prompt_tokens_exceeded string_above_max_length contextwindowexceedederror",
    "server": "api_error overloaded_error server_error server_is_overloaded internal_error internal unavailable "
    "service_unavailable",
    "refused": "content_policy_violation content_filter cyber_policy_violation datainspectionfailed",
}
_KIND_OF_TYPE: Final = {name: kind for kind, names in _TYPES.items() for name in names.split()}
#: Types that say as much as their HTTP status, so that the words may say more.
_STATUS_OF_TYPE: Final = {
    "invalid_request_error": 400, "invalid_request": 400, "invalid_argument": 400, "failed_precondition": 400,
    "permission_error": 403, "permission_denied": 403, "not_found_error": 404, "not_found": 404,
    "rate_limit_error": 429, "rate_limit": 429, "rate_limit_exceeded": 429, "rate_limited": 429,
    "resource_exhausted": 429,
    "too_many_requests": 429,
}  # fmt: skip

_STATUS: Final = re.compile(
    r"\b(?:api error|status|error|code|http|rejected|failed)(?:\W{1,4}|\W{1,2}exceeded retry limit, last status: )"
    r"(?:code\W{0,4})?([45]\d\d)\b",
    re.IGNORECASE,
)
_LEADING_STATUS: Final = re.compile(r"\W{0,3}([45]\d\d)\s+(?:[A-Z{\"]|[a-z]+ )")
_TYPE: Final = re.compile(r"[\"'](?:type|code|status|reason|error|name)\\?[\"']\s*:\s*\\?[\"']([\w.-]{3,60})\\?[\"']")

#: The first kind whose words are found; the ones that no waiting mends are the more exact, and come first.
_WORDS: Final = {
    "timeout": r"wall[- ]?(?:clock|time)\b|fatalbudgetexceeded",
    "busy": r"database is locked|sqlite_busy|failed query:\s+(?:create|alter|insert into .{0,3}__drizzle)",
    "context_full": r"prompt is too long|(?:input|prompt|conversation|request|message)s? (?:is|are) too (?:long|large)"
    r"|(?:context|conversation)[ _-]?(?:length|window|limit)|maximum context|context overflow|ran out of room"
    r"|exceeds? the (?:maximum|max|limit).{0,30}tokens|token limit|input length|token count .{0,30}exceeds"
    r"|too many (?:input |prompt )?tokens|request (?:entity )?too large|start a new (?:conversation|thread|session)",
    "model": r"models?\b.{0,90}?\b(?:not supported|unsupported|not found|(?:does|may) not exist|not (?:yet )?available"
    r"|unavailable (?:for|to|on|with)|not allowed|not enabled|isn.t (?:available|supported|enabled)|no longer"
    r"|has been (?:retired|deprecated|removed)|requires? a newer|is not a valid)"
    r"|(?:unknown|invalid|unsupported|unrecognized|no such) model|no access to (?:the |this )?model|no endpoints found"
    r"|not have access to (?:the |this )?(?:selected )?model|issue with the selected model|not a valid model"
    r"|modelnotfound|not a supported model",
    "credits": r"billing|credit balance|insufficient.{0,12}(?:funds|credits?|balance|quota)|payment required|arrear"
    r"|out of (?:\w+ )?(?:credits?|usage|extra usage|funds|tokens|quota|premium requests)|no (?:more )?quota"
    r"|(?:credits?|quota|balance|free (?:tier|trial|usage)) (?:\w+ )?(?:have|has|is|are|been|\W)?.{0,20}"
    r"(?:exhausted|used up|depleted|expired|run out|ended)|spend(?:ing)? (?:limit|cap)|check your plan"
    r"|(?:monthly|yearly|annual|overage|premium requests?) (?:\w+ )?(?:limit|quota|allowance|cap)\b"
    r"|premium request allowance|upgrade (?:your plan|to (?:pro|plus|increase|continue))|not included (?:in|with) your"
    r"|(?:usage|allocation|allowance|seat|subscription|plan)\b.{0,40}(?:disabled by|revoked by|has (?:expired|ended)"
    r"|(?:is|was) (?:cancell?ed|inactive|not active))|no active (?:subscription|plan)|limit: 0\b"
    r"|add (?:more )?(?:credits|funds)|top[- ]up|purchase (?:more )?credits",
    "rate_limit": r"(?:usage|session|weekly|hourly|hour|rate|daily|day|request|opus|sonnet)s?[ _-]?limit"
    r"|limit (?:reached|exceeded|hit)|(?:hit|reached|exceeded|at) your .{0,40}(?:limit|cap|quota)|too many requests"
    r"|exhausted your|resource.{0,10}exhausted|quota|rate[- ]limit|throttl|limit will reset|ratelimit",
    "auth": r"unauthori[sz]ed|unauthenticated|not able to authenticate|authenticat\w+ (?:error|failed|required)"
    r"|failed to authenticate|not authenticated|re-?authenticate|(?:invalid|incorrect|expired|revoked|missing) "
    r"(?:\w+ )?(?:api[ _-]?key|credentials?|token)\b|invalid.{0,20}key"
    r"|(?:api[ _-]?key|(?:access|auth|oauth|refresh|bearer|session|your) token|credentials?|login|oauth\w*).{0,60}"
    r"(?:not valid|invalid|not found|is missing|expired|revoked|could not be refreshed|already (?:been )?used|reused)"
    r"|refresh token|not logged in|(?:please|must|need to) (?:re-?)?(?:log|sign)[ -]?(?:in|out)"
    r"|(?:log|sign) in (?:again|to)"
    r"|signing in again|logged out|/login|login required|auth (?:method|type)|permission_denied|forbidden|access denied"
    r"|(?:account|organi[sz]ation|workspace)\b.{0,40}(?:disabled|suspended|deactivated|banned|terminated|blocked)"
    r"|not have access to (?:claude|codex|gemini|copilot|qwen)|invalid_grant|no (?:api key|auth|credentials)\b",
    "server": r"overloaded|internal server ?error|high demand|unavailable|bad gateway|server_error|temporary errors"
    r"|at capacity|gateway time|try a different model",
    "network": r"econn\w+|enotfound|eai_again|etimedout|fetch failed|connection|connect to|network"
    r"|error sending request|stream disconnected|name resolution|timed? ?out|socket hang up",
}  # fmt: skip
_KINDS: Final = {kind: re.compile(words, re.IGNORECASE | re.DOTALL) for kind, words in _WORDS.items()}
#: A path of a file, whose name says nothing of an error.
_PATH: Final = re.compile(r"(?<![\w:/])/[\w.+-]+/[^\s'\"]*")
#: An HTTP status that leaves room for the words to say more, and what it means if they don't.
_OPEN: Final = {400: "refused", 403: "auth", 404: "refused", 413: "context_full", 422: "refused", 429: "rate_limit"}
_REFINED: Final = {
    403: ("credits", "model", "rate_limit"),
    429: ("credits",),
}
_REFINED_OTHERS: Final = ("context_full", "model", "credits", "auth")
_EXACT: Final = {401: "auth", 402: "credits", 407: "network", 408: "network", 409: "server", 425: "network",
                 499: "network"}  # fmt: skip

#: Notices of a service that programs print as if they were the model's answer: matched from their beginning.
_NOTICE: Final = re.compile(
    r"\W{0,4}(?:api error\b|(?:type\W{3,5}error|error|detail)\"\s*:"
    r"|you(?:\W?ve| have|r account has)? (?:hit|reached|exceeded|exhausted|used (?:up|all))\b"
    r".{0,60}(?:limit|quota|usage|allowance|cap|credits?|budget)\b"
    r"|you(?:\W?re| are| have run|\W?ve run| ran) (?:now )?out of\b.{0,40}(?:usage|credits?|quota|tokens|funds"
    r"|requests)|you have no quota|(?:[\w-]+ ){0,4}limit (?:reached|exceeded)\s*(?:[^\w\s]|$|for )"
    r"|(?:your\b.{0,60}(?:limit|usage|allocation|quota|credits?|balance|subscription|plan|account|organi[sz]ation"
    r"|workspace|api key|token|login|seat|session|admin)s?|this organi[sz]ation)\b.{0,40}\b(?:disabled|suspended"
    r"|exhausted|reached|used up|expired|revoked|too low|not have access|be refreshed|deactivated|banned|inactive"
    r"|will reset|ended|depleted)\b"
    r"|credit balance|prompt is too long|(?:invalid|incorrect|missing) api key\s*(?:[^\w\s]|$)"
    r"|please (?:run /|log ?in\b)|not logged in|failed to authenticate|authentication error"
    r"|oauth (?:token|authentication|session)\b"
    r"|there.s an issue with the selected model|quota exceeded\s*(?:[^\w\s]|$)"
    r"|insufficient (?:credits|balance|quota|funds)\s*(?:[^\w\s]|$))",
    re.IGNORECASE,
)  # fmt: skip
NOTICE_CHARS: Final = 400


def kind_of_status(status: object) -> str:
    """The kind of an HTTP status alone, empty for one that says nothing of the sort."""
    if not isinstance(status, int) or isinstance(status, bool) or not 400 <= status <= 599:  # noqa: PLR2004 - HTTP
        return ""
    if status >= 500:  # noqa: PLR2004 - HTTP: server errors
        return "server"
    return _EXACT.get(status) or _OPEN.get(status, "refused")


def kind_of(text: str, status: object = None, *types: object) -> str:
    """The kind of an error: by its type or code, by its HTTP status, which its words may make more exact, by its words.

    `status` and `types` are those that a program tells apart from the text; others are found in it. Empty if nothing
    says what it is.
    """
    named = [str(name).lower() for name in (*types, *_TYPE.findall(text)) if name]
    exact = [kind for name in named if name not in _STATUS_OF_TYPE and (kind := _KIND_OF_TYPE.get(name))]
    if exact:
        return _timed(min(exact, key=_rank), text)
    found = status if kind_of_status(status) else _status_in(text)
    if not kind_of_status(found):
        found = next((_STATUS_OF_TYPE[name] for name in named if name in _STATUS_OF_TYPE), None)
    if found in _OPEN:
        wanted = _REFINED.get(int(str(found)), _REFINED_OTHERS)
        kind = next((kind for kind in wanted if _KINDS[kind].search(text)), "")
        return _timed(kind, text) or _OPEN[int(str(found))]
    if kind := kind_of_status(found):
        return kind
    said = _PATH.sub(" ", text)
    return _timed(next((kind for kind, words in _KINDS.items() if words.search(said)), ""), text)


def kind_of_notice(text: str) -> str:
    """The kind of a service's notice that is printed as if it were the model's answer; empty for an answer."""
    short = text.strip()
    if len(short) > NOTICE_CHARS or not _NOTICE.match(short):
        return ""
    kind = kind_of(short)
    return kind if kind in FINAL or kind == "rate_limit" or short.lower().startswith("api error") else ""


def _timed(kind: str, text: str) -> str:
    """Turns credits that are used up only until a given time into a limit."""
    return "rate_limit" if kind == "credits" and is_timed(text) else kind


def _rank(kind: str) -> int:
    """Orders types of one error, the most exact first."""
    return list(_TYPES).index(kind) if kind != "server" else len(_TYPES)


def _status_in(text: str) -> int | None:
    found = _STATUS.search(text) or _LEADING_STATUS.match(text)
    return int(found[1]) if found else None
