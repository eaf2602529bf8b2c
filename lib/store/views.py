"""The views of the run database: what was said in its runs, and summaries of runs, steps, workflows and failures.

Whoever opens the file with sqlite3 finds them there. Times are ISO 8601, `_s` are seconds, costs US dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: The columns of `texts` that are searched: the kinds of what is found.
KINDS: Final = ("requirement", "prompt", "output", "error")
_LINE: Final = "char(10)"
#: Steps that hold others, of which the members count, and the worktree that steps share, which is no step.
_BOXES: Final = "('group', 'include', 'fan', 'loop')"
_NO_WORK: Final = "('group', 'include', 'fan', 'loop', 'gate')"


def _at(path: str) -> str:
    return f"json_extract(doc, '$.{path}')"


def _joined(*parts: str) -> str:
    """SQL for texts, each on a line of its own; null if all are empty."""
    whole = f" || {_LINE} || ".join(f"coalesce({part}, '')" for part in parts)
    return f"nullif(trim({whole}, {_LINE}), '')"


def _lines(path: str) -> str:
    return f"(SELECT group_concat(value, {_LINE}) FROM json_each(doc, '$.{path}'))"  # noqa: S608 - words of ours


def _component(at: str) -> str:
    parts = [_at(f"{at}.component.{name}") for name in ("title", "purpose", "files", "interfaces")]
    said = _joined(*parts, _lines(f"{at}.component.acceptance"))
    return f"CASE WHEN {_at(f'{at}.kind')} IS NOT 'workspace' THEN {said} END"


_RESULT: Final = {name: f"coalesce({_at(f'result.{name}')}, {_at(f'result.data.{name}')})" for name in ("text", "tail")}
_PRINTED: Final = f"CASE json_type(doc, '$.result.output') WHEN 'text' THEN {_at('result.output')} END"
_JOB_FAILED: Final = _joined(_at("result.code"), _at("result.message"), _RESULT["tail"])
#: A text that a prompt or a command gave is what its job said.
_OUTPUT: Final = (
    f"CASE WHEN {_at('of')} IN {_BOXES} OR json_type(doc, '$.changes.output') = 'text'"
    f" THEN NULL ELSE {_at('changes.output')} END"
)
#: SQL for what an event says, by its kind and the kind of the text. Events of version 0.1 are of builders.
_SAID: Final[Mapping[str, Mapping[str, str]]] = {
    "run_started": {"requirement": _at("requirement")},
    "state_edited": {"prompt": f"nullif({_at('edit.feedback')}, '')"},
    "step_added": {"prompt": _component("step")},
    "builder_added": {"prompt": _component("builder")},
    "step_changed": {
        "prompt": f"nullif({_at('changes.words')}, '')",
        "output": _OUTPUT,
        "error": _at("changes.error.message"),
    },
    "builder_changed": {"error": _at("changes.error.message")},
    "job_started": {
        "prompt": f"coalesce({_at('job.spec.prompt.task')},"
        f" CASE {_at('job.spec.name')} WHEN 'run' THEN {_at('job.spec.command')} END)"
    },
    "job_ended": {
        "output": f"nullif(coalesce({_PRINTED}, {_RESULT['text']}), '')",
        "error": f"CASE {_at('result.ok')} WHEN 0 THEN {_JOB_FAILED} END",
    },
    "problem_found": {"error": _joined(_at("problem.message"), _lines("problem.report"))},
    "asked": {"error": _joined(_at("error.message"), _lines("error.report"))},
    "finished": {"output": f"nullif({_at('outputs')}, '{{}}')"},
}
_STEP_OF: Final = {
    "step_added": _at("step.id"),
    "builder_added": _at("builder.id"),
    "step_changed": _at("step"),
    "builder_changed": _at("builder"),
    "job_started": f"coalesce({_at('job.spec.step')}, {_at('job.spec.builder')})",
    "job_ended": f"(SELECT step FROM jobs WHERE jobs.run = told.run AND jobs.id = {_at('job')})",  # noqa: S608
}


def _by_event(values: Mapping[str, str]) -> str:
    cases = " ".join(f"WHEN '{kind}' THEN {value}" for kind, value in values.items())
    return f"CASE kind {cases} END"


def _texts() -> str:
    kinds = ", ".join(f"'{kind}'" for kind in _SAID)
    columns = {name: {kind: said[name] for kind, said in _SAID.items() if name in said} for name in KINDS}
    found = ", ".join(f"{_by_event(values)} AS {name}" for name, values in columns.items())
    return f"""
        SELECT seq, run, at, {_by_event(_STEP_OF)} AS step, {found} FROM (
            SELECT seq, run, at, kind, CASE WHEN json_valid(data) THEN data END AS doc
            FROM events WHERE kind IN ({kinds})
        ) AS told
    """  # noqa: S608 - words of ours


_STEPS: Final = """
    SELECT run, id AS step, coalesce(nullif(json_extract(doc, '$.node'), ''), id) AS node,
        coalesce(kind, 'builder') AS kind,
        CASE WHEN status IN ('built', 'merged', 'landed') THEN 'done'
            WHEN status IN ('preparing', 'verifying') THEN 'running' ELSE status END AS status,
        status = 'failed' OR status = 'cancelled' AND json_extract(doc, '$.error') IS NOT NULL AS failed,
        nullif(assistant, '') AS assistant,
        coalesce(json_extract(doc, '$.attempt'), 0) AS attempts,
        max(coalesce(json_extract(doc, '$.attempt'), 0) - 1, 0) AS retries,
        json_extract(doc, '$.started_at') AS started_at, json_extract(doc, '$.ended_at') AS ended_at,
        took_s AS seconds,
        json_extract(doc, '$.error.code') AS error_kind, json_extract(doc, '$.error.message') AS error,
        coalesce(input_tokens, 0) AS input_tokens, coalesce(output_tokens, 0) AS output_tokens,
        coalesce(cost_usd, 0.0) AS cost_usd
    FROM (SELECT *, CASE WHEN json_valid(data) THEN data END AS doc FROM steps)
    WHERE kind IS NOT 'workspace'
