// `doline services`: the services that a rule's condition `service` knows, with their names.
#pragma once

#include <iosfwd>
#include <string>

namespace doline {

struct ServicesArguments {
  std::string word;  ///< a service or category; empty: all
  bool json = false;
};

/// 0, or 1 there is none of that name.
int run_services(const ServicesArguments& arguments, std::ostream& out, std::ostream& err);

}  // namespace doline
