"""Settings that make each real program ask our model on loopback: as a user would for a provider of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROGRAMS = ("claude", "codex", "gemini", "opencode")
MODEL = "scripted-1"


def environment(url: str) -> dict[str, str]:
    """Variables for all of them; `url` is where the model listens."""
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{url}/v1", "apiKey": "sk-made-up"},
        "models": {MODEL: {"cost": {"input": 1, "output": 2}, "limit": {"context": 128_000, "output": 8_192}}},
    }
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-ant-made-up",
        "OPENAI_API_KEY": "sk-made-up",
        "GEMINI_API_KEY": "made-up",
        "GOOGLE_GEMINI_BASE_URL": url,
        "OPENCODE_CONFIG_CONTENT": json.dumps({"provider": {"local": provider}}),
    }


def settings(url: str) -> dict[str, dict[str, Any]]:
    """The `assistants` of `.project/config.yaml`."""
    provider = f'{{name="local",base_url="{url}/v1",env_key="OPENAI_API_KEY",wire_api="responses"}}'
    return {
        "codex": {"model": MODEL, "args": ["-c", "model_provider=local", "-c", f"model_providers.local={provider}"]},
        "gemini": {"model": MODEL},
        "opencode": {"model": f"local/{MODEL}"},
    }


def log_in(home: Path) -> None:
    """Sets how gemini logs in, as if its user had been asked: with one's own address, a key alone does not tell it."""
    file = home / ".gemini" / "settings.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}}))
