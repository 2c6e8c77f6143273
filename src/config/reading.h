// Reading: one file while it is read: where its problems are gathered, and the scalars that every section is made of.
//
// Each read_…() says what is wrong with its node, at its place, and returns nothing then; the caller goes on, so that
// all problems of a file are told at once. Used only within config, by one thread, for as long as the text lives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "config/document.h"
#include "config/problem.h"
#include "dns/name.h"

namespace doline::config {

class Reading {
 public:
  /// `text` is borrowed; `file` is what the operator called it.
  Reading(std::string_view text, std::filesystem::path file) : text_(text), file_(std::move(file)) {}

  void add(const Place& place, std::string message, std::string hint = {}) {
    add(Kind::mistake, place, std::move(message), std::move(hint));
  }
  void add(const Node& node, std::string message, std::string hint = {}) {
    add(Kind::mistake, node.place, std::move(message), std::move(hint));
  }
  /// Right, but this build cannot do it.
  void add_not_yet(const Node& node, const std::string& what) {
    add(Kind::not_yet, node.place, what + " is not in this build yet", "take it out, or this file is not used");
  }
  /// Of the file as a whole.
  void add_without_place(std::string message, std::string hint = {});
  /// `'blok' is not an action`: the node's text is none of `candidates`; names the nearest.
  void add_unknown(const Node& node, std::string_view what, std::string_view text,
                   const std::vector<std::string_view>& candidates);
  /// `unknown key 'upstream' in the top level`; names the nearest.
  void add_unknown_key(const Node& key, std::string_view where, const std::vector<std::string_view>& candidates);

  [[nodiscard]] bool is_full() const { return problems_.size() >= problems_max; }
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }
  /// The line without blanks at its ends, printable; empty past the end.
  [[nodiscard]] std::string line_text(int line) const;
  /// Sorted by place.
  [[nodiscard]] std::vector<Problem> take_problems();
  [[nodiscard]] std::size_t problem_count() const { return problems_.size(); }

 private:
  void add(Kind kind, const Place& place, std::string message, std::string hint);
  [[nodiscard]] std::string_view raw_line(int line) const;

  std::string_view text_;
  std::filesystem::path file_;
  std::vector<Problem> problems_;
  mutable std::vector<std::size_t> line_starts_;  // made when the first line is asked for
};

/// The entries of a list, or the lone value itself: a single value is accepted wherever a list is. A null has none.
[[nodiscard]] std::vector<const Node*> to_list(const Node& node);
/// The same, and at most `max` of them; that there are more `values` is told. So that no list makes a section slow.
[[nodiscard]] std::vector<const Node*> to_list(Reading& reading, const Node& node, std::size_t max,
                                               std::string_view values);

/// `what` is how the value is called in a sentence: "a port".
[[nodiscard]] std::optional<std::string> read_text(Reading& reading, const Node& node, std::string_view what);
[[nodiscard]] std::optional<bool> read_bool(Reading& reading, const Node& node);
/// `off`, `false` or `no`.
[[nodiscard]] bool says_off(const Node& node);
/// Decimal, or hexadecimal behind 0x.
[[nodiscard]] std::optional<std::uint64_t> read_number(Reading& reading, const Node& node, std::string_view what,
                                                       std::uint64_t min, std::uint64_t max);
/// `500ms`, `2s`, `5m`, `1h`, `7d`, `2w`, `1h30m`; `0`. Never negative.
[[nodiscard]] std::optional<milliseconds> read_duration(Reading& reading, const Node& node, milliseconds min,
                                                        milliseconds max);
/// The same in whole seconds.
[[nodiscard]] std::optional<seconds> read_seconds(Reading& reading, const Node& node, seconds min, seconds max);
/// `64MiB`, `500MB`, `4GiB`, `512KiB`, `0`; octets.
[[nodiscard]] std::optional<std::uint64_t> read_size(Reading& reading, const Node& node, std::uint64_t min,
                                                     std::uint64_t max);
[[nodiscard]] std::optional<IpAddress> read_address(Reading& reading, const Node& node);
[[nodiscard]] std::optional<IpPrefix> read_prefix(Reading& reading, const Node& node);
[[nodiscard]] std::optional<Endpoint> read_endpoint(Reading& reading, const Node& node, std::uint16_t default_port);
/// Small letters.
[[nodiscard]] std::optional<dns::Name> read_name(Reading& reading, const Node& node);
/// Of `text`, which stands at `node`.
[[nodiscard]] std::optional<dns::Name> read_name(Reading& reading, const Node& node, std::string_view text);
/// A path that something is read from: beside the file, else in the folder above; see reader.h.
[[nodiscard]] std::optional<std::filesystem::path> read_input_path(Reading& reading, const Node& node);
/// A path that Doline writes: beside the file where it is relative.
[[nodiscard]] std::optional<std::filesystem::path> read_output_path(Reading& reading, const Node& node);

/// Which of the words the node holds.
template <class T>
[[nodiscard]] std::optional<T> read_word(Reading& reading, const Node& node, std::string_view what,
                                         const std::vector<std::pair<std::string_view, T>>& words) {
  const auto text = read_text(reading, node, what);
  if (!text) return {};
  std::vector<std::string_view> candidates;
  for (const auto& [word, value] : words) {
    if (*text == word) return value;
    candidates.push_back(word);
  }
  reading.add_unknown(node, what, *text, candidates);
  return {};
}

}  // namespace doline::config
