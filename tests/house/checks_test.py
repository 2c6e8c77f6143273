"""Each check of checks.py can fail, and passes what is right. The bad trees are made in temporary folders."""

import shutil
import tempfile
import unittest
from pathlib import Path

import checks
from tree import Tree, code_of

GOOD = {
    ".clang-format": "BasedOnStyle: Google\nColumnLimit: 120\n",
    "CMakeLists.txt": """
doline_room(base USES LIBRARIES expected)
doline_room(dns USES base LIBRARIES ldns)   # doline_room(ghost)
doline_room(upstream USES base dns LIBRARIES asio)
""",
    "src/README.md": """
| room | includes | libraries |
|---|---|---|
| `base/` | – | expected |
| `dns/` | base | ldns |
| `upstream/` | base, dns | asio |
""",
    "src/base/check.h": "// check(): a broken invariant ends the program, here and nowhere else.\n#pragma once\n",
    "src/dns/name.h": "// Name: a domain name in wire form, at most 255 octets long.\n#pragma once\n\n#include <array>\n\n"
                      '#include "base/check.h"\n\nstruct Name {};\n',
    "src/dns/name.cpp": '#include "dns/name.h"\n\n#include <ldns/ldns.h>\n',
    "src/upstream/ask.cpp": '#include <asio/co_spawn.hpp>\n\n#include "dns/name.h"\n',
    "tests/unit/dns/name.cpp": 'TEST_CASE("a name") { CHECK(true); }\n',
    "tests/house/unmirrored.txt": "# path, reason\nsrc/upstream/ask.cpp the lab asks\n",
    "tests/fuzz/CMakeLists.txt": "doline_fuzz(message dns)\n",
    "tests/fuzz/message.cpp": 'extern "C" int LLVMFuzzerTestOneInput(const char* octets, long size) {\n  parse(octets, size);\n  return 0;\n}\n',
    "tests/fuzz/corpus/message/one": "x",
}


