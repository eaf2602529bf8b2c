"""`write_files`: text files of the run's folder, each replaced as a whole."""

from __future__ import annotations

from lib.effects import WriteFiles
from lib.files.replace import replace_file
from lib.jobs import JobResult
from lib.names import shown
from orchestrator.effects._runner import Runner, done
from orchestrator.work import Work


def run(work: Work, args: WriteFiles) -> JobResult:
    folder = work.project.run_dir(work.run)
    folder.mkdir(parents=True, exist_ok=True)
    masker = work.masker
    for name, text in args.files.items():
        replace_file(folder / name, shown(masker.masked(text)).encode())
    return done()


effect = Runner(WriteFiles, run)
