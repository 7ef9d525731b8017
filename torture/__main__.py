"""``python -m torture --points 20``: see `points`."""

import sys

from torture.points import main

sys.exit(main())
