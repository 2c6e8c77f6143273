"""The source tree as the house checks see it: rooms with their arrows, files, includes, and C++ text without comments.

Reads only. A `Tree` is made from the folder that holds CMakeLists.txt, so that the checks' own tests can hand in a bad one.
"""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Breach:
    """One place where a habit of the house is broken."""
    path: str
    line: int
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Room:
    name: str
    uses: tuple
    libraries: tuple
    line: int  # of its doline_room() in CMakeLists.txt


@dataclass(frozen=True)
class Include:
    path: str  # of the file that includes
    line: int
    is_quoted: bool
    header: str


_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<raw>\bu?8?[LU]?R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)")
      | (?P<number>\b\d(?:'?[\w.])*)
      | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""",
    re.VERBOSE | re.DOTALL)


def code_of(text, keep_strings=False):
    """The C++ text with comments (and what is quoted) replaced by blanks: same length, same lines."""
    def blank(match):
        if match["number"] is not None or (match["comment"] is None and keep_strings):
            return match[0]
        if match["comment"] is not None:
            return re.sub(r"[^\n]", " ", match[0])
        return match[0][0] + re.sub(r"[^\n]", " ", match[0][1:-1]) + match[0][-1]
    return _TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


class Tree:
    def __init__(self, root):
        self.root = Path(root)

    def text(self, path):
        """What the file says; nothing if there is none."""
        if not self.exists(path):
            return ""
        return (self.root / path).read_text(encoding="utf-8", errors="surrogateescape")

    def exists(self, path):
        return (self.root / path).is_file()

    def files(self, *folders, endings=(".h", ".cpp")):
        """Paths below the folders, relative to the root, sorted."""
        found = [path for folder in folders for path in (self.root / folder).rglob("*")
                 if path.is_file() and path.name.endswith(endings)]
        return sorted(str(path.relative_to(self.root)) for path in found)

    def rooms(self):
        """The doline_room() lines of CMakeLists.txt, in their order."""
        text = re.sub(r"#[^\n]*", lambda match: " " * len(match[0]), self.text("CMakeLists.txt"))
        rooms = []
        for match in re.finditer(r"\bdoline_room\(([^)]*)\)", text):
            name, *words = match[1].split()
            parts = {"USES": [], "LIBRARIES": [], "PRECOMPILED": []}
            part = None
            for word in words:
                if word in parts:
                    part = parts[word]
                elif part is not None:
                    part.append(word)
            rooms.append(Room(name, tuple(parts["USES"]), tuple(parts["LIBRARIES"]), line_of(text, match.start())))
        return rooms

    def includes(self, path):
        code = code_of(self.text(path), keep_strings=True)
        return [Include(path, line_of(code, match.start("header")), match["open"] == '"', match["header"])
                for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(?P<open>[<"])(?P<header>[^>"\n]+)[>"]', code,
                                         re.MULTILINE)]


def room_of(path):
    """src/dns/name.h -> dns; None for what is not in a room."""
    parts = Path(path).parts
    return parts[1] if len(parts) > 2 and parts[0] == "src" else None
