"""Wrong files: each has its one clear message, at its place; several have all of theirs at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from workflow_texts import library, wrong

from lib.errors import EXIT_USAGE
from lib.workflow.faults import Fault, WorkflowError

HEAD = "name: w\nsteps:\n"
A = "  - {id: a, prompt: x}\n"


def steps(*lines: str) -> str:
    return HEAD + "".join(f"  - {line}\n" for line in lines)


CASES = {
    "nothing": ("", " it is empty"),
    "a list": ("- 1\n", "1:1: a workflow has `name: value` lines"),
    "no YAML": ("name: [\n", "2:1: it is not YAML: did not find expected node content"),
    "two documents": ("name: w\n---\nname: w\n", "2:1: a second document begins here; a file has one"),
    "a key twice": ("name: w\nname: w\n", "2:1: name is there twice, in line 1 too"),
    "a tag": ("name: !!python/name:os.system\n", "1:7: the tag tag:yaml.org,2002:python/name:os.system is not allowed"),
    "no name": (f"steps:\n{A}", "1:1: the workflow has no name"),
    "no steps": ("name: w\n", "1:1: the workflow has no steps"),
    "empty steps": ("name: w\nsteps: []\n", "2:8: steps must have at least 1"),
    "another name": (f"name: v\nsteps:\n{A}", "1:7: the name must be w, as the file is called w.yaml"),
    "a bad name": (f"name: A B\nsteps:\n{A}",
                   ('1:7: name must be small letters, digits, - and _, at most 63, beginning '
                   'with a letter or digit, not "A B"')),
    "unknown key": (f"nmae: w\nname: w\nsteps:\n{A}", "1:1: unknown key nmae; did you mean name?"),
    "unknown key of a step": (steps("{id: a, promt: x, run: y}"), "3:13: unknown key promt; did you mean prompt?"),
    "a misspelt kind": (steps("{id: a, promt: x}"), "3:13: unknown key promt; did you mean prompt?"),
    "unknown key of retry": (steps("{id: a, run: x y, retry: {max_atempts: 2}}"),
                             "3:31: unknown key max_atempts; did you mean max_attempts?"),
    "no id": (steps("{prompt: x}"), "3:5: step 1 has no id"),
    "a bad id": (steps("{id: a b, prompt: x}"),
        ('3:10: id must be letters, digits, - and _, beginning with a letter or '
                 'digit, not "a b"')),
    "a reserved id": (steps("{id: output, prompt: x}"), ("3:6: step 1 can't be called output: that word has a meaning; "
                      "choose another id")),
    "an id twice": (steps("{id: a, prompt: x}", "{id: a, prompt: x}"), "4:10: a is there twice, in line 3 too"),
    "no kind": (steps("{id: a}"), "3:6: step 1 needs one of prompt, run, gate, workflow, include, end, group"),
    "two kinds": (steps("{id: a, prompt: x, run: y}"), "3:24: step 1 has prompt and run; keep one"),
    "an option of another kind": (steps("{id: a, run: x y, model: z}"),
                                  "3:23: step 1 can't have model: a step with `run` has no use for it"),
    "two names of an option": (steps("{id: a, prompt: x, needs: [], depends_on: []}"),
                               "3:35: step 1 has needs and depends_on, which are the same; keep one"),
    "text for a number": (steps("{id: a, prompt: x, timeout_s: long}"), '3:35: timeout_s must be a number, not "long"'),
    "a number for text": (steps("{id: a, prompt: 5}"), '3:21: prompt must be text: write it in quotes, "5"'),
    "a number too small": (steps("{id: a, prompt: x, timeout_s: 0}"), "3:35: timeout_s must be more than 0, not 0"),
    "no enum": (steps("{id: a, prompt: x, access: raed}"),
                '3:32: access must be one of write, read, not "raed"; did you mean read?'),
    "a flag": (steps("{id: a, prompt: x, optional: yes}"), '3:34: optional must be true or false, not "yes"'),
    "a session": (steps("{id: a, prompt: x, session: old}"),
        '3:33: session must be fresh, or {continue: STEP}, not "old"'),
    "an empty prompt": (steps("{id: a, prompt: ''}"), "3:21: prompt must be text that is not empty, not empty"),
    "a loop without end": (steps("{id: a, prompt: x, loop: {max_iterations: 3}}"),
                           "3:30: loop needs until (an expression) or until_run (a command): nothing else ends it"),
    "one competitor": (steps("{id: a, prompt: x, compete: {assistants: [codex]}, verify: make x}"),
                       "3:46: assistants must have at least 2"),
    "nothing to pick by": (steps("{id: a, prompt: x, compete: {assistants: [codex, claude]}}"),
                           "3:33: with `pick: verify` the step needs a verify command"),
    "unknown decision": (steps("{id: a, gate: {message: x, on_timeout: no, timeout_s: 5}}"),
                         "3:19: gate has on_timeout: no, which is none of its decisions"),
    "two ways of rejecting": (steps("{id: a, gate: {message: x, on_reject: {}}}"),
                              "3:43: on_reject needs one of back_to and prompt"),
    "a secret from nowhere": (f"name: w\nsecrets: [{{name: A, from: vault}}]\nsteps:\n{A}",
        '2:27: from must be env, or one of {env: NAME}, {file: PATH} and {command: LINE}, not "vault"'),
    "a secret twice": (f"name: w\nsecrets: [{{name: A, from: env}}, {{name: A, from: env}}]\nsteps:\n{A}",
                       "2:10: secrets has A twice"),
    "unknown need": (steps("{id: build, prompt: x}", "{id: b, prompt: x, needs: [biuld]}"),
                     "4:32: there is no step biuld; did you mean build?"),
    "its own need": (steps("{id: a, prompt: x, needs: [a]}"), "3:32: a needs itself"),
    "a cycle": (steps("{id: a, prompt: x, needs: [b]}", "{id: b, prompt: x, needs: [c]}",
        "{id: c, prompt: x, needs: [a]}"),
                "3:32: steps form a cycle: a → b → c → a; remove one of these needs"),
    "a need in finally": ("name: w\nsteps:\n  - {id: a, prompt: x, needs: [z]}\nfinally:\n  - {id: z, run: rm x}\n",
                          "3:32: z is in `finally`, and runs after all steps"),
    "a need inside a group": (steps("{id: g, group: [{id: i, run: x y}]}", "{id: b, prompt: x, needs: [i]}"),
                              "4:32: i is inside the group g; need the group"),
    "a need outside the group": (steps("{id: a, prompt: x}", "{id: g, group: [{id: i, run: x y, needs: [a]}]}"),
                                 "4:47: a is outside the group g; let the group need it"),
    "unknown input": ("name: w\ninputs: {report: {}}\nsteps:\n  - {id: a, prompt: 'x {{ inputs.reprot }}'}\n",
                      "4:27: there is no input reprot; did you mean report?"),
    "unknown variable": (steps("{id: a, prompt: '${vars.x}'}"), "3:24: there is no input x; there is none"),
    "unknown root": (steps("{id: a, prompt: '{{ step.x }}'}"), "3:25: there is no step; did you mean steps?"),
    "unknown step in a text": (steps("{id: build, prompt: x}",
        "{id: b, needs: [build], prompt: '{{ steps.biuld.output }}'}"),
                               "4:41: there is no step biuld; did you mean build?"),
    "not upstream": (steps("{id: a, prompt: x}", "{id: b, prompt: '{{ steps.a.output }}'}"),
                     "4:25: a does not come before this step; add it to the needs of b"),
    "itself": (steps("{id: a, prompt: '{{ steps.a.output }}'}"), "3:25: a has no output before it has run"),
    "unknown part of a step": (steps("{id: a, prompt: x}", "{id: b, needs: [a], prompt: '{{ steps.a.otput }}'}"),
                               "4:37: steps.a has no otput; did you mean output?"),
    "unknown field": (steps("{id: a, prompt: x, output_schema: {properties: {cause: {type: string}}}}",
                            "{id: b, needs: [a], prompt: '{{ steps.a.output.cuase }}'}"),
                      "4:37: steps.a.output has no cuase; did you mean cause?"),
    "a part of a text": (steps("{id: a, prompt: x, output_schema: {properties: {cause: {type: string}}}}",
                               "{id: b, needs: [a], prompt: '{{ steps.a.output.cause.x }}'}"),
                         "4:37: steps.a.output.cause is string, without parts: there is no x in it"),
    "types that never fit": (steps("{id: a, prompt: x, output_schema: {properties: {n: {type: integer}}}}",
                                   "{id: b, needs: [a], prompt: y, when: \"steps.a.output.n == '3'\"}"),
                             "4:60: integer and string are never equal"),
    "no order": (steps('{id: a, prompt: x, when: "run.id < 3"}'),
                 "3:38: string and integer have no order: compare two numbers or texts"),
    "no condition": (steps("{id: a, prompt: x, when: run.id}"),
                     "3:30: it must be true or false, and is string; compare it with something"),
    "an impossible status": (steps("{id: a, prompt: x}",
        "{id: b, needs: [a], prompt: x, when: steps.a.status == 'success'}"),
        ('4:57: it is never "success"; known are cancelled, done, failed, pending, retrying, running, '
                             "skipped")),
    "an impossible decision": (steps("{id: a, gate: {message: x}}",
                                     "{id: b, needs: [a], prompt: x, when: steps.a.output.decision == 'aprove'}"),
                               '4:66: it is never "aprove"; did you mean approve?'),
    "foreign marks": (steps("{id: a, prompt: x, when: 'run.id && run.id'}"),
                      "3:38: && is no part of an expression; write and"),
    "a template without end": (steps("{id: a, prompt: 'x {{ run.id'}"), "3:24: it begins here and has no end"),
    "item without foreach": (steps("{id: a, prompt: '{{ item }}'}"),
                             "3:25: item is only there in a step, or a group, with foreach or matrix"),
    "loop without loop": (steps("{id: a, prompt: '{{ loop.index }}'}"),
                          "3:25: loop is only there in a step, or a group, with loop"),
    "a value in single quotes": (steps("{id: a, run: \"echo '{{ run.id }}'\"}"),
                                 "3:25: in single quotes a shell puts nothing in: use double quotes"),
    "a value as a command": (steps("{id: a, prompt: x, verify: '{{ run.id }}'}"),
        "3:33: a value can't be the command itself: to run what it says, write [sh, -c, \"{{ … }}\"]"),
    "no list to go through": (steps("{id: a, prompt: x, foreach: {in: '{{ run.id }}'}}"),
                              "3:38: in must be a list, not string"),
    "an empty list": (steps("{id: a, prompt: x, foreach: {in: []}}"), "3:38: it has 0 items; there are 1 to 10,000"),
    "two items of one key": (steps("{id: a, prompt: x, foreach: {in: [p, q, p]}}"),
                             '3:45: two items have the key "p"; give them a `key`'),
    "a matrix too large": (steps("{id: a, prompt: x, matrix: {" + ", ".join(
        f"{axis}: {list(range(30))}" for axis in "abcd") + "}}"),
        "3:32: it makes 810,000 instances; the limit is 10,000"),
    "templates in items": (steps("{id: a, prompt: x, foreach: {in: [p, '{{ run.id }}']}}"),
                           "3:42: an item is taken as it is written; write one {{ … }} that gives the whole list"),
    "a template in a name": (steps("{id: a, prompt: x, role: '{{ run.id }}'}"),
                             "3:30: role is taken as it is written, and can't have templates"),
    "a step before any has run": (f"name: w\nenv: {{A: '{{{{ steps.a.output }}}}'}}\nsteps:\n{A}",
                                  "2:14: no step has run yet here: there are only inputs and run"),
    "no list for an axis": (steps("{id: a, prompt: x, matrix: {v: '{{ run.id }}'}}"),
                            "3:36: v must be a list, not string"),
    "foreach of nothing": (steps("{id: a, prompt: x, foreach: {as: y}}"),
                           "3:24: step 1 needs one of `in` in foreach, and matrix"),
    "a session of nobody": (steps("{id: a, run: x y}", "{id: b, prompt: x, needs: [a], session: {continue: a}}"),
                            "4:56: a is no step with a prompt"),
    "back to nowhere": (steps("{id: a, gate: {message: x, on_reject: {back_to: fix}}}"),
                        "3:53: there is no step fix; known are a"),
    "a schema's type": (steps("{id: a, prompt: x, output_schema: {type: strin}}"),
                        '3:46: there is no type "strin"; did you mean string?'),
    "a schema's required": (steps("{id: a, prompt: x, output_schema: {required: [cuase], properties: {cause: {}}}}"),
                            "3:51: required names cuase, which is no property; did you mean cause?"),
    "a default that does not fit": (f"name: w\ninputs: {{n: {{type: integer, default: x}}}}\nsteps:\n{A}",
                                    '2:38: the default of n must be integer, not "x"'),
    "required with a default": (f"name: w\ninputs: {{n: {{required: true, default: x}}}}\nsteps:\n{A}",
                                "2:24: n is required and has a default; keep one"),
    "no pattern": (f"name: w\ninputs: {{n: {{pattern: '('}}}}\nsteps:\n{A}",
                   "2:23: the pattern is no regular expression: missing ), unterminated subpattern at position 0"),
    "unknown workflow": (steps("{id: a, workflow: fix_bugs}"),
        "3:23: there is no workflow fix_bugs; did you mean fix_bug?"),
    "a missing input": (steps("{id: a, workflow: child}"), "3:5: child needs the input arguments"),
    "an unknown input": (steps("{id: a, workflow: child, inputs: {arguments: x, argument: y}}"),
                         "3:53: child has no input argument; did you mean arguments?"),
    "an input of another type": (steps("{id: a, workflow: child, inputs: {arguments: [1]}}"),
                                 "3:50: the input arguments of child is string, not list"),
    "an include of itself": (steps("{id: a, include: w}"), "3:22: includes form a cycle: w → w"),
    "a phase of nobody": (f"{HEAD}{A}phases: {{x: [b]}}\n", "4:14: there is no step b; known are a"),
    "a step in two phases": (f"{HEAD}{A}phases: {{x: [a], y: [a]}}\n", "4:22: a is in the phase x already"),
    "an output of nobody": (f"{HEAD}{A}outputs: {{x: '{{{{ steps.b.output }}}}'}}\n",
                            "4:18: there is no step b; known are a"),
}  # fmt: skip


@pytest.fixture(scope="module")
def itself(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "w.yaml").write_text(CASES["an include of itself"][0])
    return folder


@pytest.mark.parametrize("case", CASES)
def test_each_wrong_file_has_one_message(case: str, itself: Path) -> None:
    text, said = CASES[case]
    assert wrong(text, shelf=library(itself)) == [said]


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
name: w
descripton: x
steps:
  - id: a
    prompt: "{{ inputs.x }}"
    timeout_s: soon
  - prompt: no id
  - id: b
    run: 3
    needs: [a, c]
  - id: d
    needs: [b]
    retry: {max_attempts: 0}
    prompt: "{{ steps.b.output }} {{ steps.z.output }}"
outputs: {y: "{{ steps.e.output }}"}
"""
    assert wrong(text) == [
        "2:1: unknown key descripton; did you mean description?",
        "5:17: there is no input x; there is none",
        '6:16: timeout_s must be a number, not "soon"',
        "7:5: step 2 has no id",
        '9:10: run must be text: write it in quotes, "3"',
        "10:16: there is no step c; known are a, d",
        "13:27: max_attempts must be at least 1, not 0",
        "14:38: there is no step z; known are a, b, d",
        "15:18: there is no step e; known are a, b, d",
    ]


