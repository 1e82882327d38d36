"""Where the questions of one call's analysis wait for a batch, and their answers for the analysis."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from crm import batch_questions
from crm.database import Database

if TYPE_CHECKING:
    # The SDK behind them takes most of a second to import, which only those who use it shall pay.
    from engines.batched_requests import KeptQuestion, Question


@dataclass(frozen=True)
class StoredQuestions:
    """The questions of one call's analysis, kept in the database (see engines.batched_requests.Questions).

    `subject` says what is analysed, and as what: the transcript, the taxonomy, the prompt.
    """

    database: Database
    call_id: UUID
    subject: str

    def find(self, key: str) -> "KeptQuestion | None":
        """See Questions."""
        from engines.batched_requests import KeptQuestion, read_kept

        with self.database.read() as connection:
            row = batch_questions.find_question(connection, f"{self.subject}/{key}")
        if row is None:
            return None
        return KeptQuestion(read_kept(row.answer) if row.answer else None, row.is_sent, row.is_given_up)

    def put(self, question: "Question") -> None:
        """See Questions."""
        row = batch_questions.NewQuestion(
            key=f"{self.subject}/{question.key}",
            deployment=question.deployment,
            body=question.body,
            messages=json.dumps(question.messages, ensure_ascii=False),
            max_output_tokens=question.max_output_tokens,
        )
        with self.database.write() as connection:
            batch_questions.put_question(connection, self.call_id, row, now=datetime.now(UTC))
