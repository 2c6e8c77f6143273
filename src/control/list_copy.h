// The last good copy of a list: what may become one of a fetched list, and what we know of it.
//
// state/lists/NAME.txt is the text; of what is fetched NAME.json beside it where and when it came from. Nothing
// replaces a text that is cut off, empty, a web page, or mostly no list. Files only; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "blocklist/list_file.h"
#include "dns/transfer_message.h"

namespace doline::control {

/// What NAME.json holds.
struct CopyNotes {
  std::string url;
  std::string etag, last_modified;          ///< as the server wrote them; empty: none
  WallTime fetched{};                       ///< or last found unchanged
  std::uint64_t octets = 0;                 ///< of the text these notes are about
  std::uint64_t entries = 0;                ///< in it, with repetitions
  std::optional<dns::SoaNumbers> soa = {};  ///< of a zone that was transferred; `url` is then its ZoneSource as text
  bool operator==(const CopyNotes&) const = default;
};

/// Nothing where there are no notes, or none that can be believed.
[[nodiscard]] std::optional<CopyNotes> read_notes(const std::filesystem::path& file);
/// The fault is a sentence.
[[nodiscard]] Result<void, std::string> write_notes(const std::filesystem::path& file, const CopyNotes& notes);

/// A text as it was downloaded, and what it is to replace.
struct Candidate {
  std::filesystem::path file;
  std::filesystem::path copy;  ///< the last good one; need not exist
  std::optional<blocklist::ListFormat> format;
  bool subdomains = false;
  bool is_whole = true;              ///< as Downloaded says
  std::uint64_t entries_before = 0;  ///< of the copy; 0: there is none
  /// Of a list that blocks: names whose addresses a client of whom nothing is known must get, small letters.
  std::vector<dns::Name> must_resolve;
};

struct Judgement {
  std::uint64_t entries = 0;
  std::uint64_t problems = 0;  ///< bad lines
  bool is_same = false;        ///< octet for octet what the copy holds
};

/// Compiles it, beside its file, and asks policy by what came of it. The fault is why it is not to replace the copy: no
/// octets, no list by its first lines (HTML), no name, more bad lines than names, a name blocked that must resolve; or,
/// of a transfer that cannot say whether it is whole, fewer than half as many entries as before. A list that is whole
/// may shrink as its publisher likes.
[[nodiscard]] Result<Judgement, std::string> judge(const Candidate& candidate);
/// The candidate, once judged well, becomes the copy: on the disk, then renamed. Its file is gone in any case.
[[nodiscard]] Result<Judgement, std::string> take_copy(const Candidate& candidate);

/// Of a file that stays where it is, for when it cannot be read. No fault where the file is gone. The fault is a
/// sentence.
[[nodiscard]] Result<void, std::string> keep_copy(const std::filesystem::path& file, const std::filesystem::path& copy);
/// By its beginning: that is the commonest wrong answer to who fetches a list (a portal, an expired host), and `<`
/// begins no line of any.
[[nodiscard]] bool is_web_page(const std::filesystem::path& file);
/// By size and time.
[[nodiscard]] bool has_copy(const std::filesystem::path& file, const std::filesystem::path& copy);
/// Where it is made.
[[nodiscard]] std::filesystem::path new_copy_of(const std::filesystem::path& copy);

/// A file name that no other list has: letters, digits, `-` and `_` stay, any other octet is `%XX`; a long one ends in
/// its digest.
[[nodiscard]] std::string to_file_name(std::string_view list_name);

}  // namespace doline::control
