"""What is printed or written as JSON has the form that its schema tells."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from test_cli import Call, call, folder  # noqa: F401 (fixtures)

from dlclaims.report import model
from dlclaims.report.schema import schema

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = json.loads((ROOT / "dlclaims" / "cli" / "schemas.json").read_text())


def check(found: Any, command: str) -> None:
    whole = {**SCHEMAS, "$ref": f"#/$defs/{command}"}
    jsonschema.Draft202012Validator.check_schema(whole)
    jsonschema.validate(found, whole, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["list"], "list"),
        (["show", "*"], "show"),
        (["show", "lp-hybrid", "vg-relu-not-immune"], "show"),
        (["run", "--dry-run"], "run --dry-run"),
        (["power", "vanishing-gradient"], "power"),
        (["status"], "status"),
        (["doctor"], "doctor"),
        (["quiz"], "quiz"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_commands_print_what_their_schemas_tell(
    call: Call,  # noqa: F811
    words: list[str],
    command: str,
) -> None:
    own = ["--out", str(ROOT / "results"), "--json"]
    check(call(*words, *own).json, command)
    if command not in ("power", "quiz"):  # which need results
        check(call(*words, "--json").json, command)


def test_a_run_and_a_calibration_print_what_their_schemas_tell(
    call: Call,  # noqa: F811
) -> None:
    words = ["batch-noise", "--jobs", "1", "--json"]
    check(call("run", *words, "--profile", "quick").json, "run")
    done = call("calibrate", *words, "--profile", "quick", "--simulated", "100")
    check(done.json, "calibrate")


def test_the_committed_report_has_the_form_that_lies_beside_it() -> None:
    written = json.loads((ROOT / "results" / "report.schema.json").read_text())
    assert written == schema()
    content = json.loads((ROOT / "results" / "report.json").read_text())
    validator = jsonschema.Draft202012Validator(written)
    validator.check_schema(written)
    assert list(validator.iter_errors(content)) == []
    assert content["schema"] == model.SCHEMA

    del content["pages"][0]["claims"][0]["references"]
    content["pages"][0]["claims"][1]["assertions"][0]["verdict"] = 1
    content["coverage"][0]["statements"][0].append("more")
    content["more"] = None
    assert len(list(validator.iter_errors(content))) == 4
