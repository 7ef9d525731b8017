import importlib

from leagents_kedro.foundation.packages import in_the_way


def test_a_folder_in_the_way_of_a_package_is_named(tmp_path, monkeypatch):
    """As that of somebody's own simulations, which is called as the package is."""
    (tmp_path / "gym_nowhere").mkdir()
    (tmp_path / "gym_nowhere" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("gym_nowhere")
    told = in_the_way(ModuleNotFoundError("No module named 'gym_nowhere.envs'", name="gym_nowhere.envs"))
    assert told.startswith(f"{tmp_path}/gym_nowhere is imported in the place of the package 'gym_nowhere': rename it")


def test_of_a_package_that_lacks_something_nothing_is_told():
    assert in_the_way(ModuleNotFoundError("No module named 'numpy.nothing'", name="numpy.nothing")) is None
    assert in_the_way(ModuleNotFoundError("No module named 'nothing'", name="nothing")) is None
    assert in_the_way(ImportError("cannot import")) is None
