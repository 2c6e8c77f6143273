"""The names that are asked and blocked: made lists, real ones, and each server's own format of them."""

import lzma
import os
import random
from pathlib import Path

import made_names

CACHED_ZONE = "cached.example"
ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("DOLINE_SHARED", ROOT.parent / "shared"))


def count_of(size):
    """"10k", "1M" as a number."""
    return int(size.rstrip("kM")) * {"k": 1_000, "M": 1_000_000}.get(size[-1], 1)


def made(folder, size):
    """A made list of so many names, one a line; the same on every machine, and made once for a folder."""
    path = folder / f"made-{size}.txt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write(path, made_names.names(count_of(size), seed=1))
    return path


def write(path, names):
    begun = path.with_suffix(".begun")
    begun.write_text("\n".join(names) + "\n")
    begun.rename(path)
    return path


def cached(folder):
    """10,000 names that the upstream knows."""
    path = folder / "cached.txt"
    if not path.exists():
        rng = random.Random(4711)
        hosts = ("www", "api", "img", "cdn", "m", "static", "login", "edge")
        write(path, [f"{rng.choice(hosts)}{i % 7 or ''}.site{i:05d}.{CACHED_ZONE}" for i in range(10_000)])
    return path


def shuffled(path, count=None):
    """Names of a list in another order; so many, or all."""
    target = path.with_suffix(f".shuffled-{count or 'all'}")
    if not target.exists():
        names = path.read_text().split()
        random.Random(4711).shuffle(names)
        write(target, names[:count])
    return target


def real(folder):
    """Real hosts and domains lists from `shared/` beside the checkout, unpacked; none without it."""
    found = []
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("hosts", "domains"):
        for source in sorted((SHARED / "data" / "lists" / kind).glob("*")):
            content = source.read_bytes()
            target = folder / f"{kind}-{source.name.removesuffix('.xz')}"
            target.write_bytes(lzma.decompress(content) if source.suffix == ".xz" else content)
            found.append(target)
    return found


def last_name(path):
    """The last name that a hosts or domains list blocks."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - 4000))
        lines = file.read().decode(errors="replace").splitlines()
    for line in reversed(lines):
        words = line.split("#")[0].split()
        if words:
            return words[-1].rstrip(".")
    raise ValueError(f"{path} lists nothing")


# ── formats ──────────────────────────────────────────────────────────────────────────────────────────────────────────

RPZ_HEAD = "$TTL 3600\n@ SOA localhost. root.localhost. 1 3600 600 86400 3600\n@ NS localhost.\n"


def cdb_line(name):
    """What `cdb -c` reads: the name in wire form."""
    key = "".join(chr(len(label)) + label for label in name.split(".")) + "\0"
    return f"+{len(key)},1:{key}->1\n"


FORMATS = {  # what stands before the names, what becomes of one, and what stands behind them
    "adblock": ("", "||{0}^\n".format, ""),
    "dnsmasq": ("", "address=/{0}/\n".format, ""),
    "unbound": ("server:\n", 'local-zone: "{0}" always_nxdomain\n'.format, ""),
    "rpz": (RPZ_HEAD, "{0} CNAME .\n*.{0} CNAME .\n".format, ""),
    "cdb": ("", cdb_line, "\n"),
}


def converted(path, form):
    """The list in a server's own format, made once beside it."""
    if form == "plain":
        return path
    target = path.with_suffix(f".{form}")
    if not target.exists():
        head, line, tail = FORMATS[form]
        target.write_text(head + "".join(map(line, path.read_text().split())) + tail)
    return target
