"""Shared by all tests: pinned threads, quiet TensorFlow, one hypothesis profile."""

import os

# Before anything imports TensorFlow or matplotlib. One thread, because results must not
# depend on how many tests run beside each other.
os.environ.update(
    KERAS_BACKEND="tensorflow",
    MPLBACKEND="agg",
    OMP_NUM_THREADS="1",
    TF_CPP_MIN_LOG_LEVEL="3",
    TF_NUM_INTEROP_THREADS="1",
    TF_NUM_INTRAOP_THREADS="1",
)

from hypothesis import settings

settings.register_profile(
    "dlclaims", database=None, deadline=None, derandomize=True, max_examples=50
)
settings.load_profile("dlclaims")
