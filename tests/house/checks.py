#!/usr/bin/env python3
"""The habits of the house as tests: `checks.py CHECK [ROOT]` prints every breach as file:line and ends with 1 if there is one.

Each check is a function from a Tree to its breaches; its docstring is the rule. checks_test.py proves of each that it can fail.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tree import Breach, Tree, code_of, line_of, room_of

SKIPPED = 77  # exit status that CTest counts as skipped

# ── arrows ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def arrows(tree):
    """A room includes only itself and the rooms that its doline_room() line names, and those stand above it."""
    rooms = {room.name: room for room in tree.rooms()}
    above = set()
    for room in rooms.values():
        for used in room.uses:
            if used not in above:
                yield Breach("CMakeLists.txt", room.line, f"{room.name} uses {used}, which is not a room above it")
        above.add(room.name)
    for path in tree.files("src"):
        here = room_of(path)
        if here not in rooms:
            yield Breach(path, 1, "lies in no room of CMakeLists.txt")
            continue
        for include in tree.includes(path):
            there, slash, _ = include.header.partition("/")
            if include.is_quoted and not slash:
                yield Breach(path, include.line, f'"{include.header}" does not name its room: "{here}/{include.header}"?')
            elif include.is_quoted and not tree.exists(f"src/{include.header}"):
                yield Breach(path, include.line, f'"{include.header}" is no file of src/')
            elif include.is_quoted and there != here and there not in rooms[here].uses:
                yield Breach(path, include.line, f"{here} includes {there}, an arrow that CMakeLists.txt does not have")
            elif not include.is_quoted and tree.exists(f"src/{include.header}"):
                yield Breach(path, include.line, f"<{include.header}> is ours: include it in quotes")


def plan(tree):
    """The table of arrows in src/README.md says what the doline_room() lines say, in their order."""
    path = "src/README.md"
    rows = []
    for number, line in enumerate(tree.text(path).splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3 and re.fullmatch(r"`\w+/`", cells[0]):
            words = [tuple(re.findall(r"\w+", cell)) for cell in cells]
            rows.append((number, words[0][0], words[1], words[2]))
    rooms = tree.rooms()
    if not rows:
        yield Breach(path, 1, "has no table of arrows: | `room/` | rooms it includes | libraries |")
        return
    for (number, name, uses, libraries), room in zip(rows, rooms):
        if (name, uses, libraries) != (room.name, room.uses, room.libraries):
            yield Breach(path, number, f"says | `{name}/` | {' '.join(uses)} | {' '.join(libraries)} |, CMakeLists.txt:"
                         f"{room.line} says | `{room.name}/` | {' '.join(room.uses)} | {' '.join(room.libraries)} |")
    for room in rooms[len(rows):]:
        yield Breach(path, rows[-1][0], f"misses the room {room.name}")
    for number, name, *_ in rows[len(rooms):]:
        yield Breach(path, number, f"has a room {name} that CMakeLists.txt does not have")


# ── fences ──────────────────────────────────────────────────────────────────────────────────────────────────────────

# Third-party headers and the library (as in LIBRARIES) that a room must name to include them.
LIBRARY_HEADERS = {
    "asio": r"asio(\.hpp|/.*)", "cap_ng": r"cap-ng\.h", "cli11": r"CLI/.*", "crypto": r"openssl/.*", "curl": r"curl/.*", "json": r"nlohmann/.*",
    "ldns": r"ldns/.*", "mnl": r"libmnl/.*", "spdlog": r"(spdlog|fmt)/.*", "sqlite": r"sqlite3\.h", "uv": r"uv(\.h|/.*)",
    "xxhash": r"xxhash\.h", "re2": r"re2/.*", "zlib": r"zlib\.h", "lzma": r"lzma\.h", "zstd": r"zstd\.h", "yaml_cpp": r"yaml-cpp/.*",
}
# tl::expected comes to all by base/result.h; others do not include it.
ONLY_IN = {r"tl/expected\.hpp": "src/base/result.h"}
# What the C++ library (no dot), the C library and the kernel bring.
SYSTEM_HEADERS = re.compile(
    r"[a-z_0-9]+|(sys|linux|net|netinet|arpa|asm)/[\w/.-]+\.h|"
    r"(unistd|fcntl|poll|signal|spawn|pwd|grp|dirent|ifaddrs|netdb|sched|pthread|getopt|endian|byteswap|syslog|termios|resolv|"
    r"errno|time|stdlib|string|stdint|stdio|limits|malloc|dlfcn|link|[exia]mmintrin|immintrin|x86intrin|arm_neon|nmmintrin)\.h")

WORDS = {"base", "dns", "device"}
JUDGEMENT = {"blocklist", "geo", "policy", "response", "cache"}
# base/time.h is where a clock is declared and read.
CLOCKS = re.compile(r"\b(?:steady|system|high_resolution)_clock\s*::\s*now\b|\bclock_gettime\s*\(|\bgettimeofday\s*\(")
SOCKETS = re.compile(r"sys/socket\.h|sys/epoll\.h|netdb\.h|poll\.h|linux/.*")


def fences(tree):
    """A third-party library is included only in rooms that name it; Asio in headers only in transport; words and judgement know
    neither threads nor clocks nor the kernel's networking."""
    rooms = {room.name: room for room in tree.rooms()}
    for path in tree.files("src"):
        room = rooms.get(room_of(path))
        if room is None:
            continue  # said by arrows
        for include in tree.includes(path):
            if include.is_quoted:
                continue
            header = include.header
            library = next((name for name, pattern in LIBRARY_HEADERS.items() if re.fullmatch(pattern, header)), None)
            only_in = next((where for pattern, where in ONLY_IN.items() if re.fullmatch(pattern, header)), None)
            if only_in is not None:
                if path != only_in:
                    yield Breach(path, include.line, f"<{header}> is included only by {only_in}")
            elif library is None:
                if not SYSTEM_HEADERS.fullmatch(header):
                    yield Breach(path, include.line, f"<{header}> belongs to no library that the fences know")
            elif library not in room.libraries:
                yield Breach(path, include.line, f"<{header}>: {room.name} does not name {library} among its LIBRARIES")
            elif library == "asio" and path.endswith(".h") and room.name != "transport" and "fwd" not in header:
                yield Breach(path, include.line, f"<{header}>: Asio stays out of headers (0.9 s each); declare what you need")
            if room.name in WORDS | JUDGEMENT:
                if header in ("thread", "mutex", "shared_mutex", "condition_variable", "future"):
                    yield Breach(path, include.line, f"<{header}>: {room.name} knows no threads")
                if SOCKETS.fullmatch(header) and room.name != "base":
                    yield Breach(path, include.line, f"<{header}>: {room.name} has no network")
        if room.name in WORDS | JUDGEMENT and not path.startswith("src/base/time."):
            code = code_of(tree.text(path))
            for match in CLOCKS.finditer(code):
                yield Breach(path, line_of(code, match.start()), f"{room.name} is given the time and does not read a clock")


