import os
import signal

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell that starts the tests in the background has Ctrl-C ignored, in all that they start too.
signal.signal(signal.SIGINT, signal.default_int_handler)
