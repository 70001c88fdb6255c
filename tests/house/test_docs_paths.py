"""What a document names exists: paths, make targets. That is how documents rot elsewhere."""

import re

_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"^[\w.][\w./-]*/[\w./-]*$|^[\w-]+\.(?:py|md|toml|txt|json)$")
_MAKE = re.compile(r"(?:^|[`\s])make ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)*)", re.MULTILINE)
_FIRST = {
    "contracts", "chassis", "gateway", "system_apis", "process_apis", "experience_apis", "sandbox",
    "firmwire", "tests", "bench", "deploy", "docs", "openapi", ".ci", "changelog",
}  # fmt: skip


def test_paths_named_in_documents_exist(root, committed):
    """A path in backticks that starts in one of our folders is there."""
    missing = []
    for document in (path for path in committed if path.suffix == ".md"):
        for named in _CODE.findall(document.read_text()):
            if not _PATH.match(named) or named.split("/")[0] not in _FIRST:
                continue
            if not (root / named).exists() and not (document.parent / named).exists():
                missing.append(f"{document.relative_to(root)}: {named}")
    assert missing == []


def test_make_targets_named_in_documents_exist(root, committed):
    """`make something` in backticks or a code block is a target."""
    makefile = (root / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    missing = []
    for document in (path for path in committed if path.suffix == ".md"):
        text = document.read_text()
        code = "\n".join(
            re.findall(r"```.*?```|`[^`\n]+`|^ {4}.*$", text, re.DOTALL | re.MULTILINE)
        )
        for words in _MAKE.findall(code):
            first = words.split()[0]
            if first not in targets:
                missing.append(f"{document.relative_to(root)}: make {first}")
    assert missing == []
