"""Waiting for a condition with a deadline: the tests' only way to wait."""

import time


class DeadlineExceeded(AssertionError):
    """The condition did not come true in time."""


def wait_for(condition, seconds=10.0, what="the condition", every=0.02):
    """Calls `condition` until it returns something true and returns that; fails after `seconds`.

    An AssertionError inside `condition` counts as "not yet" and is shown when the deadline passes.
    """
    end = time.monotonic() + seconds
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except AssertionError as not_yet:
            last = not_yet
        if time.monotonic() >= end:
            raise DeadlineExceeded(f"{what} did not hold within {seconds} s; last seen: {last!r}")
        time.sleep(every)