LARGE = {
    "needs": HEAD + "".join(f"  - {{id: s{at}, run: x y, needs: [t{at}]}}\n" for at in range(5_000)),
    "keys": HEAD + "".join(f"  - {{id: s{at}, rum: x y}}\n" for at in range(3_000)),
    "the same need": HEAD + A + f"  - {{id: b, run: x y, needs: [{', '.join(['a'] * 100_000)}]}}\n",
    "groups": HEAD + "".join(f"  - {{id: s{at}, group: [{{id: a, run: []}}]}}\n" for at in range(2_000)),
    "matrices": HEAD + "".join(
        f"  - {{id: s{at}, run: x y, matrix: {{{', '.join(f'{axis}: [1,2,3,4,5,6,7,8,9]' for axis in 'abcd')}}}}}\n"
        for at in range(300)
    ),
    "a pattern": f"name: w\ninputs: {{a: {{pattern: '(a+)+', default: {'a' * 40}b}}}}\nsteps:\n{A}",
}  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", LARGE)
def test_what_is_large_and_wrong_takes_bounded_time(case: str) -> None:
    found = wrong(LARGE[case])
    assert len(found) <= 1_000
    assert bool(found) == (case not in {"the same need", "a pattern"})


def test_includes_that_multiply_end_at_the_limit(tmp_path: Path) -> None:
    for at in range(1, 8):
        inner = "".join(f"  - {{id: s{each}, include: w{at + 1}}}\n" for each in range(10))
        (tmp_path / f"w{at}.yaml").write_text(f"name: w{at}\nsteps:\n{inner}")
    (tmp_path / "w8.yaml").write_text("name: w8\nsteps: [{id: a, run: x y}]\n")
    found = wrong(steps("{id: a, include: w1}"), shelf=library(tmp_path))
    assert "a workflow has at most 20,000 steps" in found[0]


def test_many_faults_are_counted_beyond_what_a_person_reads() -> None:
    error = WorkflowError((Fault("w", line, 1, "x") for line in range(1, 301)), Path("w"))
    assert error.message.count("\n") == 200
    assert error.message.endswith("… and 100 more")
    assert (error.exit_code, len(error.as_data())) == (EXIT_USAGE, 300)
