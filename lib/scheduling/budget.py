"""Budgets of a run and of a builder, and whether they are used up. Pure.

Cost is what assistants report, or what the configuration says that their tokens cost.
"""

from __future__ import annotations

from lib.config.model import Config
from lib.ledger import Ledger
from lib.model import Problem, Step, Usage


def run_budget(config: Config, times: int, own: Usage, ledger: Ledger) -> Problem | None:
    """The problem if a run's budget, granted that many `times`, is used up.

    `own` is what ended turns of the run as a whole used; what running turns used so far is added to it.
    """
    if config.max_cost_usd is None and config.max_tokens is None:
        return None
    spent = own.plus(ledger.spent)
    for job in ledger.live():
        spent = spent.plus(job.progress.usage)
    used = _used_up(spent, config.max_cost_usd, config.max_tokens, times)
    return Problem(code="run_budget", message=f"The run has used {used}", remedy="relay approve") if used else None


def builder_budget(config: Config, builder: Step, running: Usage = Usage()) -> str:  # noqa: B008 - a frozen value
    """The amount used of a builder's own budget, in words, if that is all of it; else an empty string.

    `running` is what its turn that runs has used so far.
    """
    spent = builder.usage.plus(running)
    return _used_up(spent, config.builder_max_cost_usd, config.builder_max_tokens, builder.budgets)


def _used_up(spent: Usage, max_cost_usd: float | None, max_tokens: int | None, times: int) -> str:
    tokens = spent.input_tokens + spent.output_tokens
    if max_cost_usd is not None and spent.cost_usd >= max_cost_usd * times:
        return f"${spent.cost_usd:.2f} of ${max_cost_usd * times:.2f}"
    if max_tokens is not None and tokens >= max_tokens * times:
        return f"{tokens:,} of {max_tokens * times:,} tokens"
    return ""
