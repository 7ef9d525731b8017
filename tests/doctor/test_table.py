"""docs/doctor.md has a row for what the doctor looks at, and no other."""

import re
from pathlib import Path

import pytest

from leagents_kedro.doctor import checkpoints, datasets
from leagents_kedro.episodes.checks import FORM

ROOT = Path(__file__).parents[2]
SECTIONS = re.split(r"^## ", (ROOT / "docs" / "doctor.md").read_text(), flags=re.M)
# The checks that each row of a table stands for.
DATASETS = {
    "readable and complete": ["_has_info"],
    "version v3.0": ["_has_version"],
    "stay in the folder": ["_stays_in_its_folder"],
    "parquet files finished": ["_is_finalized", "_has_no_other_files"],
    "rows as counted": ["_has_all_rows", "_has_all_videos"],
    "left by a stopped recording": ["_leaves_nothing_behind"],
    "without gaps": ["_has_gapless_index"],
    "sentences": ["_has_sentences"],
    "episodes under 2 frames": ["_has_frames"],
    "statistics: there": ["_has_a_file_of_statistics", "_has_statistics"],
    "features and fps": ["_fits_the_environment", "_can_be_learned"],
    "episodes of every task": ["_covers_the_suite"],
    "pages readable": ["_is_readable"],
    "frames where the index says": ["_has_the_rows_of_its_index", "_has_regular_times"],
    "several sentences": ["_has_one_sentence_an_episode"],
    "NaN and infinity": ["_is_finite"],
    "min, max, mean, std": ["_has_the_statistics_of_its_rows"],
    "quantiles those of": ["_has_the_quantiles_of_its_rows"],
    "one action through": ["_acts"],
    "std 0": ["_varies"],
    "kept digests": ["_has_the_episodes_that_were_kept", "_has_no_episode_twice"],
    "images open": ["_has_all_images"],
    "videos open": ["_has_all_video_frames"],
    "frames of videos where": ["_has_all_video_frames"],
}
CHECKPOINTS = {
    "files of policy": ["_has_its_files", "_has_readable_json"],
    "nothing pickled": ["_runs_no_code"],
    "digest as recorded": ["_has_its_digest"],
    "type and options": ["_has_a_known_policy"],
    "features and shapes": ["_fits_the_environment"],
    "safetensors readable": ["_has_finite_weights"],
    "statistics for every": ["_normalizes_like_the_mix"],
    "statistics near": ["_normalizes_like_the_mix"],
}


def rows(section: str) -> list[str]:
    (text,) = (part for part in SECTIONS if part.startswith(section))
    return re.findall(r"^\| (?!check|---)([^|]+) \|", text, flags=re.M)


@pytest.mark.parametrize(
    ("section", "table", "checks"),
    [
        (
            "Datasets",
            DATASETS,
            {check.__name__ for stage in (*FORM, *datasets._FORM[len(FORM) :], *datasets._CONTENT) for check in stage},
        ),
        (
            "Checkpoints",
            CHECKPOINTS,
            {check.__name__ for stage in (*checkpoints._FORM, *checkpoints._CONTENT) for check in stage},
        ),
    ],
)
def test_every_row_stands_for_checks_and_every_check_is_in_a_row(
    section: str, table: dict[str, list[str]], checks: set[str]
) -> None:
    found = {key for row in rows(section) for key in table if key in row}
    assert found == table.keys(), table.keys() - found
    assert len(rows(section)) == len(table)
    assert {check for names in table.values() for check in names} == checks