"""
_RUNS: Final = f"""
    WITH work AS (
        SELECT run, julianday(started_at) * 86400.0 AS begun_s, julianday(ended_at) * 86400.0 AS over_s
        FROM step_summary WHERE kind NOT IN {_NO_WORK} AND seconds > 0
    ), edges AS (
        SELECT run, begun_s AS at_s, 1 AS change FROM work UNION ALL SELECT run, over_s, -1 FROM work
    ), spans AS (
        SELECT run, sum(change) OVER moments AS at_once, lead(at_s) OVER moments - at_s AS lasts_s
        FROM edges WINDOW moments AS (PARTITION BY run ORDER BY at_s, change ROWS UNBOUNDED PRECEDING)
    ), lanes AS (
        SELECT run, max(at_once) AS most_at_once, sum(CASE WHEN at_once > 0 THEN lasts_s END) AS busy_s
        FROM spans GROUP BY run
    ), sums AS (
        SELECT run, count(*) AS steps, sum(status = 'done') AS done, sum(status = 'failed') AS failed,
            sum(status = 'skipped') AS skipped, sum(status = 'cancelled') AS cancelled,
            sum(status IN ('pending', 'running', 'retrying')) AS unfinished,
            sum(attempts) AS attempts, sum(retries) AS retries, sum(retries > 0) AS retried,
            sum(retries > 0 AND status = 'done') AS retried_done,
            total(CASE WHEN kind NOT IN {_NO_WORK} THEN seconds END) AS work_s,
            sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, total(cost_usd) AS cost_usd
        FROM step_summary WHERE kind NOT IN {_BOXES} GROUP BY run
    ), own AS (
        SELECT id, CASE WHEN json_valid(header) THEN header END AS doc FROM runs
    )
    SELECT runs.id AS run, workflow, instance, outcome, created_at,
        CASE WHEN outcome IS NOT NULL THEN updated_at END AS ended_at,
        CASE WHEN outcome IS NOT NULL THEN (julianday(updated_at) - julianday(created_at)) * 86400.0 END AS wall_s,
        coalesce(work_s, 0.0) AS work_s, busy_s, most_at_once,
        min(1.0, work_s / nullif(busy_s * most_at_once, 0.0)) AS parallel_efficiency,
        coalesce(steps, 0) AS steps, coalesce(done, 0) AS done, coalesce(failed, 0) AS failed,
        coalesce(skipped, 0) AS skipped, coalesce(cancelled, 0) AS cancelled, coalesce(unfinished, 0) AS unfinished,
        coalesce(attempts, 0) AS attempts, coalesce(retries, 0) AS retries, coalesce(retried, 0) AS retried,
        coalesce(retried_done, 0) AS retried_done,
        coalesce(input_tokens, 0) + coalesce(json_extract(doc, '$.usage.input_tokens'), 0) AS input_tokens,
        coalesce(output_tokens, 0) + coalesce(json_extract(doc, '$.usage.output_tokens'), 0) AS output_tokens,
        coalesce(cost_usd, 0.0) + coalesce(json_extract(doc, '$.usage.cost_usd'), 0.0) AS cost_usd
    FROM runs JOIN own ON own.id = runs.id LEFT JOIN sums ON sums.run = runs.id LEFT JOIN lanes ON lanes.run = runs.id
