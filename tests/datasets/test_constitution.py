from pathlib import Path

import pytest

from leagents_kedro.datasets.constitution import ConstitutionDataset
from leagents_kedro.errors import ConstitutionError, ParameterError

BASE = Path(__file__).parents[2] / "conf" / "base" / "constitution.yml"


def test_the_limits_that_ship_are_complete():
    limits = ConstitutionDataset(str(BASE)).load()
    assert "metaworld_state" in limits.environments
    assert not any((limits.hub_push, limits.remote_code, limits.real_hardware, limits.parallel_task_evaluation))


@pytest.mark.parametrize(
    ("change", "message"),
    [(("hub_push", "hubpush"), "constitution.hubpush"), (("20000", "-1"), "constitution.max_episodes")],
)
def test_an_unknown_or_impossible_limit_is_named(tmp_path, change, message):
    (tmp_path / "constitution.yml").write_text(BASE.read_text().replace(*change))
    with pytest.raises(ParameterError, match=message):
        ConstitutionDataset(str(tmp_path / "constitution.yml")).load()


def test_without_a_file_no_job_runs(tmp_path):
    with pytest.raises(ConstitutionError, match="no constitution"):
        ConstitutionDataset(str(tmp_path / "constitution.yml")).load()


def test_the_loop_cannot_write_it():
    dataset = ConstitutionDataset(str(BASE))
    with pytest.raises(Exception, match="changed by people"):
        dataset.save({})
