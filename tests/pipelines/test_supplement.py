"""Tasks that are added to the suite get their demonstrations."""

from pathlib import Path

import pytest

from leagents_kedro.episodes.shards import Appended, Shards
from leagents_kedro.errors import ParameterError
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.pipelines.supplement.nodes import append_demonstrations, demonstrate_added_tasks
from support.datasets import write_reaches


@pytest.fixture(scope="module")
def reaches(tmp_path_factory):
    return Shards(write_reaches(tmp_path_factory.mktemp("mix") / "v3"))


def test_experts_demonstrate_what_the_mix_lacks(reaches, suite_params, demonstrations, evaluation, constitution):
    few = demonstrations.model_copy(update={"initial_per_task": 1})

    def added(suite: SuiteParams, source: str = "experts"):
        given = few.model_copy(update={"source": source})
        return demonstrate_added_tasks(reaches, suite, given, evaluation, 0, constitution, Path())

    assert [episode.sentence for episode in added(suite_params).episodes] == ["Push and close a drawer"]
    assert added(suite_params.model_copy(update={"tasks": ("reach-v3",)})) is None
    with pytest.raises(ParameterError, match="'folder', which cannot add drawer-close-v3; set it to experts"):
        added(suite_params, "folder")


def test_they_come_after_what_is_there(reaches):
    assert append_demonstrations(reaches, reaches) == Appended(reaches, (reaches,))
    assert append_demonstrations(reaches, None) is reaches
