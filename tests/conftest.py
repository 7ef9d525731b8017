import os
import signal

import pytest

import support.projects  # noqa: F401 - first, while this process is small
from leagents_kedro.constitution.limits import Constitution
from support.parameters import base_constitution

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell that starts the tests in the background has Ctrl-C ignored, in all that they start too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def constitution() -> Constitution:
    """The limits of the project itself."""
    return base_constitution()
