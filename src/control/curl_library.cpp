#include "control/curl_library.h"

#include <dlfcn.h>

#include <optional>

namespace doline::control {

namespace {

constexpr const char* file = "libcurl.so.4";

Result<CurlLibrary, std::string> open_library() {
  void* const library = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return fail("downloading needs libcurl, in Debian the package libcurl4: " + std::string(::dlerror()));
  CurlLibrary curl{};
  const char* missing = nullptr;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    if (function == nullptr) missing = name;
  };
  find(curl.easy_cleanup, "curl_easy_cleanup");
  find(curl.easy_getinfo, "curl_easy_getinfo");
  find(curl.easy_header, "curl_easy_header");
  find(curl.easy_init, "curl_easy_init");
  find(curl.easy_setopt, "curl_easy_setopt");
  find(curl.easy_strerror, "curl_easy_strerror");
  find(curl.free, "curl_free");
  find(curl.global_init, "curl_global_init");
  find(curl.multi_add_handle, "curl_multi_add_handle");
  find(curl.multi_cleanup, "curl_multi_cleanup");
  find(curl.multi_info_read, "curl_multi_info_read");
  find(curl.multi_init, "curl_multi_init");
  find(curl.multi_remove_handle, "curl_multi_remove_handle");
  find(curl.multi_setopt, "curl_multi_setopt");
  find(curl.multi_socket_action, "curl_multi_socket_action");
  find(curl.slist_append, "curl_slist_append");
  find(curl.slist_free_all, "curl_slist_free_all");
  find(curl.strnequal, "curl_strnequal");
  find(curl.url, "curl_url");
  find(curl.url_cleanup, "curl_url_cleanup");
  find(curl.url_get, "curl_url_get");
  find(curl.url_set, "curl_url_set");
  if (missing != nullptr) return fail(std::string(file) + " of this machine is too old: it has no " + missing);
  if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return fail(std::string(file) + " cannot be initialised");
  return curl;
}

}  // namespace

Result<const CurlLibrary*, std::string> CurlLibrary::load() {
  static std::optional<CurlLibrary> loaded;
  if (!loaded) {  // what was missing may be there when it is asked for again
    auto opened = open_library();
    if (!opened) return fail(std::move(opened.error()));
    loaded = *opened;
  }
  return &*loaded;
}

}  // namespace doline::control
