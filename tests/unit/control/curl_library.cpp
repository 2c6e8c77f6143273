#include "control/curl_library.h"

#include <doctest/doctest.h>

#include <cstring>

namespace doline::control {

TEST_CASE("curl is loaded once, and knows what download.cpp asks of it") {
  const auto first = CurlLibrary::load(), second = CurlLibrary::load();
  REQUIRE(first.has_value());
  CHECK(*first == *second);
  const CurlLibrary& curl = **first;
  CHECK(std::strcmp(curl.easy_strerror(CURLE_OK), "No error") == 0);
  CURL* const easy = curl.easy_init();
  REQUIRE(easy != nullptr);
  CHECK(curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK);
  curl.easy_cleanup(easy);
}

}  // namespace doline::control
