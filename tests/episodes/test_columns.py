"""Columns of some episodes."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from leagents_kedro.episodes.columns import numeric_features, read_columns
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import EpisodesError
from support.datasets import METAWORLD, write_random


def test_of_other_episodes_nothing_is_read(tmp_path):
    shards = Shards(write_random(tmp_path / "mix", METAWORLD, (5, 7, 2, 9, 4)))
    features = numeric_features(shards.features)
    whole = read_columns(shards.data_files, features)
    (file,) = shards.data_files
    group = pq.ParquetFile(file).metadata.row_group(2)
    rotten = bytearray(file.read_bytes())
    for column in range(group.num_columns):
        end = group.column(column).data_page_offset + group.column(column).total_compressed_size
        rotten[min(end, len(rotten)) - 1] ^= 0xFF
    file.write_bytes(rotten)
    some = read_columns(shards.data_files, features, [4, 0])
    chosen = np.isin(whole["episode_index"], [0, 4])
    assert all(np.array_equal(some[key], whole[key][chosen]) for key in features)
    with pytest.raises(EpisodesError, match=str(file)):
        read_columns(shards.data_files, features, [2])
