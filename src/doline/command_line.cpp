#include "doline/command_line.h"

#include <CLI/CLI.hpp>
#include <filesystem>

#include "doline/check_command.h"
#include "doline/device_command.h"
#include "doline/devices_command.h"
#include "doline/explain_command.h"
#include "doline/flows_command.h"
#include "doline/forget_command.h"
#include "doline/limits_command.h"
#include "doline/lists_command.h"
#include "doline/log_command.h"
#include "doline/pause_command.h"
#include "doline/redirect_command.h"
#include "doline/replay_command.h"
#include "doline/run_command.h"
#include "doline/services_command.h"
#include "doline/settings_choice.h"
#include "doline/status_command.h"

namespace doline {

namespace {

using Verb = RedirectArguments::Verb;

struct Word {
  Verb verb;
  const char* help;
};
constexpr Word words[] = {
    {Verb::plan, "print what applying would do to this machine; changes nothing, needs no privilege"},
    {Verb::apply, "have the running Doline put the rules in place, as the configuration says now"},
    {Verb::confirm, "the rules that `apply --confirm` has put on trial stay"},
    {Verb::status, "are the rules in place, and what have they caught?"},
    {Verb::verify,
     "is everything as it was applied, and does it work? Asks foreign resolvers as a device that is not there"},
    {Verb::seen,
     "which device asked which foreign resolver in the last week, as the kernel counted, also while Doline was dead: a "
     "stop or `remove` forgets it"},
    {Verb::remove, "take the rules away, until the next apply or start"},
    {Verb::render, "print what your own router must be told, so that it leads stray DNS to this machine beside it"},
};

/// What is no number, is below 0 or above.
CLI::Validator rows_up_to(std::uint64_t most) {
  CLI::Range range(std::int64_t{0}, static_cast<std::int64_t>(most));
  return range.description("");
}

void add_database_option(CLI::App& command, std::filesystem::path& database) {
  command.add_option("--database", database, "the query log's file (default: as the configuration says)")
      ->type_name("FILE");
}

void add_render_options(CLI::App& command, RenderArguments& arguments) {
  command
      .add_option("--for", arguments.platform,
                  "openwrt, routeros, opnsense, pfsense, edgeos, unifi, merlin, iptables, nftables")
      ->required()
      ->type_name("PLATFORM");
  command
      .add_option(
          "--lan", arguments.lan,
          "how the router calls its interface on the devices' side; several: the one that this machine is behind "
          "first")
      ->type_name("NAME");
  command
      .add_option("--box-address", arguments.box_addresses,
                  "this machine's address as the router reaches it, if not what it finds itself; one of each family")
      ->type_name("ADDRESS");
  command.add_option("--box-mac", arguments.box_mac, "its MAC")->type_name("MAC");
  command.add_option("--router", arguments.router, "the router's address, for the text's reader")->type_name("ADDRESS");
  command.footer(
      "Examples:\n  doline redirect render --for openwrt >doline-router.sh\n"
      "  doline redirect render --for nftables --lan br-lan --lan br-iot\n"
      "  doline redirect render --for routeros --box-address 192.168.88.53 --box-mac b8:27:eb:00:50:53\n\n"
      "The text says how it is undone, how it fails, and whether it was ever tried. This machine wants\n"
      "`redirect: {mode: remote, interfaces: [...]}`. Exit status: 0, or 64 something is wrong or cannot be guessed.");
}

}  // namespace

void add_settings_options(CLI::App& command, SettingsChoice& choice) {
  command.add_option("--config", choice.config, "The configuration; else $DOLINE_CONFIG, else /etc/doline/doline.yml")
      ->type_name("FILE");
  command
      .add_option("--state", choice.state, "Where Doline keeps what it writes, instead of the configuration's `state`")
      ->type_name("FOLDER");
}

CLI::App* add_run_command(CLI::App& app, RunArguments& arguments) {
  CLI::App* command = app.add_subcommand("run", "Serve DNS, in the foreground, until SIGTERM");
  add_settings_options(*command, arguments.settings);
  command
      ->add_option("--port", arguments.settings.port,
                   "Listen on this port instead of the configuration's; from 1024 on it needs no privilege")
      ->type_name("PORT");
  command->footer(
      "Examples:\n  doline run --config /etc/doline/doline.yml\n  doline run --port 5300\n\n"
      "SIGHUP reads the configuration and the lists again, and forgets cached answers. Exit status: 0 stopped by\n"
      "signal, 66 no configuration, 69 no port could be opened, 78 the configuration has mistakes.");
  return command;
}

CLI::App* add_check_command(CLI::App& app, CheckArguments& arguments) {
  CLI::App* command = app.add_subcommand("check", "Every mistake in a configuration, with file, line and column");
  command->add_option("FILE", arguments.file, "The configuration")->required()->type_name("");
  command->add_flag("--json", arguments.json, "One object a line");
  command->footer(
      "Example:\n  doline check /etc/doline/doline.yml\n\n"
      "A file of lists, hosts or places that cannot be read now is a warning: Doline runs without it.\n"
      "Exit status: 0 no mistake, 66 no such file, 78 mistakes.");
  return command;
}

CLI::App* add_explain_command(CLI::App& app, ExplainArguments& arguments) {
  CLI::App* command = app.add_subcommand("explain", "What would happen to a query, and the very line that decides");
  command->add_option("DEVICE", arguments.device, "A name of the configuration, a MAC, or an IP address")
      ->required()
      ->type_name("");
  command->add_option("NAME", arguments.name, "The name asked for")->required()->type_name("");
  command->add_option("TYPE", arguments.type, "The record type; A if not given")->type_name("");
  command->add_option("--meant-for", arguments.meant_for, "As if it had been sent to this resolver and caught")
      ->type_name("ADDRESS");
  command->add_option("--at", arguments.at, "As at that time: 2026-12-24T22:00 (local), or with Z or +01:00")
      ->type_name("TIME");
  command->add_option("--answer", arguments.answers, "As if upstream answered with these addresses")
      ->type_name("ADDRESS");
  command->add_option("--server", arguments.servers, "As if the answer's zone had this name server (RPZ)")
      ->type_name("NAME|ADDRESS");
  command->add_option("--interface", arguments.interface, "As if it had come by this interface")->type_name("NAME");
  add_settings_options(*command, arguments.settings);
  command->add_flag("--json", arguments.json, "One JSON object");
  command->footer(
      "Examples:\n  doline explain tv ads.example\n  doline explain tablet www.example --at 2026-12-24T22:00\n"
      "  doline explain camera api.example --answer 203.0.113.7\n  doline explain 192.168.1.20 www.example AAAA\n"
      "  doline explain wyze-base api.example --meant-for 114.114.114.114");
  return command;
}

CLI::App* add_log_command(CLI::App& app, LogArguments& arguments) {
  CLI::App* log = app.add_subcommand("log", "Show what was asked, by whom, meant for whom, and what was answered");
  log->add_option("--device", arguments.devices, "devices of this name")->type_name("NAME");
  log->add_option("--group", arguments.groups, "devices that were in this group")->type_name("GROUP");
  log->add_option("--name", arguments.names, "this name; *.example.com: all below it")->type_name("NAME");
  log->add_option("--type", arguments.types, "queries of this type")->type_name("TYPE");
  log->add_option("--verdict", arguments.verdicts,
                  "forward, block, rewrite, nxdomain, nodata, refuse, drop, truncate, rebinding, rejected, audited")
      ->type_name("VERDICT");
  log->add_option("--client", arguments.clients, "from this address")->type_name("ADDRESS");
  log->add_option("--meant-for", arguments.meant_for,
                  "meant for this foreign resolver: an address, an operator (Google), or country:CN")
      ->type_name("RESOLVER");
  log->add_option("--answer", arguments.answers, "answered with this address")->type_name("ADDRESS");
  log->add_option(
         "--country", arguments.countries,
         "answered with an address there, as `geo` says today, or meant for a resolver whose operator is there: CN")
      ->type_name("CC");
  log->add_option("--asn", arguments.asns,
                  "answered with an address of this autonomous system, or meant for one, as `geo` says today: 4134")
      ->type_name("NUMBER");
  log->add_flag("--intercepted", arguments.intercepted, "only queries that were meant for somebody else");
  log->add_option("--since", arguments.since, "24h, 7d, today, 2026-11-01, 2026-11-01T12:30Z")->type_name("TIME");
  log->add_option("--until", arguments.until, "before this time")->type_name("TIME");
  log->add_option("--limit", arguments.limit, "the newest N (default 100, or all with --since or --until; 0: all)")
      ->check(rows_up_to(log_rows_max))
      ->type_name("N");
  log->add_flag("--follow,-f", arguments.follow, "go on as queries come");
  log->add_flag("--json", arguments.json, "one JSON object a line");
  add_database_option(*log, arguments.database);
  log->footer(
      "Examples:\n  doline log --device wyze-base --since 24h\n  doline log --meant-for country:CN --json\n"
      "  doline log --country CN --since 7d\n"
      "  doline log --follow --verdict block\n\n"
      "Exit status: 0 rows were found, 1 none, 64 the command line is wrong, 66 there is no query log.");
  return log;
}

CLI::App* add_forget_command(CLI::App& log, ForgetArguments& arguments) {
  CLI::App* forget = log.add_subcommand(
      "forget",
      "Take records out of the query log for good, and devices out of what Doline remembers of the LAN; "
      "it may go on running");
  auto* all = forget->add_flag("--all", arguments.all, "every record, and every device that Doline found by itself");
  forget->add_option("--device", arguments.devices, "records of devices of this name, and what was found of these")
      ->type_name("NAME")
      ->excludes(all);
  forget
      ->add_option(
          "--before", arguments.before,
          "records from before this time (24h, 7d, today, 2026-11-01, 2026-11-01T12:30Z); with --device, of it")
      ->type_name("TIME")
      ->excludes(all);
  add_database_option(*forget, arguments.database);
  forget->footer(
      "A device that is in the LAN is soon found anew. With --database only that log is looked at. What was said by\n"
      "`doline device` stays until it is undone there. What backups and the disk's own spare blocks hold is beyond "
      "Doline.\n"
      "Exit status: 0 forgotten, 1 there was nothing, 64 usage, 66 no query log, 74 the disk, 77 not for this user.");
  return forget;
}

CLI::App* add_flows_command(CLI::App& app, FlowsArguments& arguments) {
  CLI::App* flows =
      app.add_subcommand("flows", "What devices connected to, oldest first, and which look-up explains it, or none");
  flows->add_option("--device", arguments.devices, "devices of this name")->type_name("NAME");
  flows->add_option("--address", arguments.addresses, "to this address")->type_name("ADDRESS");
  flows->add_flag("--without-lookup", arguments.without_lookup, "only connections that no look-up explains");
  flows->add_option("--since", arguments.since, "24h, 7d, today, 2026-11-01, 2026-11-01T12:30Z")->type_name("TIME");
  flows->add_option("--until", arguments.until, "before this time")->type_name("TIME");
  flows
      ->add_option("--limit", arguments.limit,
                   "the newest N (default 100, or all with --since, --until or --summary; 0: all)")
      ->check(rows_up_to(flow_rows_max))
      ->type_name("N");
  flows->add_flag("--summary", arguments.summary, "by device and destination, with how many and how much");
  flows->add_flag("--json", arguments.json, "one JSON object a line");
  add_database_option(*flows, arguments.database);
  flows->footer(
      "Examples:\n  doline flows --device wyze-base --since 24h\n  doline flows --without-lookup --summary\n"
      "  doline flows --address 120.24.59.150 --json\n\n"
      "EXPLAINED says `as NAME` where an answer gave the device this address; `WITHOUT LOOKUP` where none did; "
      "`warming\n"
      "up` while Doline has not listened for long enough to say; `asked elsewhere` where the device uses a resolver\n"
      "whose answers are not seen; `time` for NTP, `local` for private addresses, `not known` where records were "
      "lost.\n"
      "Exit status: 0 rows were found, 1 none, 64 the command line is wrong, 66 there is no query log.");
  return flows;
}

CLI::App* add_devices_command(CLI::App& app, DevicesArguments& arguments) {
  CLI::App* devices =
      app.add_subcommand("devices", "List every device seen, and the foreign resolvers it meant to ask");
  devices->add_option("--history", arguments.history, "where this one was, and as what, from when to when")
      ->type_name("DEVICE");
  devices->add_flag("--json", arguments.json, "one JSON object a line");
  add_database_option(*devices, arguments.database);
  devices->footer(
      "Examples:\n  doline devices\n  doline devices --history phone\n  doline devices --json\n\n"
      "Exit status: 0 there are devices, 1 none, 66 there is no query log.");
  return devices;
}

CLI::App* add_status_command(CLI::App& app, StatusArguments& arguments) {
  CLI::App* command = app.add_subcommand("status", "What the running Doline does, and what is degraded");
  add_settings_options(*command, arguments.settings);
  command->add_flag("--json", arguments.json, "One JSON object");
  command->footer(
      "Examples:\n  doline status\n  doline status --json | jq .queries\n\n"
      "Exit status: 0 all is well, 1 degraded, 69 no Doline runs there, 77 not for this user.");
  return command;
}

CLI::App* add_redirect_command(CLI::App& app, RedirectArguments& arguments) {
  CLI::App* redirect = app.add_subcommand(
      "redirect", "Bring home the DNS that devices send to resolvers of their own choice: plan, apply, look, remove");
  redirect->require_subcommand(1);
  redirect->footer(
      "Examples:\n  doline redirect plan\n  doline redirect apply && doline redirect verify\n"
      "  doline redirect apply --confirm 60s    and, if you can still type it:  doline redirect confirm\n"
      "  sudo doline redirect verify            doline redirect verify --device tv --for 5m\n\n"
      "Exit status: 0 in place or done, 1 not (of status also: another program holds a port, so that what is led "
      "there\n"
      "is not answered), 2 verify found nothing wrong but could not try everything, 69 no Doline runs there, 77 no\n"
      "permission, 78 the configuration is wrong.");
  for (const Word& word : words) {
    CLI::App* verb = redirect->add_subcommand(name_of(word.verb), word.help);
    add_settings_options(*verb, arguments.settings);
    if (word.verb == Verb::render)
      add_render_options(*verb, arguments.render);
    else
      verb->add_flag("--json", arguments.json, "one JSON object");
    if (word.verb == Verb::apply)
      verb->add_option(
              "--confirm", arguments.trial,
              "put back what was before after so long (60s, 10m), unless `doline redirect confirm` comes in time")
          ->type_name("DURATION");
    if (word.verb == Verb::verify) {
      auto* device = verb->add_option("--device", arguments.device, "wait for the queries of this device instead")
                         ->type_name("NAME");
      verb->add_option("--from", arguments.from, "the same for a device that has no name: its address")
          ->type_name("ADDRESS")
          ->excludes(device);
      verb->add_option("--for", arguments.patience, "so long at most (60s, if not given)")->type_name("DURATION");
    }
    if (word.verb == Verb::remove)
      verb->add_flag(
          "--after-crash", arguments.after_crash,
          "for service managers: ask nobody, clear what a killed Doline left, keep what the kernel has seen");
    verb->callback([&arguments, chosen = word.verb] { arguments.verb = chosen; });
  }
  return redirect;
}

void add_device_command(CLI::App& app, DeviceArguments& arguments) {
  using DeviceVerb = DeviceArguments::Verb;
  CLI::App* device = app.add_subcommand(
      "device", "One device: what is known of it, which MACs are it; learn what it looks up, and lock it to that");
  device->require_subcommand(1);
  device->footer(
      "Examples:\n  doline device show camera\n  doline device join phone 5e:11:22:33:44:55\n"
      "  doline device learn camera --for 14d\n  doline device review camera\n  doline device lock camera --observe\n"
      "  doline device lock camera\n\n"
      "Exit status: 0 done, 1 nothing to show or undo, 64 usage or a device that nobody knows, 66 no query log, 69 no\n"
      "Doline runs there, 77 not for this user.");
  const auto add = [&](DeviceVerb verb, const char* name, const char* help) {
    CLI::App* command = device->add_subcommand(name, help);
    command->add_option("DEVICE", arguments.device, "its name, a MAC or an address")->required()->type_name("");
    add_settings_options(*command, arguments.settings);
    command->add_flag("--json", arguments.json,
                      verb == DeviceVerb::review ? "one JSON object a line" : "one JSON object");
    command->callback([&arguments, verb] {
      arguments.verb = verb;
      arguments.is_called = true;
    });
    return command;
  };
  const auto add_period = [&](CLI::App& command) {
    command
        .add_option("--since", arguments.since, "what the query log has from then on, instead of the time of learning")
        ->type_name("TIME");
    command.add_option("--until", arguments.until, "before this time")->type_name("TIME");
    add_database_option(command, arguments.database);
  };
  add(DeviceVerb::show, "show", "What is known of it, and what is said of it here");
  CLI::App* join = add(DeviceVerb::join, "join",
                       "Another MAC is this device: it has changed it, or makes up a new one now and then");
  join->add_option("OTHER", arguments.other, "the MAC, or the device that it is known as")->required()->type_name("");
  CLI::App* separate = add(DeviceVerb::separate, "separate", "Undo `join`");
  separate->add_option("MAC", arguments.other, "only this one")->type_name("");
  CLI::App* learn =
      add(DeviceVerb::learn, "learn", "From now on, for a while, what it looks up counts as what it needs");
  learn->add_option("--for", arguments.duration, "so long: 12h, 14d, 4w")->required()->type_name("DURATION");
  CLI::App* review = add(DeviceVerb::review, "review", "What it has looked up, by who registered the names");
  review->add_flag("--names", arguments.names, "each name too");
  add_period(*review);
  CLI::App* lock = add(
      DeviceVerb::lock, "lock",
      "It may look up what it has looked up while it was learned, and connect to what it has connected to; the rest "
      "is refused, with an alarm");
  lock->add_flag("--exact", arguments.exact, "the very names, not all of their owners'");
  lock->add_flag("--observe", arguments.observe, "only tell what would be refused");
  lock->add_option("--also", arguments.also, "this name too, and all below it")->type_name("NAME");
  lock->add_option("--without", arguments.without, "but not this name, nor what is below it")->type_name("NAME");
  lock->add_option("--flow", arguments.flows,
                   "it may connect there without a look-up: 198.51.100.7, 198.51.100.0/24,udp,123")
      ->type_name("NETWORK[,PROTOCOL[,PORT]]");
  lock->add_flag("--names-only", arguments.names_only, "its connections are not held");
  add_period(*lock);
  add(DeviceVerb::unlock, "unlock", "Undo `lock` and `learn`");
}

void add_pause_commands(CLI::App& app, PauseArguments& arguments) {
  using PauseVerb = PauseArguments::Verb;
  const auto add = [&](PauseVerb verb, const char* name, const char* help) {
    CLI::App* command = app.add_subcommand(name, help);
    auto* device =
        command->add_option("--device", arguments.device, "only for this device: its name, a MAC or an address")
            ->type_name("DEVICE");
    command->add_option("--group", arguments.group, "only for this group")->type_name("GROUP")->excludes(device);
    add_settings_options(*command, arguments.settings);
    command->add_flag("--json", arguments.json, "one JSON object");
    command->callback([&arguments, verb] {
      arguments.verb = verb;
      arguments.is_called = true;
    });
    return command;
  };
  constexpr const char* statuses =
      "Routes, rewrites and local names stay in force. `doline status` shows what is set aside; it outlives a "
      "restart.\n"
      "Exit status: 0 done, 1 there was nothing to end, 64 nobody knows the device, 69 no Doline runs there, 77 not "
      "for\n"
      "this user.";
  CLI::App* pause =
      add(PauseVerb::pause, "pause", "Set blocking aside for a while, for all or for one device or group");
  pause->add_option("DURATION", arguments.duration, "90s, 15m (if not given), 2h, 7d")->type_name("");
  pause->footer(std::string("Examples:\n  doline pause\n  doline pause --device tv 1h\n\n") + statuses);
  CLI::App* resume = add(PauseVerb::resume, "resume", "End a pause before its time");
  resume->add_flag("--all", arguments.all, "everything that is set aside, allowed names too");
  resume->footer(std::string("Examples:\n  doline resume --device tv\n  doline resume --all\n\n") + statuses);
  CLI::App* allow = add(PauseVerb::allow, "allow", "Let a name and all below it through, whatever lists and rules say");
  allow->add_option("NAME", arguments.name, "the name")->required()->type_name("");
  allow->add_option("--for", arguments.duration, "so long; until it is taken back, if not given")
      ->type_name("DURATION");
  allow->add_flag("--end", arguments.end, "take it back");
  allow->footer(std::string("Examples:\n  doline allow shop.example --device tv --for 1h\n"
                            "  doline allow shop.example --device tv --end\n\n") +
                statuses);
}

CLI::App* add_flush_command(CLI::App& app, SettingsChoice& choice) {
  CLI::App* command = app.add_subcommand("flush", "Forget all cached answers");
  add_settings_options(*command, choice);
  command->footer(
      "Examples:\n  doline flush\n\n"
      "An edit of `upstreams:` does that by itself. What a device has cached, only its TTL or the device ends.\n"
      "Exit status: 0 done, 69 no Doline runs there, 77 not for this user.");
  return command;
}

CLI::App* add_lists_command(CLI::App& app, ListsArguments& arguments) {
  CLI::App* command =
      app.add_subcommand("lists", "What each list holds, how fresh it is, and which of its lines are skipped");
  add_settings_options(*command, arguments.settings);
  command->add_flag("--json", arguments.json, "one JSON object a line");
  command->footer(
      "Examples:\n  doline lists\n  doline lists check list.txt\n  doline lists refresh\n\n"
      "hits: queries in the log that a list had a word on, whether or not it decided. The log has room for one place "
      "in\n"
      "the lists: where several speak of one query, those count that name the longest of its names, or that decided.\n"
      "Exit status: 0 all lists are in force, 1 some are not, 69 no Doline runs there, 77 not for this user.");
  CLI::App* check =
      command->add_subcommand("check", "Read a file as a list and tell what each line says or why it is skipped");
  check->add_option("FILE", arguments.file, "the list; packed files (gz, xz, zst) and pipes too")
      ->required()
      ->type_name("");
  check
      ->add_option(
          "--format", arguments.format,
          "hosts, domains, wildcard, adblock, rpz, dnsmasq, unbound, regex, addresses; recognised if not given")
      ->type_name("FORMAT");
  check->add_flag("--all", arguments.all, "every line, not only those that are skipped");
  check->add_flag("--json", arguments.json, "one JSON object a line");
  check->callback([&arguments] { arguments.verb = ListsArguments::Verb::check; });
  check->footer(
      "Examples:\n  doline lists check list.txt\n  doline lists check --all --format adblock list.txt\n\n"
      "Exit status: 0 it is a list, 1 it is none, 66 the file cannot be read.");
  CLI::App* refresh = command->add_subcommand("refresh", "Have the running Doline fetch every list anew, or one");
  refresh->add_option("NAME", arguments.name, "of the list; all that are fetched or transferred, if not given")
      ->type_name("");
  add_settings_options(*refresh, arguments.settings);
  refresh->footer(
      "Examples:\n  doline lists refresh\n  doline lists refresh ads\n\n"
      "Exit status: 0 it has begun, 1 there is no such list, 69 no Doline runs there, 77 not for this user.");
  refresh->callback([&arguments] { arguments.verb = ListsArguments::Verb::refresh; });
  return command;
}

CLI::App* add_replay_command(CLI::App& app, ReplayArguments& arguments) {
  CLI::App* command = app.add_subcommand(
      "replay", "What a configuration would have done with what was asked: who would notice an edit?");
  add_settings_options(*command, arguments.settings);
  command->add_option("--since", arguments.since, "24h, 7d (if not given), today, 2026-11-01")->type_name("TIME");
  command->add_option("--until", arguments.until, "before this time")->type_name("TIME");
  command->add_option("--device", arguments.device, "only queries of the device of this name")->type_name("NAME");
  command->add_option("--limit", arguments.limit, "the N most frequent changes (default 100; 0: all)")
      ->check(rows_up_to(flow_rows_max))
      ->type_name("N");
  command->add_flag("--json", arguments.json, "one JSON object a line; the last one sums up");
  add_database_option(*command, arguments.database);
  command->footer(
      "Examples:\n  doline replay --since 7d --config new.yml --database /var/lib/doline/doline.db\n"
      "  doline replay --since today --device tablet\n\n"
      "Verdicts are compared, not what they answer: another address in a rewrite, another `block_response`, another\n"
      "upstream or local record is no change. The log keeps what upstream answered, and not which name servers said\n"
      "so: what a list says of those (RPZ: rpz-nsdname, rpz-nsip) is not judged, and what such a list kept back is\n"
      "not counted as a change.\n"
      "Exit status: 0 nothing would change, 1 something would, 64 usage, 66 there is no query log, or not the text of\n"
      "every list, 78 the configuration has mistakes.");
  return command;
}

CLI::App* add_services_command(CLI::App& app, ServicesArguments& arguments) {
  CLI::App* command =
      app.add_subcommand("services", "The services that rules can name, and the names that belong to them");
  command->add_option("WORD", arguments.word, "A service or a category; all if not given")->type_name("");
  command->add_flag("--json", arguments.json, "One object a line");
  command->footer(
      "Examples:\n  doline services\n  doline services games\n  doline services tiktok --json\n\n"
      "In a rule: {when: {group: kids, service: [tiktok, roblox]}, then: block}\n"
      "Exit status: 0, or 1 there is none of that name.");
  return command;
}

CLI::App* add_limits_command(CLI::App& app, LimitsArguments& arguments) {
  CLI::App* command = app.add_subcommand("limits", "Every limit that is built in");
  command->add_flag("--json", arguments.json, "One object a line");
  command->footer("Example:\n  doline limits");
  return command;
}

}  // namespace doline
