// CurlLibrary: libcurl, loaded when the first download is due. It brings some thirty libraries with it: a Doline whose
// lists are all local files starts in half the time and is 6 MiB smaller without them.
#pragma once

#include <curl/curl.h>

#include <string>

#include "base/result.h"

namespace doline::control {

/// The functions of curl's that we call, under their names there without `curl_`.
struct CurlLibrary {
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_getinfo) easy_getinfo;
  decltype(&::curl_easy_header) easy_header;
  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_free) free;
  decltype(&::curl_global_init) global_init;
  decltype(&::curl_multi_add_handle) multi_add_handle;
  decltype(&::curl_multi_cleanup) multi_cleanup;
  decltype(&::curl_multi_info_read) multi_info_read;
  decltype(&::curl_multi_init) multi_init;
  decltype(&::curl_multi_remove_handle) multi_remove_handle;
  decltype(&::curl_multi_setopt) multi_setopt;
  decltype(&::curl_multi_socket_action) multi_socket_action;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;
  decltype(&::curl_strnequal) strnequal;
  decltype(&::curl_url) url;
  decltype(&::curl_url_cleanup) url_cleanup;
  decltype(&::curl_url_get) url_get;
  decltype(&::curl_url_set) url_set;

  /// Loaded and initialised by the first call, kept until the process ends. Control thread only. The fault is a
  /// sentence's end: what is missing, and how it comes there.
  static Result<const CurlLibrary*, std::string> load();
};

}  // namespace doline::control
