// LdnsLibrary: ldns, loaded when the first record is to be printed or read as text. With the libcrypto that it brings
// it is a fifth of a running Doline and a third of its start, and only commands that show answers need it. Private to
// dns.
#pragma once

// clang-format off: ldns's headers define what the library's own must not see
#include <string>

#include <ldns/ldns.h>
// clang-format on

#include "base/result.h"

namespace doline::dns {

/// The functions of ldns's that we call, under their names there without `ldns_`.
struct LdnsLibrary {
  decltype(&::ldns_buffer_free) buffer_free;
  decltype(&::ldns_buffer_new) buffer_new;
  decltype(&::ldns_get_errorstr_by_id) get_errorstr_by_id;
  decltype(&::ldns_rdf2buffer_str) rdf2buffer_str;
  decltype(&::ldns_rr2wire) rr2wire;
  decltype(&::ldns_rr_free) rr_free;
  decltype(&::ldns_rr_get_class) rr_get_class;
  decltype(&::ldns_rr_get_type) rr_get_type;
  decltype(&::ldns_rr_new_frm_str) rr_new_frm_str;
  decltype(&::ldns_rr_rd_count) rr_rd_count;
  decltype(&::ldns_rr_rdf) rr_rdf;
  decltype(&::ldns_rr_ttl) rr_ttl;
  decltype(&::ldns_wire2rr) wire2rr;

  /// Loaded by the first call, kept until the process ends. Any thread. The fault is a sentence: what is missing, and
  /// how it comes there.
  static const Result<LdnsLibrary, std::string>& load();
};

}  // namespace doline::dns
