#include "policy/service_catalogue.h"

#include <algorithm>

namespace doline::policy {

namespace {

/// What stands before `separator`, or all; taken off the text.
std::string_view take(std::string_view& text, char separator) {
  const std::string_view part = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return part;
}

}  // namespace

Result<std::vector<Service>, std::string> read_services(std::string_view text) {
  std::vector<Service> services;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto fault = [&](const std::string& what) { return fail("line " + std::to_string(number) + ": " + what); };
    std::string_view line = take(text, '\n');
    if (line.empty() || line.front() == '#') continue;
    Service service;
    service.name = take(line, '\t');
    service.category = take(line, '\t');
    while (!line.empty()) {
      const auto name = dns::Name::parse(take(line, ' '));
      if (!name) return fault(std::string(dns::to_string(name.error())));
      service.names.push_back(name->lowered());
    }
    if (service.name.empty() || service.category.empty() || service.names.empty())
      return fault("a service has a name, a category and names");
    if (std::any_of(services.begin(), services.end(), [&](const Service& one) { return one.name == service.name; }))
      return fault(service.name + " stands here for the second time");
    services.push_back(std::move(service));
  }
  return services;
}

}  // namespace doline::policy