# ── coroutines ──────────────────────────────────────────────────────────────────────────────────────────────────────

_CLOSING = {")": "(", "]": "[", "}": "{"}


def _opens_block(code, at):
    """Is the `{` at this place a block? clang-format puts a blank before those, none before an initializer's brace."""
    before = code[:at]
    bare = before.rstrip()
    if bare == before or re.search(r"(?:[=,(?:&|]|\b(?:return|co_return|co_yield|co_await))$", bare):
        return bare.endswith(")")  # `){`: a block all the same
    return True


def _full_expression(code, at):
    """Where the full expression around `at` begins and ends, as near as text can tell."""
    depth, start = 0, at
    while start > 0:
        letter = code[start - 1]
        if letter in ")]" or (letter == "}" and depth > 0):
            depth += 1
        elif letter in "([":
            if depth == 0 and re.search(r"\b(?:if|while|switch|for)\s*(?:constexpr\s*)?$", code[:start - 1]):
                break  # the condition is a full expression of its own
            depth -= 1 if depth > 0 else 0
        elif letter == "{":
            if depth > 0:
                depth -= 1
            elif _opens_block(code, start - 1):
                break
        elif letter == ";" and depth == 0:
            break
        elif letter == "}" and depth == 0:
            opening = _opening(code, start - 1)
            if opening is None or _opens_block(code, opening):
                break
            depth += 1
        start -= 1
    stack, end = [], at
    while end < len(code):
        letter = code[end]
        if letter in "([{":
            if letter == "{" and not stack and _opens_block(code, end):
                break
            stack.append(letter)
        elif letter in _CLOSING:
            if stack:
                stack.pop()
            elif letter == "}":
                break
        elif letter == ";" and not stack:
            break
        end += 1
    return start, end


