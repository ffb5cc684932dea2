"""The tests, and what they share."""

import os

# One thread in this process and in those it starts: a run's bytes depend on their number, and tests compare runs.
os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported, which reads it
