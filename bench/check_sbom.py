"""Holds a bill of materials against CycloneDX 1.6's JSON schema, as CycloneDX's own Python library has it."""

import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(Path(sys.argv[1]).read_text())
if problem is not None:
    print(str(problem)[:2000])
    sys.exit(1)