def _opening(code, at):
    depth = 0
    for place in range(at, -1, -1):
        depth += (code[place] in ")]}") - (code[place] in "([{")
        if depth == 0:
            return place
    return None


_CAPTURING = re.compile(r"(?<![\w)\]\[])\s*\[(?!\[)[^\[\]]*[\w&=*][^\[\]]*\]\s*(?:[({<]|mutable\b|->)")


def coroutine_breaches(path, text):
    code = code_of(text)
    for match in re.finditer(r"\bco_await\b", code):
        start, end = _full_expression(code, match.start())
        expression, line = code[start:end], line_of(code, match.start())
        if _CAPTURING.search(expression):
            yield Breach(path, line, "a lambda with captures in a co_await expression: gcc 12 destroys it twice; name it before")
        elif "{" in expression:
            yield Breach(path, line, "braces in a co_await expression: gcc 12 destroys an aggregate twice; name it before")
        if re.search(r"\?", expression):
            yield Breach(path, line, "a conditional in a co_await expression: gcc 12 destroys its class value twice; name it before")


def coroutines(tree):
    """No full expression with co_await makes a lambda with captures, a braced aggregate or a conditional: gcc 12 destroys such
    a temporary twice."""
    for path in tree.files("src", "tests"):
        yield from coroutine_breaches(path, tree.text(path))


# ── habits ──────────────────────────────────────────────────────────────────────────────────────────────────────────

FORBIDDEN = [
    (r"\basio\s*::\s*detached\b|\basio\s*::\s*detached_t\b", "asio::detached swallows exceptions: transport/spawn.h"),
    (r"\basio\s*::\s*(?:basic_)?signal_set\b", "signals belong to libuv"),
    (r"\bstd\s*::\s*w?regex\b", "std::regex backtracks without bound"),
    (r"(?<![\w.>:])(?:std\s*::\s*)?system\s*\(|(?<![\w.>])popen\s*\(", "no shell: spawn a program with its arguments"),
    (r"(?<![\w.>])(?:std\s*::\s*)?(?:sprintf|vsprintf|strcpy|strcat|gets|strtok)\s*\(", "writes without a bound"),
    (r"(?<![\w.>])(?:std\s*::\s*)?s?rand\s*\(", "predictable: getrandom"),
    (r"(?<!static_)\bassert\s*\(", "vanishes in a release: check()"),
    (r"\bcatch\s*\(\s*\.\.\.\s*\)\s*\{\s*\}", "swallows every exception"),
]
# A worker that throws stops serving everybody.
MUST_NOT_THROW = WORDS | JUDGEMENT | {"transport", "listener", "upstream", "redirect", "warden", "querylog", "resolver"}


def habits(tree):
    """Nothing that the plan forbids by name; no throw outside the study and the front door."""
    for path in tree.files("src"):
        code = code_of(tree.text(path))
        for pattern, reason in FORBIDDEN:
            for match in re.finditer(pattern, code):
                yield Breach(path, line_of(code, match.start()), f"{match[0].strip()}: {reason}")
        if room_of(path) in MUST_NOT_THROW:
            for match in re.finditer(r"\bthrow\b", code):
                yield Breach(path, line_of(code, match.start()), "throw: expected failures are Result<T, Fault>")
        if path.endswith(".h"):
            for match in re.finditer(r"\busing\s+namespace\b", code):
                yield Breach(path, line_of(code, match.start()), "using namespace in a header")


EMPTY_WORDS = {"manager", "managers", "helper", "helpers", "util", "utils", "utility", "utilities", "common", "handler", "handlers",
               "processor", "misc", "context", "data"}


RFC_NAMES = {"NoData"}


def _words(name):
    if name in RFC_NAMES:
        return []
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|\d+", name)]


