#!/usr/bin/env python3
"""Makes `docs/compatibility.md` from what the black-box tests saw, or checks that it is fresh.

    tests/.venv/bin/python tests/compatibility.py FOLDER [--write]

FOLDER holds the notes of `pytest --record FOLDER` from one run on each store. An operation *works* when it succeeded in
passing tests on both stores; it works *partly* when `compatibility.toml` says what is missing; it is *missing* when it
answered 501 on both. An operation of that table that refuses on both stores, and does nothing else yet, counts as partly.
Anything else is an error: no test has driven it.
"""

import argparse
import json
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from rig.sdk_record import OPERATIONS  # noqa: E402

PAGE = HERE.parent / "docs" / "compatibility.md"
STORES = ("sqlite", "postgres")

INTRODUCTION = """\
# Compatibility with the IoTDA SDK

What the operations of the vendor's application SDK (`huaweicloudsdkiotda`, v5, {total} operations) do here. This page is
made by `make test` from what its tests saw: an operation **works** when the unmodified SDK drove it to success in passing
tests on SQLite and on PostgreSQL; **partly** names what is missing; **missing** answers 501 `IOTDA.000024`.

| works | partly | missing |
| ---: | ---: | ---: |
| {works} | {partly} | {missing} |
"""


def records(folder: Path) -> dict[str, dict[str, set[str]]]:
    """What was seen, by store."""
    seen = {store: {"answered": set(), "missing": set(), "refused": set()} for store in STORES}
    for file in sorted(folder.glob("*.jsonl")):
        store = seen[file.name.split("-")[0]]
        for line in file.read_text().splitlines():
            note = json.loads(line)
            store["answered"].update(note["answered"])
            store["missing"].update(note["missing"])
            store["refused"].update(note.get("refused", ()))
    return seen


def areas() -> dict[str, tuple[str, str]]:
    """Area and address of each operation, from the OpenAPI document."""
    document = json.loads((HERE.parent / "crates" / "api" / "openapi.json").read_text())
    found = {}
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            if isinstance(operation, dict) and "operationId" in operation:
                short = path.removeprefix("/v5/iot/{project_id}")
                found[operation["operationId"]] = (operation["tags"][0], f"`{verb.upper()} {short}`")
    return found


def judge(seen, partly) -> tuple[dict[str, str], list[str]]:
    """The state of each operation, and what is wrong."""
    states, wrong = {}, []
    for operation in OPERATIONS:
        answered = [operation in seen[store]["answered"] for store in STORES]
        missing = [operation in seen[store]["missing"] for store in STORES]
        refused = [operation in seen[store]["refused"] for store in STORES]
        # What can only refuse until something else is built works in part, when the table says so.
        if all(answered) or operation in partly and all(refused) and not any(missing):
            states[operation] = "partly" if operation in partly else "works"
        elif all(missing) and not any(answered):
            states[operation] = "missing"
        else:
            wrong.append(f"{operation}: no passing test on both stores has driven it")
    wrong += [f"compatibility.toml names {o}, which does not work at all" for o in partly if states.get(o) != "partly"]
    return states, wrong


def page(states, partly) -> str:
    count = lambda state: sum(1 for s in states.values() if s == state)
    out = [INTRODUCTION.format(total=len(OPERATIONS), works=count("works"), partly=count("partly"), missing=count("missing"))]
    by_area: dict[str, list[str]] = {}
    addresses = areas()
    for operation in states:
        by_area.setdefault(addresses[operation][0], []).append(operation)
    for area, operations in by_area.items():
        out.append(f"\n## {area}\n\n| operation | address | state |\n| --- | --- | --- |\n")
        for operation in operations:
            state = states[operation]
            shown = f"partly: {partly[operation]}" if state == "partly" else state
            out.append(f"| {operation} | {addresses[operation][1]} | {shown} |\n")
    return "".join(out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true", help="write the page instead of comparing it")
    arguments = parser.parse_args()
    partly = tomllib.loads((HERE / "compatibility.toml").read_text()).get("partly", {})
    states, wrong = judge(records(arguments.folder), partly)
    for line in wrong:
        print(f"compatibility: {line}")
    made = page(states, partly)
    if arguments.write:
        PAGE.write_text(made)
    elif not PAGE.exists() or PAGE.read_text() != made:
        print("compatibility: docs/compatibility.md is stale; `make compatibility` writes it")
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
