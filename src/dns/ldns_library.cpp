#include "dns/ldns_library.h"

#include <dlfcn.h>

#include <type_traits>

namespace doline::dns {

namespace {

constexpr const char* file = "libldns.so.3";

Result<LdnsLibrary, std::string> open_library() {
  void* const library = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return fail("records as text need libldns, in Debian the package libldns3: " + std::string(::dlerror()));
  LdnsLibrary ldns{};
  const char* missing = nullptr;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    if (function == nullptr) missing = name;
  };
  find(ldns.buffer_free, "ldns_buffer_free");
  find(ldns.buffer_new, "ldns_buffer_new");
  find(ldns.get_errorstr_by_id, "ldns_get_errorstr_by_id");
  find(ldns.rdf2buffer_str, "ldns_rdf2buffer_str");
  find(ldns.rr2wire, "ldns_rr2wire");
  find(ldns.rr_free, "ldns_rr_free");
  find(ldns.rr_get_class, "ldns_rr_get_class");
  find(ldns.rr_get_type, "ldns_rr_get_type");
  find(ldns.rr_new_frm_str, "ldns_rr_new_frm_str");
  find(ldns.rr_rd_count, "ldns_rr_rd_count");
  find(ldns.rr_rdf, "ldns_rr_rdf");
  find(ldns.rr_ttl, "ldns_rr_ttl");
  find(ldns.wire2rr, "ldns_wire2rr");
  if (missing != nullptr) return fail(std::string(file) + " of this machine has no " + missing);
  return ldns;
}

}  // namespace

const Result<LdnsLibrary, std::string>& LdnsLibrary::load() {
  static const Result<LdnsLibrary, std::string> loaded = open_library();
  return loaded;
}

}  // namespace doline::dns