def names(tree):
    """No file and no type is called manager, helper, util, common, handler, processor, context or data: that is two things."""
    for path in tree.files("src", "tests", "cmake", endings=(".h", ".cpp", ".py", ".sh", ".cmake")):
        for word in EMPTY_WORDS.intersection(_words(Path(path).stem)):
            yield Breach(path, 1, f"a file called {word}: name the idea")
    for path in tree.files("src"):
        code = code_of(tree.text(path))
        for match in re.finditer(r"\b(?:class|struct|enum(?:\s+class)?|union|concept|using|namespace)\s+([A-Za-z_]\w*)\s*(?=[\s:{=;<]|final)", code):
            if match[0].startswith("using") and not code[match.end():].lstrip().startswith("="):
                continue
            if re.match(r"\s*;", code[match.end():]):
                continue  # a forward declaration of somebody else's type
            for word in EMPTY_WORDS.intersection(_words(match[1])):
                yield Breach(path, line_of(code, match.start()), f"{match[1]}: {word} says nothing; name the idea")


def headers(tree):
    """A header opens with a paragraph that says what it is, then #pragma once before anything else."""
    for path in tree.files("src"):
        if not path.endswith(".h"):
            continue
        lines = tree.text(path).splitlines()
        if not lines or not re.match(r"//\s*\S.{20,}", lines[0]):
            yield Breach(path, 1, "does not open with a paragraph that says what it is")
        code = code_of("\n".join(lines), keep_strings=True)
        first = next((line.strip() for line in code.splitlines() if line.strip()), "")
        if first != "#pragma once":
            yield Breach(path, 1, "#pragma once does not come before all code")


def homes(tree):
    """No file names a path of the machine it was written on."""
    pattern = re.compile(r"(?<![\w.])/" + r"work/\w|(?<![\w.])/home/(?!kids|USER|you)\w+/")
    for path in tree.files(".", endings=("",)):
        if re.match(r"(build|\.git|\.cache)/|\.git$", path) or "__pycache__" in path or not _is_text(tree.root / path):
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if pattern.search(line):
                yield Breach(path, number, f"a path of one machine: {line.strip()[:80]}")


def _is_text(path):
    with path.open("rb") as file:
        return b"\0" not in file.read(4096)


# ── tests ───────────────────────────────────────────────────────────────────────────────────────────────────────────

UNMIRRORED = "tests/house/unmirrored.txt"


def mirrors(tree):
    """Every src/ROOM/FILE.cpp has tests/unit/ROOM/FILE.cpp, or a line in tests/house/unmirrored.txt that says what tests it."""
    reasons = {}
    for number, line in enumerate(tree.text(UNMIRRORED).splitlines(), 1):
        path, _, reason = line.partition(" ")
        if not path or path.startswith("#"):
            continue
        reasons[path] = number
        if not reason.strip():
            yield Breach(UNMIRRORED, number, f"{path} without a reason")
        if not tree.exists(path):
            yield Breach(UNMIRRORED, number, f"{path} is no file any more")
        elif tree.exists(_mirror(path)):
            yield Breach(UNMIRRORED, number, f"{path} has its test now: take the line out")
    for path in tree.files("src", endings=(".cpp",)):
        if path not in reasons and not tree.exists(_mirror(path)):
            yield Breach(path, 1, f"has no {_mirror(path)}, and {UNMIRRORED} gives no reason")
    for path in tree.files("tests/unit", endings=(".cpp",)):
        source = "src/" + path.removeprefix("tests/unit/")
        if not tree.exists(source) and not tree.exists(source.removesuffix(".cpp") + ".h"):
            yield Breach(path, 1, f"tests neither {source} nor a header of that name")


def _mirror(path):
    return "tests/unit/" + path.removeprefix("src/")


