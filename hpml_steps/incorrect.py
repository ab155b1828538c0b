"""The exception of a wrong result."""


class Incorrect(AssertionError):
    """A variant gave a wrong result, or did not take effect: its time would mean nothing."""
