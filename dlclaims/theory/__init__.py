"""Closed forms that pages lay over their measurements."""
