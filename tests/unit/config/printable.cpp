#include "config/printable.h"

#include <doctest/doctest.h>

#include <string>

#include "seeded.h"

using namespace doline;
using doline::config::printable;

TEST_CASE("what people write stays as it is") {
  for (const char* text : {"", "wyze-base", "Anna's phone", "Küche", "телефон", "冷蔵庫", "📷 camera", "a\\b"})
    CHECK(printable(text) == text);
}

TEST_CASE("what could move the cursor, colour the screen or forge a line is written as octets") {
  CHECK(printable("a\nb") == "a\\x0ab");
  CHECK(printable("\x1b[31mred\x1b[0m") == "\\x1b[31mred\\x1b[0m");
  CHECK(printable("\r\t\x07\x7f") == "\\x0d\\x09\\x07\\x7f");
  CHECK(printable(std::string_view("a\0b", 3)) == "a\\x00b");
  CHECK(printable("\xc2\x9b"
                  "31m") == "\\xc2\\x9b31m");  // CSI of C1
}

TEST_CASE("characters that turn text round or hide it are written as octets") {
  CHECK(printable("\xe2\x80\xae"
                  "drowssap") == "\\xe2\\x80\\xaedrowssap");       // right-to-left override
  CHECK(printable("\xe2\x80\x8b") == "\\xe2\\x80\\x8b");           // zero width space
  CHECK(printable("\xe2\x81\xa6") == "\\xe2\\x81\\xa6");           // isolate
  CHECK(printable("\xef\xbb\xbf") == "\\xef\\xbb\\xbf");           // byte order mark
  CHECK(printable("\xf3\xa0\x81\x81") == "\\xf3\\xa0\\x81\\x81");  // tag
}

TEST_CASE("what is not UTF-8 is written as octets, and does not swallow what follows") {
  CHECK(printable("\xff") == "\\xff");
  CHECK(printable("\xc3(") == "\\xc3(");
  CHECK(printable("caf\xe9") == "caf\\xe9");
  CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");                    // overlong
  CHECK(printable("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");           // overlong
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // half of a surrogate pair
  CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // beyond Unicode
  CHECK(printable("\xe2\x82") == "\\xe2\\x82");                    // ends early
  CHECK(printable("\xe2\x82\x1b") == "\\xe2\\x82\\x1b");
}

TEST_CASE("whatever the octets, nothing that comes out is a control character, and it is not changed again") {
  tests::Seeded random;
  INFO(random.replay());
  for (int round = 0; round < 20'000; ++round) {
    std::string text(random.below(12), ' ');
    for (char& octet : text) octet = static_cast<char>(random.octet());
    const std::string shown = printable(text);
    for (const char letter : shown) {
      const auto octet = static_cast<unsigned char>(letter);
      REQUIRE((octet >= 0x20 && octet != 0x7f));
    }
    REQUIRE(printable(shown) == shown);
  }
}
