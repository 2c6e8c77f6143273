#include "upstream/exchange.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace doline::upstream {

TEST_CASE("every fault of an exchange has a sentence of its own") {
  std::set<std::string> sentences;
  for (const auto fault :
       {ExchangeFault::timeout, ExchangeFault::unreachable, ExchangeFault::server_failed, ExchangeFault::overloaded})
    sentences.insert(std::string(to_string(fault)));
  CHECK(sentences.size() == 4);
  CHECK_FALSE(sentences.contains("unknown fault"));
}

}  // namespace doline::upstream
