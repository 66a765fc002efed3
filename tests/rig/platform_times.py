"""The two time formats of the platform (002 §2.1.2.8) and the device's hour stamp (002 §2.1.2.11)."""

import datetime as dt
import re

SECONDS = "%Y%m%dT%H%M%SZ"
COMPACT = re.compile(r"^\d{8}T\d{6}Z$")
WITH_MILLISECONDS = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$")


def utc_now(offset_ms: int = 0) -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc) + dt.timedelta(milliseconds=offset_ms)


def compact(moment: dt.datetime) -> str:
    """20151212T121212Z"""
    return moment.strftime(SECONDS)


def with_milliseconds(moment: dt.datetime) -> str:
    """2015-12-12T12:12:12.345Z"""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def hour_stamp(moment: dt.datetime) -> str:
    """2015121212: what a device signs with."""
    return moment.strftime("%Y%m%d%H")


def parse(text: str) -> dt.datetime:
    if COMPACT.match(text):
        return dt.datetime.strptime(text, SECONDS).replace(tzinfo=dt.timezone.utc)
    assert WITH_MILLISECONDS.match(text), f"not a platform time: {text!r}"
    return dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=dt.timezone.utc)
