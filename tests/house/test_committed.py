"""What is committed is about Firmwire alone: no machine's paths, no addresses, no secrets."""

import re

FORBIDDEN = {
    "a path of somebody's machine": re.compile(
        r"(?<![\w.])/(?:root|home/\w+|Users/\w+|work|farm|tmp/fw\w*)/|\.pyenv/"
    ),
    "the address of a package index": re.compile(
        r"index-url|https?://[^\s\"')]+/(?:simple|packages)/"
    ),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/]"),
}
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".sql",
    ".yaml",
    ".yml",
    ".json",
    ".html",
    ".css",
    ".js",
    ".sh",
    "",
}


def test_no_path_address_or_key_of_ours(root, committed):
    """A clone anywhere reads and works the same."""
    found = []
    for path in committed:
        if path.suffix not in TEXT or path.name == "test_committed.py":
            continue
        text = path.read_text(errors="replace")
        for what, pattern in FORBIDDEN.items():
            if hit := pattern.search(text):
                line = text.count("\n", 0, hit.start()) + 1
                found.append(f"{path.relative_to(root)}:{line}: {what}: {hit[0]!r}")
    assert found == []


def test_the_tree_stays_small(root, committed):
    """No data set, binary or build product finds its way in."""
    big = [str(p.relative_to(root)) for p in committed if p.stat().st_size > 1_000_000]
    assert big == []
