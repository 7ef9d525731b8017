import pytest

from leagents_kedro.foundation.cache import cache_hint


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (OSError("Not enough disk space. Needed: Unknown size"), True),
        (PermissionError(13, "Permission denied", "/caches/hf/hub/models--a"), True),
        (PermissionError(13, "Permission denied", "/caches/sets/parquet"), True),
        (PermissionError(13, "Permission denied", "/project/data"), False),
    ],
)
def test_a_cache_is_named(monkeypatch, error, named):
    monkeypatch.setenv("HF_HOME", "/caches/hf")
    monkeypatch.setenv("HF_DATASETS_CACHE", "/caches/sets")
    hint = cache_hint(error)
    assert bool(hint) is named
    assert not named or "below /caches/hf: make room there, or set HF_HOME (or HF_DATASETS_CACHE" in hint
