// The nft script of `doline_watch`: rules that log and alter nothing. New connections of the LAN to the outside
// (`flows: {watch: true}`, and of encrypted DNS alone `redirect: {encrypted: log}`), and every packet that may hold a
// query to a foreign resolver (`redirect: {mode: audit}`).
//
// They stand before every rule that refuses, ours or another tool's at the usual priority, so that what is refused is
// seen too. Conntrack counts packets from the moment that they are in place, for by its count they know the first
// packet of a connection that nobody answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "redirect/nft_rules.h"
#include "redirect/options.h"

namespace doline::redirect {

/// Which rule logged a packet. `https`: of a connection that is DoH if its device has this address for the name of such
/// a server. `refused`: by the gate, of a connection that another rule has logged.
enum class LoggedBy : std::uint8_t { connection, plain_dns, encrypted_dns, query, https, refused };

/// Enough for the longest chain of headers up to the ports, and for those up to a question's end.
inline constexpr std::size_t connection_octets_logged = 128;
inline constexpr std::size_t query_octets_logged = 768;

/// The log statement's prefix: `doline connection`.
[[nodiscard]] std::string_view prefix_of(LoggedBy rule);
/// Nothing: another tool's.
[[nodiscard]] std::optional<LoggedBy> parse_prefix(std::string_view prefix);

/// A statement that logs, with the rule's prefix, so many octets; no verdict.
[[nodiscard]] std::string log_statement(LoggedBy rule, std::size_t octets, const Options& options);
/// True where new connections to servers of encrypted DNS are logged, whoever begins them.
[[nodiscard]] bool logs_encrypted(const Options& options);
/// True where the options ask for any such rule.
[[nodiscard]] bool asks_to_watch(const Options& options);
/// `table inet doline_watch {...}`; empty where nothing is asked for. `options` have no problems. `doh_networks`: as in
/// Restrictions.
[[nodiscard]] std::string nft_watch(const Options& options, TableLife life,
                                    const std::vector<IpPrefix>& doh_networks = {},
                                    const std::vector<IpPrefix>& lan = {});

}  // namespace doline::redirect