class ChecksTest(unittest.TestCase):
    def breaches(self, check, changes):
        """What `check` says about the good tree with these files changed (None: taken away), as path:line pairs."""
        with tempfile.TemporaryDirectory() as folder:
            for path, text in (GOOD | changes).items():
                if text is not None:
                    file = Path(folder, path)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(text, encoding="utf-8")
            return [(breach.path, breach.line) for breach in checks.CHECKS[check](Tree(folder))]

    def test_the_good_tree_passes_every_check(self):
        for check in checks.CHECKS:
            if check in checks.NEEDS and shutil.which(checks.NEEDS[check]) is None:
                continue
            with self.subTest(check):
                self.assertEqual(self.breaches(check, {}), [])

    def test_every_check_fails_on_the_bad_trees_here(self):
        bad = [
            ("arrows", {"src/base/bad.cpp": '\n#include "dns/name.h"\n'}, ("src/base/bad.cpp", 2)),
            ("arrows", {"src/dns/bad.cpp": '#include "name.h"\n'}, ("src/dns/bad.cpp", 1)),
            ("arrows", {"src/dns/bad.cpp": '#include "base/gone.h"\n'}, ("src/dns/bad.cpp", 1)),
            ("arrows", {"src/dns/bad.cpp": "#include <base/check.h>\n"}, ("src/dns/bad.cpp", 1)),
            ("arrows", {"src/attic/bad.cpp": ""}, ("src/attic/bad.cpp", 1)),
            ("arrows", {"CMakeLists.txt": "doline_room(base USES dns)\ndoline_room(dns)\ndoline_room(upstream USES base dns)"},
             ("CMakeLists.txt", 1)),
            ("plan", {"src/README.md": GOOD["src/README.md"].replace("| base, dns |", "| dns |")}, ("src/README.md", 6)),
            ("plan", {"src/README.md": GOOD["src/README.md"] + "| `attic/` | base | – |\n"}, ("src/README.md", 7)),
            ("plan", {"src/README.md": "# Plan\n"}, ("src/README.md", 1)),
            ("fences", {"src/base/bad.cpp": "#include <uv.h>\n"}, ("src/base/bad.cpp", 1)),
            ("fences", {"src/base/bad.cpp": "#include <boost/asio.hpp>\n"}, ("src/base/bad.cpp", 1)),
            ("fences", {"src/upstream/bad.h": "#include <asio/ip/tcp.hpp>\n"}, ("src/upstream/bad.h", 1)),
            ("fences", {"src/dns/bad.h": "#include <tl/expected.hpp>\n"}, ("src/dns/bad.h", 1)),
            ("fences", {"src/dns/bad.cpp": "#include <mutex>\n"}, ("src/dns/bad.cpp", 1)),
            ("fences", {"src/dns/bad.cpp": "#include <sys/socket.h>\n"}, ("src/dns/bad.cpp", 1)),
            ("fences", {"src/dns/bad.cpp": "\nauto t = std::chrono::steady_clock::now();\n"}, ("src/dns/bad.cpp", 2)),
            ("habits", {"src/upstream/bad.cpp": "spawn(asio::detached);"}, ("src/upstream/bad.cpp", 1)),
            ("habits", {"src/upstream/bad.cpp": "asio::signal_set s;"}, ("src/upstream/bad.cpp", 1)),
            ("habits", {"src/dns/bad.cpp": "void f() {\n  throw 1;\n}"}, ("src/dns/bad.cpp", 2)),
            ("habits", {"src/dns/bad.cpp": "int x = std::system(\"ls\");"}, ("src/dns/bad.cpp", 1)),
            ("habits", {"src/dns/bad.cpp": "assert(x);"}, ("src/dns/bad.cpp", 1)),
            ("habits", {"src/dns/bad.h": "using namespace std;"}, ("src/dns/bad.h", 1)),
            ("names", {"src/dns/string_utils.h": ""}, ("src/dns/string_utils.h", 1)),
            ("names", {"src/dns/bad.h": "\nclass CacheManager {};"}, ("src/dns/bad.h", 2)),
            ("names", {"src/dns/bad.h": "using QueryContext = int;"}, ("src/dns/bad.h", 1)),
            ("headers", {"src/dns/bad.h": "#pragma once\n"}, ("src/dns/bad.h", 1)),
            ("headers", {"src/dns/bad.h": "// A paragraph that says what this header is about.\n#include <array>\n"},
             ("src/dns/bad.h", 1)),
            ("homes", {"README.md": "\nsee /" + "work/main/build\n"}, ("README.md", 2)),
            ("mirrors", {"src/dns/bad.cpp": ""}, ("src/dns/bad.cpp", 1)),
            ("mirrors", {"tests/house/unmirrored.txt": "src/upstream/ask.cpp\n"}, ("tests/house/unmirrored.txt", 1)),
            ("mirrors", {"src/upstream/ask.cpp": None}, ("tests/house/unmirrored.txt", 2)),
            ("mirrors", {"tests/unit/upstream/ask.cpp": ""}, ("tests/house/unmirrored.txt", 2)),
            ("mirrors", {"tests/unit/dns/gone.cpp": ""}, ("tests/unit/dns/gone.cpp", 1)),
            ("fuzzers", {"tests/fuzz/CMakeLists.txt": ""}, ("tests/fuzz/message.cpp", 1)),
            ("fuzzers", {"tests/fuzz/message.cpp": None}, ("tests/fuzz/CMakeLists.txt", 1)),
            ("fuzzers", {"tests/fuzz/corpus/message/one": None}, ("tests/fuzz/CMakeLists.txt", 1)),
            ("emptiness", {"tests/unit/dns/name.cpp": '\nTEST_CASE("a name") {\n  parse("CHECK(x)");\n}\n'},
             ("tests/unit/dns/name.cpp", 2)),
            ("emptiness", {"tests/unit/dns/name.cpp": '\nTEST_CASE("a name; another") { CHECK(true); }\n'},
             ("tests/unit/dns/name.cpp", 2)),
            ("layout", {"src/dns/name.h": GOOD["src/dns/name.h"] + "int  x;\n"}, ("src/dns/name.h", 9)),
            ("shell", {"run": "#!/bin/sh\nrm $1\n"}, ("run", 2)),
        ]
        for check, changes, breach in bad:
            if check in checks.NEEDS and shutil.which(checks.NEEDS[check]) is None:
                continue
            with self.subTest(check=check, changes=changes):
                self.assertIn(breach, self.breaches(check, changes))
        self.assertEqual(checks.CHECKS.keys() - {check for check, *_ in bad}, {"coroutines"}, "a check without a bad tree")

    def test_what_gcc_12_miscompiles_is_found(self):
        for expression in [
            "co_await f(Agg{1, 2});",
            "co_await f({1, 2});",
            "co_await f(Agg{.a = 1});",
            "co_return co_await f(Agg{1});",
            "co_await (f(Agg{1}) || t());",
            "auto x = g(Agg{1}, co_await f());",
            "co_await Obj{}.m();",
            "co_await f([x] { return x; });",
            "co_await f([&] { return x; });",
            "co_await co_spawn(ex, [x]() -> awaitable<void> { co_return; }, use_awaitable);",
            "co_await f(b ? T(1) : T(2));",
            "if (co_await f(Agg{1})) {\n  }",
            "for (auto x : co_await f(Agg{1})) {\n  }",
        ]:
            with self.subTest(expression):
                text = f"awaitable<void> c() {{\n  int before = 1;\n  {expression}\n}}\n"
                lines = {breach.line for breach in checks.coroutine_breaches("c.cpp", text)}
                self.assertEqual(lines, {3})

    def test_what_gcc_12_compiles_well_passes(self):
        for statements in [
            "Agg agg{1};\n  co_await f(std::move(agg));",
            "auto task = [x] { return x; };\n  co_await f(task);",
            "auto awaited = f(Agg{1});\n  co_await std::move(awaited);",
            "if (co_await f()) {\n    g(Agg{1});\n  }",
            "while (auto x = co_await f(buffer[i], a[0])) {\n    x = b ? 1 : 2;\n  }",
            "const auto [error, octets] = co_await async_read(socket, buffer(octets), use_tuple);",
            "for (const auto& x : xs) {\n    co_await f(x);\n  }\n  Agg agg{1};",
            "// co_await f(Agg{1})\n  co_await f(\"{?\");",
            "const T t = b ? x : y;\n  co_await f(t);",
            "Agg agg{1};\n  co_return;",
            "switch (co_await f()) {\n    case 1:\n      co_await g();\n      break;\n  }",
            "auto run = [](int x) -> awaitable<int> {\n    co_return co_await f(x);\n  };",
        ]:
            with self.subTest(statements):
                text = f"awaitable<void> c() {{\n  {statements}\n}}\n"
                self.assertEqual([str(breach) for breach in checks.coroutine_breaches("c.cpp", text)], [])

    def test_blanking_keeps_lines_and_knows_literals(self):
        text = "a /* b\nc */ \"d // \\\" e\" // f\n1'000 'x' R\"(g\n\")\" h"
        code = code_of(text)
        self.assertEqual(len(code), len(text))
        self.assertEqual(code.count("\n"), text.count("\n"))
        for gone in "bcdefg":
            self.assertNotIn(gone, code)
        for kept in ("a", "1'000", "h"):
            self.assertIn(kept, code)


if __name__ == "__main__":
    unittest.main()
