from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from leagents_kedro.foundation.seeds import derive_seed

names = st.tuples(st.integers(), st.text())


@given(names, names, st.integers(0, 10_000), st.integers(0, 10_000))
def test_purposes_never_share_a_seed(left, right, i, j):
    seeds = [
        derive_seed(purpose, *n, index=k)
        for purpose, n, k in (("demonstration", left, i), ("evaluation", right, j), ("harvest", left, j))
    ]
    assert all(a != b for a, b in combinations(seeds, 2))


@given(names, st.integers(0, 10_000))
def test_seeds_fit_every_simulator(name, index):
    assert 0 <= derive_seed("harvest", *name, index=index) < 2**31


def test_indices_never_share_a_seed():
    assert len({derive_seed("evaluation", 0, "push-v3", index=index) for index in range(1000)}) == 1000


def test_a_seed_is_the_same_everywhere():
    assert derive_seed("evaluation", 0, "reach-v3", index=7) == derive_seed("evaluation", 0, "reach-v3", index=7)
    assert derive_seed("evaluation", 0, "reach-v3", index=7) != derive_seed("evaluation", 1, "reach-v3", index=7)
