#include "doline/render_command.h"

#include <ostream>

#include "doline/exit_status.h"
#include "doline/terminal_text.h"
#include "redirect/host_facts.h"
#include "redirect/router_text.h"

namespace doline {

namespace {

/// What is typed stands before what is known; what makes no sense is told.
std::vector<std::string> take_in(const RenderArguments& arguments, redirect::RouterFacts& facts) {
  std::vector<std::string> problems;
  if (!arguments.box_addresses.empty()) facts.box_v4 = facts.box_v6 = std::nullopt;
  for (const std::string& text : arguments.box_addresses) {
    const auto address = IpAddress::parse(text);
    if (!address) {
      problems.push_back("--box-address: '" + text + "' is no IP address");
      continue;
    }
    std::optional<IpAddress>& box = address->is_v4() ? facts.box_v4 : facts.box_v6;
    if (box) problems.emplace_back("--box-address: one of each family");
    box = address;
  }
  if (!arguments.box_mac.empty()) {
    const auto mac = device::MacAddress::parse(arguments.box_mac);
    if (!mac) problems.push_back("--box-mac: '" + arguments.box_mac + "' is no MAC address");
    facts.box_mac = mac.value_or(facts.box_mac);
  }
  if (!arguments.lan.empty()) facts.interfaces = arguments.lan;
  if (!arguments.router.empty()) {
    facts.router = IpAddress::parse(arguments.router);
    if (!facts.router) problems.push_back("--router: '" + arguments.router + "' is no IP address");
  }
  return problems;
}

}  // namespace

int run_render(const RenderArguments& arguments, const config::Fixed& settings,
               const std::vector<IpPrefix>& doh_networks, std::ostream& out, std::ostream& err) {
  std::vector<std::string> problems;
  if (const auto platform = redirect::parse_platform(arguments.platform)) {
    redirect::RouterFacts facts = redirect::gather_router_facts(
        *platform, settings.redirect.value_or(redirect::Options{}), redirect::gather_host_facts());
    facts.port_map = arguments.port_map;
    facts.doh_networks = doh_networks;
    problems = take_in(arguments, facts);
    if (problems.empty()) problems = redirect::find_problems(*platform, facts);
    if (problems.empty()) {
      const redirect::Mode mode = settings.redirect ? settings.redirect->mode : redirect::Mode::off;
      if (mode != redirect::Mode::off && mode != redirect::Mode::remote)
        err << "doline redirect render: this machine is to be the router itself (`redirect: {mode: "
            << redirect::to_string(mode)
            << "}`): what is printed is for another one, and would lead its DNS here. Beside a router the mode is "
               "remote.\n";
      out << redirect::router_text(*platform, facts);
      return exit_ok;
    }
  } else {
    problems.push_back("--for: '" + arguments.platform + "' is none of " + redirect::platform_words());
  }
  for (const std::string& problem : problems) err << "doline redirect render: " << printable(problem) << '\n';
  return exit_wrong_usage;
}

}  // namespace doline