"""  # noqa: S608 - words of ours


def workflows(runs: str) -> str:
    """The query for figures of workflows, of rows like those of the view `run_summary`."""
    succeeded = "count(CASE WHEN outcome IN ('landed', 'stored', 'done') THEN 1 END)"
    return f"""
        WITH placed AS (
            SELECT workflow, wall_s, row_number() OVER (PARTITION BY workflow ORDER BY wall_s) AS place,
                count(*) OVER (PARTITION BY workflow) AS number
            FROM {runs} WHERE outcome IS NOT NULL
        ), medians AS (
            SELECT workflow, avg(wall_s) AS median_s FROM placed
            WHERE place IN ((number + 1) / 2, (number + 2) / 2) GROUP BY workflow
        )
        SELECT counted.workflow AS workflow, count(*) AS runs, count(outcome) AS ended, {succeeded} AS succeeded,
            count(CASE WHEN outcome = 'failed' THEN 1 END) AS failed,
            count(CASE WHEN outcome = 'cancelled' THEN 1 END) AS cancelled,
            {succeeded} * 1.0 / nullif(count(outcome), 0) AS success_rate,
            median_s, avg(wall_s) AS mean_s, avg(parallel_efficiency) AS parallel_efficiency,
            sum(retries) AS retries, sum(retried) AS retried, sum(retried_done) AS retried_done,
            sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, total(cost_usd) AS cost_usd,
            max(created_at) AS last_started_at
        FROM {runs} AS counted LEFT JOIN medians ON medians.workflow = counted.workflow GROUP BY counted.workflow
    """  # noqa: S608 - words of ours


def failures(runs: str) -> str:
    """The query for failures by their kind, step and workflow, in rows like those of the table `runs`."""
    return f"""
        SELECT workflow, coalesce(failures.step, '') AS step, code AS kind, count(*) AS failures,
            count(DISTINCT failures.run) AS runs, max(created_at) AS last_started_at
        FROM (
            SELECT run, coalesce((SELECT nullif(json_extract(data, '$.node'), '') FROM steps
                WHERE steps.run = jobs.run AND steps.id = jobs.step AND json_valid(data)), step) AS step, code
            FROM jobs WHERE failed
            UNION ALL
            SELECT run, node, error_kind FROM step_summary WHERE error_kind = 'step_failed'
        ) AS failures JOIN {runs} AS counted ON counted.id = failures.run
        GROUP BY workflow, failures.step, code
    """  # noqa: S608 - words of ours


#: Each view by its name, after those that it reads.
VIEWS: Final[Mapping[str, str]] = {
    "texts": _texts(),
    "step_summary": _STEPS,
    "run_summary": _RUNS,
    "workflow_summary": workflows("run_summary"),
    "failure_summary": failures("runs"),
}
#: The statements that make them, and the row that says up to which event the index of `lib.store.search` goes.
STATEMENTS: Final = (
    *(f"CREATE VIEW {name} AS {query}" for name, query in VIEWS.items()),
    "CREATE TABLE indexed (seq INTEGER NOT NULL)",
    "INSERT INTO indexed VALUES (0)",
)
