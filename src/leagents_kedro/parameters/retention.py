"""Parameters of retention."""

from typing import Annotated

from pydantic import Field

from leagents_kedro.records import Record, Verdict


class RetentionParams(Record):
    """Which versions of checkpoints and data sets stay.

    Of each entry the newest ``keep_last`` (null: all), and everything that a cycle read and wrote whose decision was
    one of ``keep_cited_by``. Whatever these say, the first mix stays, and what the parameters or a checkpoint that
    stays name.
    """

    keep_last: Annotated[int, Field(ge=1)] | None
    keep_cited_by: tuple[Verdict, ...]
