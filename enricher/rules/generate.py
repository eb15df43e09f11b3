#!/usr/bin/env python3
"""Makes hosts.tsv and spam.tsv from the CC0 lists of Matomo.

    python3 enricher/rules/generate.py FOLDER

FOLDER holds two extracts:

- referrers.tsv: kind (search, social, ai), name, host pattern; from
  matomo-org/searchengine-and-social-list, commit 3b3a82dc83cd146abe17aafe31254de1c25f7844
  (2026-07-15), CC0-1.0, names and hosts only
- spam-hosts.txt: one host a line; from matomo-org/referrer-spam-list, commit
  b1c66b3cbbd8fe243ff028a8932788da187b9934 (2026-08-20), CC0-1.0

Output is sorted and depends on the input alone. Our own judgements are not made here but in
overlay.tsv, whose rows win over these.
"""

import hashlib
import pathlib
import sys

CATEGORIES = {"search": "search_engine", "social": "social_media", "ai": "ai_assistant"}
HERE = pathlib.Path(__file__).parent


def pattern(host: str) -> str:
    """`{}.bing.com` is any label before: matched as a suffix anyway. `google.{}` is any public
    suffix behind: written `google.*`. An Android package stands for itself."""
    if host.startswith("android-app//"):
        host = host.split("/")[2]
    host = host.removeprefix("{}.").replace(".{}.", ".").lower()
    return host.replace(".{}", ".*")


def covered(entries: dict, host: str, category: str) -> bool:
    """Whether a shorter entry says the same of this one."""
    host, _, path = host.partition("/")
    labels = host.split(".")
    candidates = [".".join(labels[start:]) for start in range(0 if path else 1, len(labels))]
    candidates += [f"{labels[-2]}.*"] if len(labels) > 1 and not host.endswith(".*") else []
    return any(entries.get(candidate, (None,))[0] == category for candidate in candidates)


def header(title: str, repository: str, commit: str, source: bytes) -> list:
    return [
        f"# {title}",
        "# Made by generate.py; do not edit, write overlay.tsv instead.",
        f"# Source: https://github.com/{repository}, commit {commit}, CC0-1.0.",
        f"# SHA-256 of the extract: {hashlib.sha256(source).hexdigest()}",
    ]


def hosts(source: bytes) -> list:
    entries = {}
    for line in source.decode().splitlines()[1:]:
        kind, name, host = line.split("\t")
        name = name.replace("%2B", "+")
        entries.setdefault(pattern(host), (CATEGORIES[kind], name))
    kept = {
        host: entry for host, entry in entries.items() if not covered(entries, host, entry[0])
    }
    return [f"{host}\t{category}\t{name}" for host, (category, name) in sorted(kept.items())]


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    referrers = (folder / "referrers.tsv").read_bytes()
    spam = (folder / "spam-hosts.txt").read_bytes()
    lines = header(
        "Hosts of search engines, social networks and assistants: host, category, name.",
        "matomo-org/searchengine-and-social-list",
        "3b3a82dc83cd146abe17aafe31254de1c25f7844",
        referrers,
    )
    (HERE / "hosts.tsv").write_text("\n".join(lines + hosts(referrers)) + "\n")
    lines = header(
        "Hosts of referrer spam.",
        "matomo-org/referrer-spam-list",
        "b1c66b3cbbd8fe243ff028a8932788da187b9934",
        spam,
    )
    names = sorted({line.strip().lower() for line in spam.decode().splitlines() if line.strip()})
    (HERE / "spam.tsv").write_text("\n".join(lines + names) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
