"""Kinds of a service's errors, in the wordings of all seven programs as met in public issues."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.assistants import assistants
from lib.assistants._kinds import kind_of, kind_of_notice, kind_of_status
from lib.contracts import Exit

ADAPTERS = assistants()
API_400 = 'API Error: 400 {"type":"error","error":{"type":"invalid_request_error","message":"%s"}}'
STALE = "Your access token could not be refreshed because"
UNSUPPORTED = json.dumps({"type": "error", "status": 400, "error": {
    "type": "invalid_request_error",
    "message": "The 'gpt-5.3-codex' model is not supported when using Codex with a ChatGPT account."}})  # fmt: skip
QUOTA = "You exceeded your current quota, please check your plan and billing details."

KINDS = {
    "rate_limit": [
        "Claude AI usage limit reached|1749924000",
        "You've hit your session limit · resets 11:50pm (Asia/Riyadh)",
        "You\u2019ve hit your limit · resets 3pm (America/New_York)",
        "You're out of extra usage · resets 5pm (America/Los_Angeles)",
        "You've hit your monthly spend limit · your session limit resets 2:40pm (Asia/Jakarta)",
        "5-hour limit reached ∙ resets 3pm",
        "Opus weekly limit reached ∙ resets Monday at 9am",
        "You've hit your usage limit. Upgrade to Pro or try again in 2 days 17 hours 14 minutes.",
        "You've hit your usage limit for GPT-5.3. Switch to another model now, or try again at 3:28 PM.",
        "exceeded retry limit, last status: 429 Too Many Requests, request id: 1",
        "You have exhausted your capacity on this model. Your quota will reset after 8h44m7s.",
        "You have exhausted your daily quota on this model.",
        f"[API Error: {QUOTA} Please retry in 38.5s.]",
        "[API Error: 429 Too Many Requests]",
        '{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}',
        "429 Free allocated quota exceeded",
        "Sorry, you've hit a rate limit that restricts the number of requests. Please try again in 2 hours.",
    ],
    "auth": [
        "unexpected status 401 Unauthorized: bad key",
        "Invalid API key · Please run /login",
        "Please set an Auth method in your settings.json",
        f"{STALE} your refresh token was already used. Please log out and sign in again.",
        f"{STALE} your refresh token has expired. Please log out and sign in again.",
        f"{STALE} you have since logged out or signed in to another account. Please sign in again.",
        "Failed to refresh token: 401 Unauthorized: Your refresh token has already been used to generate a new one.",
        "exceeded retry limit, last status: 401 Unauthorized, request id: 99438b",
        API_400 % "This organization has been disabled.",
        "Your organization has disabled Claude subscription access for Claude Code · Use an Anthropic API key instead",
        "[API Error: API key not valid. Please pass a valid API key.]",
        "OAuth token has expired. Please obtain a new token or refresh your existing token",
        '{"error":{"message":"no","code":"refresh_token_reused"}}',
    ],
    "credits": [
        "Credit balance is too low",
        "You've hit your org's monthly usage limit",
        "You've hit your monthly spend limit · raise it at claude.ai/settings/usage",
        "Your usage allocation has been disabled by your admin",
        "Quota exceeded. Check your plan and billing details.",
        f"stream disconnected before completion: {QUOTA}",
        f"litellm.RateLimitError: RateLimitError: OpenAIException - {QUOTA}",
        "Your workspace is out of credits. Ask your workspace owner to refill in order to continue.",
        "To use Codex with your ChatGPT plan, upgrade to Plus: https://openai.com/chatgpt/pricing.",
        '402 {"error":{"message":"You have no quota","code":"quota_exceeded"}}',
        "You have exceeded your premium request allowance. Enable additional paid premium requests.",
        "402 Insufficient Balance",
        '{"error":{"message":"no","type":"insufficient_quota"}}',
    ],
    "model": [
        UNSUPPORTED,
        "There's an issue with the selected model (claude-foo). It may not exist or you may not have access to it.",
        "Model not found: anthropic/claude-foo. Did you mean: claude-x?",
        "[API Error: models/gemini-9 is not found for API version v1beta, or is not supported for generateContent.]",
        "The model `gpt-9` does not exist or you do not have access to it.",
    ],
    "context_full": [
        "Prompt is too long",
        "Codex ran out of room in the model's context window. Start a new thread before retrying.",
        API_400 % "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
        "[API Error: The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).]",
        '{"error":{"message":"no","type":"invalid_request_error","code":"context_length_exceeded"}}',
        "litellm.ContextWindowExceededError: This model's maximum context length is 8192 tokens.",
    ],
    "refused": [
        "API Error: 400 messages.3.content.0.image: image exceeds 5 MB maximum",
        "API Error: 404 page not found",
    ],
    "server": [
        "API Error: 529 overloaded",
        "We're currently experiencing high demand, which may cause temporary errors.",
        "Selected model is at capacity. Please try a different model.",
    ],
    "network": [
        "stream disconnected before completion: error sending request for url",
        "connect ECONNREFUSED 127.0.0.1:9",
        "API Error: Connection error.",
    ],
    "busy": [
        "Error: Unexpected error\n\nFailed query: \n        CREATE TABLE `workspace` (\n",
        "SQLiteError: database is locked",
    ],
    "timeout": ["FatalBudgetExceededError: the wall-clock budget of 30m is used up"],
    "": [
        "the model wrote nothing",
        "line 429 of the file is too long",
        "Unexpected token '<', \"<html>\" is not valid JSON",
        "No conversation found with session ID: 1",
        "OSError: [Errno 30] Read-only file system: '/home/me/model-unsupported/billing/calls.log'",
    ],
}


@pytest.mark.parametrize(("text", "kind"), [(text, kind) for kind, texts in KINDS.items() for text in texts])
def test_the_kind_of_an_error(text: str, kind: str) -> None:
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "auth"), (403, "auth"), (402, "credits"), (429, "rate_limit"), (500, "server"), (529, "server"),
     (400, "refused"), (404, "refused"), (413, "context_full"), (409, "server"), (200, ""), (None, ""), ("429", ""),
     (True, "")],
)  # fmt: skip
def test_the_kind_of_a_status(status: object, kind: str) -> None:
    assert kind_of_status(status) == kind


def test_what_is_told_structurally_goes_before_the_words() -> None:
    assert kind_of("please log in", 500) == "server"
    assert kind_of("the network is down", None, "insufficient_quota") == "credits"
    assert kind_of("something", 400, "model_not_found") == "model"
    assert kind_of(QUOTA, 429) == "credits"


NOTICES = ["You've hit your org's monthly usage limit", "Prompt is too long", "Credit balance is too low",
           "Your usage allocation has been disabled by your admin", "You\u2019re out of extra usage · resets 5pm",
           "Your account has been suspended"]  # fmt: skip
WORDS = ["Done. Rate limit middleware with a quota is in place.", "Authentication is done; expired tokens give 401.",
         "Your login page is built; an invalid API key is refused.", "Rate limit exceeded handling implemented.",
         "The login page: sessions that expired are refused.", "Usage limit reached handler added, with a quota.",
         "Error handling for expired tokens is done."]  # fmt: skip


@pytest.mark.parametrize("program", ["claude", "qwen", "ci"])
@pytest.mark.parametrize("text", [*NOTICES, *WORDS])
def test_a_notice_told_as_an_answer_is_none_and_a_models_own_words_are(program: str, text: str) -> None:
    told = {"type": "result", "subtype": "success", "is_error": False, "session_id": "s", "result": text,
            "usage": {"input_tokens": 10, "output_tokens": 5}}  # fmt: skip
    adapter = ADAPTERS[program]
    line = text if program == "ci" else json.dumps(told)
    assert adapter.verdict(Exit(0), list(adapter.read(line)), "").ok == (text in WORDS)


@given(st.text())
def test_any_words_are_harmless(text: str) -> None:
    kind_of(text)
    kind_of_notice(text)


class TestEnds:
    """Ends that a program tells of, beside the errors of its service."""

    def judged(self, name: str, status: int, *told: object, stderr: str = "") -> tuple[str, str]:
        adapter = ADAPTERS[name]
        events = [event for line in told for event in adapter.read(json.dumps(line))]
        result = adapter.verdict(Exit(status), events, stderr)
        return result.code, result.message

    @pytest.mark.parametrize("status", [130, 134, 137, 139, 143])
    def test_a_signal_means_lost_whatever_was_printed(self, status: int) -> None:
        error = {"type": "turn.failed", "error": {"message": "unexpected status 401 Unauthorized"}}
        assert self.judged("codex", status, error)[0] == "lost"

    def test_the_status_of_gemini_is_no_signal(self) -> None:
        error = {"type": "result", "status": "error", "error": {"type": "unknown", "message": "[API Error: 401 no]"}}
        assert self.judged("gemini", 145, error)[0] == "auth"
        assert self.judged("gemini", 41)[0] == "auth"

    def test_a_budget_of_wall_clock_time_is_a_time_limit(self) -> None:
        assert self.judged("qwen", 55)[0] == "timeout"
        result = {"type": "result", "subtype": "error_during_execution", "session_id": "s", "is_error": True,
                  "error": {"message": "Wall-clock budget of 30m exceeded"}}  # fmt: skip
        assert self.judged("qwen", 55, result)[0] == "timeout"

    @pytest.mark.parametrize(
        "noise",
        ["YOLO mode is enabled. All tool calls will be automatically approved.", "Loaded cached credentials.",
         "Ripgrep is not available. Falling back to GrepTool.", "Reading additional input from stdin...",
         "Warning: running headless with --yolo and no sandbox."],
    )  # fmt: skip
    def test_a_warning_of_the_start_is_never_the_reason(self, noise: str) -> None:
        assert noise not in self.judged("gemini", 1, stderr=f"{noise}\n")[1]
        assert self.judged("gemini", 1, stderr=f"{noise}\nthe disk is on fire\n")[1] == "the disk is on fire"

    def test_a_refusal_to_start_is_no_warning(self) -> None:
        said = "Cannot start in YOLO mode when it is disabled by settings"
        assert self.judged("gemini", 1, stderr=f"{said}\n")[1] == said
        assert said in self.judged("ci", 1, stderr=f"{said}\n")[1]
        assert "YOLO" not in self.judged("ci", 1, stderr="YOLO mode is enabled.\n")[1]

    def test_the_first_error_is_told_however_much_follows(self) -> None:
        stderr = "Error: the disk is on fire\n" + "    at async run (file.js:1)\n" * 1000
        assert self.judged("gemini", 1, stderr=stderr)[1] == "Error: the disk is on fire"

    def test_a_conversation_that_is_full_is_given_up_and_a_prompt_that_is_too_long_is_refused(self) -> None:
        failed = {"type": "turn.failed", "error": {"message": "Codex ran out of room in the model's context window."}}
        started = {"type": "thread.started", "thread_id": "t"}
        said = {"type": "item.completed", "item": {"type": "agent_message", "text": "I look around."}}
        adapter = ADAPTERS["codex"]
        for told, code in (([started, said, failed], "session_spent"), ([started, failed], "refused")):
            events = [event for line in told for event in adapter.read(json.dumps(line))]
            result = adapter.verdict(Exit(1), events, "")
            assert (result.code, result.session) == (code, "")
