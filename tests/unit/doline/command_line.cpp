#include "doline/command_line.h"

#include <CLI/CLI.hpp>

#include "doline/check_command.h"
#include "doline/devices_command.h"
#include "doline/explain_command.h"
#include "doline/forget_command.h"
#include "doline/limits_command.h"
#include "doline/log_command.h"
#include "doline/redirect_command.h"
#include "doline/run_command.h"
#include "doline/status_command.h"

using namespace doline;
using Texts = std::vector<std::string>;
using Verb = RedirectArguments::Verb;

namespace {

/// What `doline WORDS` fills in.
template <class Arguments>
Arguments parse(CLI::App* (*add_command)(CLI::App&, Arguments&), const std::string& words) {
  CLI::App app;
  Arguments arguments;
  const CLI::App* command = add_command(app, arguments);
  app.parse(words);
  REQUIRE(command->parsed());
  return arguments;
}

/// As parse, for the subcommand of `doline log`.
ForgetArguments parse_forget(const std::string& words) {
  CLI::App app;
  LogArguments log;
  ForgetArguments arguments;
  const CLI::App* command = add_forget_command(*add_log_command(app, log), arguments);
  app.parse(words);
  REQUIRE(command->parsed());
  return arguments;
}

}  // namespace

TEST_CASE("each option of doline log goes where it belongs") {
  const LogArguments nothing = parse(add_log_command, "log");
  CHECK(nothing.devices.empty());
  CHECK_FALSE(nothing.limit);
  CHECK_FALSE(nothing.follow);
  CHECK_FALSE(nothing.json);
  const LogArguments all = parse(
      add_log_command,
      "log --device wyze-base --device phone --group guests --name *.wyze.com --type aaaa --verdict block --verdict "
      "NXDOMAIN --client fd00:0::104 --meant-for country:cn --answer 192.0.2.1 --intercepted --since 24h --until "
      "'2026-11-25 10:00' --limit 2 --follow --json --database x.db");
  CHECK(all.devices == Texts{"wyze-base", "phone"});
  CHECK(all.groups == Texts{"guests"});
  CHECK(all.names == Texts{"*.wyze.com"});
  CHECK(all.types == Texts{"aaaa"});
  CHECK(all.verdicts == Texts{"block", "NXDOMAIN"});
  CHECK(all.clients == Texts{"fd00:0::104"});
  CHECK(all.meant_for == Texts{"country:cn"});
  CHECK(all.answers == Texts{"192.0.2.1"});
  CHECK(all.intercepted);
  CHECK(all.since == "24h");
  CHECK(all.until == "2026-11-25 10:00");
  CHECK(all.limit == 2);
  CHECK(all.follow);
  CHECK(all.json);
  CHECK(all.database == "x.db");
  CHECK_THROWS_AS(parse(add_log_command, "log --limit many"), CLI::ParseError);
}

TEST_CASE("doline log forget takes devices and a time, or all") {
  const ForgetArguments some = parse_forget("log forget --device phone --device tv --before 3h --database x.db");
  CHECK(some.devices == Texts{"phone", "tv"});
  CHECK(some.before == "3h");
  CHECK(some.database == "x.db");
  CHECK_FALSE(some.all);
  CHECK(parse_forget("log forget --all").all);
  CHECK_THROWS_AS(parse_forget("log forget --all --device phone"), CLI::ParseError);
  CHECK_THROWS_AS(parse_forget("log forget --all --before 3h"), CLI::ParseError);
}

TEST_CASE("doline explain has words without an option, and the type may be left out") {
  const ExplainArguments address = parse(add_explain_command, "explain tv ads.example");
  CHECK(address.device == "tv");
  CHECK(address.name == "ads.example");
  CHECK(address.type == "A");
  const ExplainArguments other = parse(
      add_explain_command, "explain tv ads.example AAAA --meant-for 114.114.114.114 --json --config c.yml --state s");
  CHECK(other.type == "AAAA");
  CHECK(other.meant_for == "114.114.114.114");
  CHECK(other.json);
  CHECK(other.settings.config == "c.yml");
  CHECK(other.settings.state == "s");
  CHECK_THROWS_AS(parse(add_explain_command, "explain tv"), CLI::ParseError);
}

TEST_CASE("the other commands take their few options") {
  const RunArguments run = parse(add_run_command, "run --config c.yml --state s --port 5300");
  CHECK(run.settings.config == "c.yml");
  CHECK(run.settings.state == "s");
  CHECK(run.settings.port == 5300);
  CHECK_THROWS_AS(parse(add_run_command, "run --port 65536"), CLI::ParseError);
  const CheckArguments check = parse(add_check_command, "check c.yml --json");
  CHECK(check.file == "c.yml");
  CHECK(check.json);
  CHECK_THROWS_AS(parse(add_check_command, "check"), CLI::ParseError);
  const DevicesArguments devices = parse(add_devices_command, "devices --json --database x.db");
  CHECK(devices.json);
  CHECK(devices.database == "x.db");
  const StatusArguments status = parse(add_status_command, "status --json --config c.yml");
  CHECK(status.json);
  CHECK(status.settings.config == "c.yml");
  CHECK(parse(add_limits_command, "limits --json").json);
}

TEST_CASE("The command line names one verb") {
  CLI::App app;
  RedirectArguments arguments;
  add_redirect_command(app, arguments);
  app.parse("redirect verify --json --config /etc/doline/doline.yml --state /tmp/state");
  CHECK(arguments.verb == Verb::verify);
  CHECK(arguments.json);
  CHECK(arguments.settings.config == "/etc/doline/doline.yml");
  CHECK(arguments.settings.state == "/tmp/state");
  CLI::App other;
  add_redirect_command(other, arguments);
  CHECK_THROWS_AS(other.parse("redirect"), CLI::ParseError);
}