def fuzzers(tree):
    """Every fuzz target is registered and has a corpus; every target that is registered exists."""
    cmake = "tests/fuzz/CMakeLists.txt"
    registered = {}
    for number, line in enumerate(tree.text(cmake).splitlines(), 1):
        match = re.match(r"\s*doline_fuzz\((\w+)", line)
        if match:
            registered[match[1]] = number
    targets = {Path(path).stem for path in tree.files("tests/fuzz", endings=(".cpp",))
               if "LLVMFuzzerTestOneInput" in tree.text(path) and "int main(" not in tree.text(path)}
    for name in sorted(targets - registered.keys()):
        yield Breach(f"tests/fuzz/{name}.cpp", 1, f"is not registered in {cmake}")
    for name, number in registered.items():
        if name not in targets:
            yield Breach(cmake, number, f"there is no tests/fuzz/{name}.cpp with LLVMFuzzerTestOneInput")
        elif not tree.files(f"tests/fuzz/corpus/{name}", endings=("",)):
            yield Breach(cmake, number, f"tests/fuzz/corpus/{name}/ is empty")


def emptiness(tree):
    """Every test case asserts something, and CTest runs it: a semicolon splits its name into two that match nothing."""
    for path in tree.files("tests", endings=(".cpp",)):
        code = code_of(tree.text(path))
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if re.match(r'TEST_CASE\w*\(.*"[^"]*;[^"]*"', line):
                yield Breach(path, number, "a semicolon in a test's name")
        for match in re.finditer(r"\b(?:TEST_CASE|SCENARIO|TEST_CASE_FIXTURE|TEST_CASE_TEMPLATE)\s*\(", code):
            body = code.find("{", match.end())
            if body < 0:
                continue
            depth, end = 0, body
            while end < len(code):
                depth += (code[end] == "{") - (code[end] == "}")
                if depth == 0:
                    break
                end += 1
            # A function of the test file that asserts is as good: any call whose name says so.
            if not re.search(r"\b(?:CHECK|REQUIRE|FAIL)\w*\s*\(|\b(?:check|expect|require|verify|holds?)\w*\s*[(<]", code[body:end]):
                yield Breach(path, line_of(code, match.start()), "a test case that asserts nothing")


# ── tools ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _lines_of_tool(tree, command, pattern):
    """Breaches from a tool that prints file:line:column: message."""
    run = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=False)
    for line in (run.stdout + run.stderr).splitlines():
        match = re.match(pattern, line)
        if match:
            yield Breach(match["path"], int(match["line"]), match["text"])
    if run.returncode not in (0, 1):
        yield Breach(command[0], 0, run.stderr.strip())


def layout(tree):
    """C++ is laid out by clang-format 19; a file's first breach is shown."""
    files = tree.files("src", "tests")
    told = set()
    if files:
        for breach in _lines_of_tool(tree, ["clang-format-19", "--dry-run", *files],
                                     r"(?P<path>[^:]+):(?P<line>\d+):\d+: warning: (?P<text>code should be clang-formatted)"):
            if breach.path not in told:
                told.add(breach.path)
                yield breach


def shell(tree):
    """Shell scripts pass shellcheck."""
    scripts = [path for path in tree.files("run", ".ci", "tests", "cmake", "docker", endings=("",)) + ["run"]
               if tree.exists(path) and tree.text(path)[:40].startswith(("#!/usr/bin/env bash", "#!/bin/bash", "#!/bin/sh"))]
    if scripts:
        yield from _lines_of_tool(tree, ["shellcheck", "--format=gcc", *sorted(set(scripts))],
                                  r"(?P<path>[^:]+):(?P<line>\d+):\d+: (?P<text>.*)")


CHECKS = {check.__name__: check for check in (arrows, plan, fences, coroutines, habits, names, headers, homes, mirrors, fuzzers,
                                              emptiness, layout, shell)}
NEEDS = {"layout": "clang-format-19", "shell": "shellcheck"}


def main(arguments):
    if len(arguments) not in (1, 2) or arguments[0] not in CHECKS:
        print(f"usage: checks.py {{{'|'.join(CHECKS)}}} [ROOT]", file=sys.stderr)
        return 64
    name = arguments[0]
    root = Path(arguments[1]) if len(arguments) == 2 else Path(__file__).resolve().parents[2]
    if name in NEEDS and shutil.which(NEEDS[name]) is None:
        print(f"skipped: {NEEDS[name]} is not installed")
        return SKIPPED
    breaches = list(CHECKS[name](Tree(root)))
    for breach in breaches:
        print(breach)
    if breaches:
        print(f"\nThe rule: {' '.join(CHECKS[name].__doc__.split())}")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
