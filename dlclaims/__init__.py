"""Test the statements that people learn about deep learning."""

__version__ = "0.1.0"
