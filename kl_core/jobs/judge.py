"""A judge compares what two models made of the same started answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from kl_core.errors import InputError
from kl_core.formats.sampling_config import (
    JudgeConfig,
    ModelConfig,
    SamplingConfig,
    sampling_of,
)
from kl_core.jobs.sample_model import named
from kl_core.records import CallStats, ProblemLog
from kl_core.sources.calls import Answer, AnswerStore, Ask
from kl_core.sources.journal import Journal
from kl_core.sources.judging import (
    Continuing,
    Pair,
    answer_text,
    judge_prompt,
    judge_settings,
    pairs_in,
    read_verdict,
)
from kl_core.sources.pool import Pool, PoolSettings
from kl_core.sources.sample_question import SampleQuestion
from kl_core.sources.sample_settings import Keys, Settings
from kl_core.store.files import write_json

JOURNAL = "judge.sqlite"
JUDGEMENTS = "judgements.json"
SAME = "both continuations are the same"
UNREAD = "the judge's answer holds no verdict that can be read"


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts by the folder of the model that was better.

    Attributes:
        pairs: judged and to be judged; `same` of them needed no judge and count as ties.
        wins: by folder, zeros included.
        unread: answers without a verdict; failed: pairs without an answer.
        first_won: of `wins`, those of the continuation that was shown first.
    """

    pairs: int
    wins: dict[str, int]
    ties: int
    same: int
    unread: int
    failed: int
    first_won: int


@dataclass(frozen=True, slots=True)
class _Ticket:
    pair: Pair
    contexts: tuple[SampleQuestion, ...]


class Judging:
    """The pairs of one run and what a judge says of them.

    Args:
        run_dir: keeps the answers in judge.sqlite, so that no verdict is asked twice.
        config: has a judge; its first two models are compared.
        files: names of the files of the run's prompts. Files of other prompts or settings, and
            samples that the configuration does not ask of both, are left alone.
        address: where the judge is asked.
        log: takes continuations without a counterpart.

    Raises:
        InputError: no judge, or not two models.
    """

    def __init__(
        self,
        run_dir: Path,
        config: SamplingConfig,
        files: Sequence[str],
        address: str,
        log: ProblemLog,
    ) -> None:
        if config.judge is None or len(config.models) < 2:
            raise InputError("judging needs a judge and two models; add them to the configuration")
        self._run_dir, self._output_dir = run_dir, Path(config.output_dir)
        first, second = config.models[:2]
        self._judge: JudgeConfig = config.judge
        self._seed = config.seed or 0
        self._folders = (first.folder, second.folder)
        self._keys = Keys.of(self._judge.model, _sampling(self._judge), address)
        self._failures: dict[bytes, str] = {}
        both = (_continuing(config, first), _continuing(config, second))
        samples = min(Settings.of(config, model).samples for model in (first, second))
        self.pairs = list(pairs_in(both, files, samples, log))

    def questions(self) -> Iterator[SampleQuestion]:
        """What is asked, for a plan; pairs of equal continuations are not.

        Pairs that look the same to the judge are one question, as they are one call.
        """
        asked = [question for ticket in self._tickets() for question in ticket.contexts]
        yield from {question.key: question for question in asked}.values()

    async def run(
        self,
        ask: Ask[SampleQuestion],
        settings: PoolSettings,
        tick: Callable[[CallStats], None],
    ) -> Judged:
        """Ask what the journal does not know, and write judgements.json.

        It is written beside the responses and into the run's folder, also when the asking
        ends early.

        Raises:
            RunError: as Pool.run.
            Exception: whatever `tick` raised.
        """
        with closing(Journal.open(self._run_dir / JOURNAL)) as journal:
            pool: Pool[SampleQuestion] = Pool(ask, journal, settings, None, tick)
            try:
                await pool.run(self._tickets(), self._done)
            finally:
                judged = self._write(journal)
        return judged

    def _tickets(self) -> Iterator[_Ticket]:
        for pair in self.pairs:
            if not pair.same:
                yield _Ticket(pair, (self._question(pair),))

    def _question(self, pair: Pair) -> SampleQuestion:
        return self._keys.question(judge_prompt(self._judge, pair, self._seed), 0)

    def _done(self, ticket: _Ticket, failures: Mapping[bytes, str]) -> None:
        self._failures.update(failures)

    def _write(self, journal: AnswerStore) -> Judged:
        rows = [self._row(pair, journal) for pair in self.pairs]
        judged = self._summary(rows)
        record = {
            "judge": self._judge.model.name,
            "models": list(self._folders),
            "template": self._judge.template,
            "summary": asdict(judged),
            "judgements": rows,
        }
        for folder in (self._run_dir, self._output_dir):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                write_json(folder / JUDGEMENTS, record)
            except OSError as error:
                raise InputError(
                    f"{folder / JUDGEMENTS} cannot be written ({error.strerror}); free disk space "
                    "or check the rights, and resume: no verdict is asked again"
                ) from error
        return judged

    def _row(self, pair: Pair, journal: AnswerStore) -> dict[str, Any]:
        shown = self._folders[::-1] if pair.swapped(self._seed) else self._folders
        row = {
            "file": pair.file,
            "origin": msgspec.to_builtins(pair.origin),
            "sample": pair.number,
            "models": list(self._folders),
            "shown_first": shown[0],
        }
        if pair.same:
            return row | {"verdict": "tie", "reason": SAME, "raw": None, "error": None}
        question = self._question(pair)
        answer = journal.get(question.key)
        if answer is None or answer.error is not None:
            return row | _unanswered(answer, self._failures.get(question.key))
        raw = answer_text(answer)
        choice, reason = read_verdict(raw)
        error = UNREAD if choice is None else None
        verdict = {"A": shown[0], "B": shown[1], "tie": "tie"}.get(choice or "")
        return row | {"verdict": verdict, "reason": reason, "raw": raw, "error": error}

    def _summary(self, rows: list[dict[str, Any]]) -> Judged:
        verdicts = Counter(row["verdict"] for row in rows)
        won = [row for row in rows if row["verdict"] in self._folders]
        unread = sum(row["error"] == UNREAD for row in rows)
        return Judged(
            pairs=len(rows),
            wins={folder: verdicts[folder] for folder in self._folders},
            ties=verdicts["tie"],
            same=sum(pair.same for pair in self.pairs),
            unread=unread,
            failed=verdicts[None] - unread,
            first_won=sum(row["verdict"] == row["shown_first"] for row in won),
        )


def _continuing(config: SamplingConfig, model: ModelConfig) -> Continuing:
    folder = Path(config.output_dir) / model.folder
    return Continuing(folder, named(model), sampling_of(config, model))


def _sampling(judge: JudgeConfig) -> dict[str, Any]:
    settings = judge_settings(judge)
    free = msgspec.structs.replace(judge.model, input_price=None, output_price=None)
    return {
        "max_tokens": settings.max_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "model": msgspec.to_builtins(free),
    }


def _unanswered(answer: Answer | None, failure: str | None) -> dict[str, Any]:
    error = answer.error if answer is not None else failure
    said = error or "the judge was not asked yet"
    return {"verdict": None, "reason": "", "raw": None, "error": said}
