#include "doline/services_command.h"

#include <iomanip>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/check.h"
#include "doline/exit_status.h"
#include "doline/terminal_text.h"
#include "policy/service_catalogue.h"

namespace doline {

int run_services(const ServicesArguments& arguments, std::ostream& out, std::ostream& err) {
  const auto services = policy::read_services(policy::shipped_services());
  check(services.has_value());  // a test reads it
  bool has_any = false;
  for (const policy::Service& service : *services) {
    if (!arguments.word.empty() && arguments.word != service.name && arguments.word != service.category) continue;
    has_any = true;
    if (arguments.json) {
      nlohmann::ordered_json object = {{"service", service.name}, {"category", service.category}};
      object["names"] = nlohmann::json::array();
      for (const dns::Name& name : service.names) object["names"].push_back(name.to_string());
      out << object.dump() << '\n';
      continue;
    }
    out << std::left << std::setw(20) << service.name << ' ' << std::setw(10) << service.category;
    for (const dns::Name& name : service.names) out << ' ' << name.to_string();
    out << '\n';
  }
  if (!has_any) err << "doline services: no service or category is called '" << printable(arguments.word) << "'.\n";
  return has_any ? exit_ok : 1;
}

}  // namespace doline
