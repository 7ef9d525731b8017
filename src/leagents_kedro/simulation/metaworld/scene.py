"""A task's compiled scene, which all its environments in a process share."""

from weakref import WeakValueDictionary

import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.sawyer_xyz_env import SawyerXYZEnv

_VIEW = {"render_mode": "rgb_array", "camera_name": "corner2"}

type Placement = tuple[np.ndarray, np.ndarray]

_scenes: "WeakValueDictionary[str, Scene]" = WeakValueDictionary()


def scene_of(task: str) -> "Scene":
    """Return the scene of ``task``, compiled if nobody holds it yet."""
    scene = _scenes.get(task)
    if scene is None:
        _scenes[task] = scene = Scene(task)
    return scene


class Scene:
    """MuJoCo's model of a task: 18 MB, of which an episode changes only where bodies and sites are placed."""

    def __init__(self, task: str):
        own = ALL_V3_ENVIRONMENTS[task]
        simulation = own(**_VIEW)
        self._model = model = simulation.model
        # LeRobot's view of the table. Software rendering is several times as fast without shadows and multisampling.
        model.cam_pos[2] = [0.75, 0.075, 0.7]
        model.vis.quality.shadowsize = model.vis.quality.offsamples = 0
        self._placed: Placement | None = None  # last, unless someone moved them since
        self._compiled = self.placement()
        shared = {"_initialize_simulation": lambda _: (model, mujoco.MjData(model))}
        self._simulation_class = type(own.__name__, (own,), shared)

    def simulation(self) -> SawyerXYZEnv:
        """Return a simulation with a state of its own."""
        self.reset()
        return self._simulation_class(**_VIEW)

    def reset(self) -> None:
        """Put bodies and sites where they were compiled; who moves them from there asks for the `placement`."""
        self.place(self._compiled)
        self._placed = None

    def place(self, placement: Placement) -> None:
        """Put bodies and sites there again, unless they are."""
        if placement is not self._placed:
            self._model.body_pos[:], self._model.site_pos[:] = placement
            self._placed = placement

    def placement(self) -> Placement:
        """Return where bodies and sites are."""
        self._placed = placement = self._model.body_pos.copy(), self._model.site_pos.copy()
        return placement
