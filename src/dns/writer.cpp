#include "dns/writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "dns/fold.h"
#include "dns/message_reader.h"
#include "dns/rdata.h"
#include "dns/write_octets.h"

namespace doline::dns {

namespace {

constexpr std::size_t pointer_reach = 0x4000;  // 14 bits
constexpr std::size_t opt_octets = 11;
constexpr std::size_t option_head_octets = 4;
constexpr std::uint16_t option_cookie = 10;
constexpr std::uint16_t option_extended_error = 15;

bool equal_folded(const std::uint8_t* left, const std::uint8_t* right, std::size_t count) {
  const auto equal_word = [](std::uint64_t a, std::uint64_t b) { return a == b || fold(a) == fold(b); };
  for (; count >= 8; count -= 8, left += 8, right += 8)
    if (!equal_word(load_eight(left), load_eight(right))) return false;
  return equal_word(load_few(left, count), load_few(right, count));
}

/// Is the name at `offset` of our own message (so its pointers are good) the uncompressed name `wire`?
bool is_name_at(const std::uint8_t* message, std::size_t offset, const std::uint8_t* wire) {
  for (;;) {
    while (message[offset] >= 0xc0) offset = (message[offset] & 0x3fu) << 8 | message[offset + 1];
    const std::uint8_t length = *wire;
    if (message[offset] != length) return false;
    if (length == 0) return true;
    if (!equal_folded(message + offset + 1, wire + 1, length)) return false;
    offset += length + 1u;
    wire += length + 1u;
  }
}

/// A name's suffixes but the root: where each begins, and its hash.
struct Suffixes {
  std::array<std::uint8_t, 128> starts;
  std::array<std::uint32_t, 128> hashes;
  int count = 0;
};

/// From the root to the left, so that each label is hashed once.
void find_suffixes(const std::uint8_t* wire, Suffixes& suffixes) {
  for (std::size_t at = 0; wire[at] != 0; at += wire[at] + 1u)
    suffixes.starts[suffixes.count++] = static_cast<std::uint8_t>(at);
  std::uint64_t hash = 0;
  for (int i = suffixes.count; i-- > 0;) {
    const std::uint8_t start = suffixes.starts[i];
    hash = folded_hash(wire + start, wire[start] + 1u, hash);
    suffixes.hashes[i] = static_cast<std::uint32_t>(hash);
  }
}

/// The longest beginning of `text` of at most `octets` that ends between characters.
std::string_view shorten_utf8(std::string_view text, std::size_t octets) {
  if (text.size() <= octets) return text;
  while (octets > 0 && (static_cast<std::uint8_t>(text[octets]) & 0xc0) == 0x80) --octets;
  return text.substr(0, octets);
}

}  // namespace

MessageWriter::MessageWriter(std::span<std::uint8_t> space)
    : space_(space.first(std::min(space.size(), message_octets_max))) {
  check(space.size() >= header_octets);
}

void MessageWriter::header(std::uint16_t id, Flags flags, ResponseCode code) {
  std::uint8_t* const out = space_.data();
  put16(out, id);
  out[2] = static_cast<std::uint8_t>((flags.response ? 0x80 : 0) | static_cast<int>(flags.opcode) << 3 |
                                     (flags.authoritative ? 0x04 : 0) | (flags.truncated ? 0x02 : 0) |
                                     (flags.recursion_desired ? 0x01 : 0));
  out[3] = static_cast<std::uint8_t>((flags.recursion_available ? 0x80 : 0) | (flags.authentic_data ? 0x20 : 0) |
                                     (flags.checking_disabled ? 0x10 : 0) | (static_cast<int>(code) & 0x0f));
  std::memset(out + 4, 0, 8);
  code_ = code;
  size_ = header_octets;
  qname_octets_ = 0;
  is_question_entered_ = false;
  names_count_ = 0;
  section_ = Section::answer;
}

bool MessageWriter::question(const Question& question) {
  check(size_ == header_octets);
  const Octets qname = question.qname.wire();
  if (space_.size() - size_ < qname.size() + 4) return false;
  std::memcpy(space_.data() + size_, qname.data(), qname.size());
  size_ += qname.size();
  qname_octets_ = static_cast<std::uint8_t>(qname.size());
  put16(space_.data() + size_, static_cast<std::uint16_t>(question.qtype));
  put16(space_.data() + size_ + 2, static_cast<std::uint16_t>(question.qclass));
  size_ += 4;
  space_[5] = 1;
  return true;
}

bool MessageWriter::record(Section section, const Name& owner, RecordType type, RecordClass record_class,
                           std::uint32_t ttl, Octets rdata) {
  const Mark before = mark();
  if (!begin_record(owner, type, record_class, ttl) || space_.size() - size_ < rdata.size()) return roll_back(before);
  if (!rdata.empty()) std::memcpy(space_.data() + size_, rdata.data(), rdata.size());
  size_ += rdata.size();
  end_record(section);
  return true;
}

bool MessageWriter::record(Section section, const Name& owner, RecordType type, RecordClass record_class,
                           std::uint32_t ttl, const Name& target) {
  const Mark before = mark();
  const auto shape = shape_of(type);
  const Compress compress = shape && *shape == "N" ? Compress::yes : Compress::no;
  if (!begin_record(owner, type, record_class, ttl) || !write_name(target, compress)) return roll_back(before);
  end_record(section);
  return true;
}

bool MessageWriter::copy(Section section, const Name& owner, const ResponseView& from, const RecordView& record,
                         std::uint32_t ttl) {
  const Mark before = mark();
  if (!begin_record(owner, record.type, record.record_class, ttl)) return roll_back(before);
  bool fits = true;
  const bool parses =
      walk_rdata(from.octets(), record.rdata_offset, record.rdata.size(), record.type, [&](const RdataPiece& piece) {
        if (!fits) return;
        if (piece.is_name) {
          Name name;
          check(!MessageReader(from.octets(), piece.at).read_name(name));
          fits = write_name(name, piece.may_compress ? Compress::yes : Compress::no);
        } else if (fits = space_.size() - size_ >= piece.octets; fits) {
          std::memcpy(space_.data() + size_, from.octets().data() + piece.at, piece.octets);
          size_ += piece.octets;
        }
      });
  check(parses);  // ResponseView::parse has walked it
  if (!fits) return roll_back(before);
  end_record(section);
  return true;
}

bool MessageWriter::opt(const OptRecord& opt) {
  const std::size_t size = append_opt(space_, size_, opt, code_);
  if (size == size_) return false;
  size_ = size;
  section_ = Section::additional;
  return true;
}

void MessageWriter::set_truncated() {
  space_[2] |= 0x02;
}

bool MessageWriter::write_name(const Name& name, Compress compress) {
  const std::uint8_t* const wire = name.wire().data();
  // Most owners are the question.
  if (compress == Compress::yes && name.size() == qname_octets_ && !name.is_root() &&
      equal_folded(space_.data() + header_octets, wire, name.size())) {
    if (space_.size() - size_ < 2) return false;
    put16(space_.data() + size_, 0xc000 | header_octets);
    size_ += 2;
    return true;
  }
  Suffixes suffixes;
  if (compress == Compress::yes) {
    if (!std::exchange(is_question_entered_, true)) enter_question();
    find_suffixes(wire, suffixes);
  }

  // Find the longest one that was written before.
  const Entry* known = nullptr;
  int own_labels = 0;
  for (; own_labels < suffixes.count; ++own_labels) {
    known = find_name(suffixes.hashes[own_labels], wire + suffixes.starts[own_labels]);
    if (known) break;
  }
  const std::size_t own_octets = known ? suffixes.starts[own_labels] : name.size();
  if (space_.size() - size_ < own_octets + (known ? 2 : 0)) return false;
  std::memcpy(space_.data() + size_, wire, own_octets);
  const auto hops = static_cast<std::uint16_t>(known ? known->hops + 1 : 0);
  if (known) put16(space_.data() + size_ + own_octets, static_cast<std::uint16_t>(0xc000 | known->offset));

  // Remember the new ones. A chain that a reader of ours would not follow to its end is not begun.
  for (int i = 0; i < own_labels && names_count_ < compression_names_max && hops < pointers_max; ++i)
    if (size_ + suffixes.starts[i] < pointer_reach)
      names_[names_count_++] = {static_cast<std::uint16_t>(size_ + suffixes.starts[i]), hops, suffixes.hashes[i]};
  size_ += own_octets + (known ? 2 : 0);
  return true;
}

/// Left until another name comes: most messages have none.
void MessageWriter::enter_question() {
  if (qname_octets_ == 0) return;
  Suffixes suffixes;
  find_suffixes(space_.data() + header_octets, suffixes);
  for (int i = 0; i < suffixes.count; ++i)
    names_[names_count_++] = {static_cast<std::uint16_t>(header_octets + suffixes.starts[i]), 0, suffixes.hashes[i]};
}

const MessageWriter::Entry* MessageWriter::find_name(std::uint32_t hash, const std::uint8_t* wire) const {
  for (int i = 0; i < names_count_; ++i)
    if (names_[i].hash == hash)  // one comparison at most: names made to collide are not worth more
      return is_name_at(space_.data(), names_[i].offset, wire) ? &names_[i] : nullptr;
  return nullptr;
}

bool MessageWriter::begin_record(const Name& owner, RecordType type, RecordClass record_class, std::uint32_t ttl) {
  if (!write_name(owner, Compress::yes) || space_.size() - size_ < 10) return false;
  std::uint8_t* const at = space_.data() + size_;
  put16(at, static_cast<std::uint16_t>(type));
  put16(at + 2, static_cast<std::uint16_t>(record_class));
  put32(at + 4, ttl);
  last_ttl_offset_ = size_ + 4;
  size_ += 10;
  return true;
}

void MessageWriter::end_record(Section section) {
  check(section >= section_);
  section_ = section;
  std::uint8_t* const octets = space_.data() + last_ttl_offset_ + 4;
  put16(octets, static_cast<std::uint16_t>(size_ - (last_ttl_offset_ + 6)));
  std::uint8_t* const count = space_.data() + 6 + 2 * static_cast<std::size_t>(section);
  put16(count, static_cast<std::uint16_t>((count[0] << 8 | count[1]) + 1));
}

bool MessageWriter::roll_back(Mark to) {
  size_ = to.size;
  last_ttl_offset_ = to.last_ttl_offset;
  names_count_ = to.names_count;
  is_question_entered_ = to.is_question_entered;
  return false;
}

std::size_t append_opt(std::span<std::uint8_t> space, std::size_t size, const OptRecord& opt, ResponseCode code) {
  std::size_t left = std::min(space.size(), message_octets_max) - size;
  if (left < opt_octets) return size;
  left -= opt_octets;
  std::uint8_t* const out = space.data() + size;
  out[0] = 0;
  put16(out + 1, static_cast<std::uint16_t>(RecordType::opt));
  put16(out + 3, opt.udp_payload_size);
  out[5] = static_cast<std::uint8_t>(static_cast<std::uint16_t>(code) >> 4);
  out[6] = 0;  // version
  put16(out + 7, opt.dnssec_ok ? 0x8000 : 0);
  std::uint8_t* at = out + opt_octets;
  if (!opt.cookie.empty() && left >= option_head_octets + opt.cookie.size()) {
    put16(at, option_cookie);
    put16(at + 2, static_cast<std::uint16_t>(opt.cookie.size()));
    std::memcpy(at + option_head_octets, opt.cookie.data(), opt.cookie.size());
    at += option_head_octets + opt.cookie.size();
    left -= option_head_octets + opt.cookie.size();
  }
  if (opt.error && left >= option_head_octets + 2) {
    const std::string_view text = shorten_utf8(opt.error_text, left - option_head_octets - 2);
    put16(at, option_extended_error);
    put16(at + 2, static_cast<std::uint16_t>(2 + text.size()));
    put16(at + 4, static_cast<std::uint16_t>(*opt.error));
    if (!text.empty()) std::memcpy(at + 6, text.data(), text.size());
    at += option_head_octets + 2 + text.size();
  }
  put16(out + 9, static_cast<std::uint16_t>(at - out - static_cast<std::ptrdiff_t>(opt_octets)));
  std::uint8_t* const count = space.data() + 10;
  put16(count, static_cast<std::uint16_t>((count[0] << 8 | count[1]) + 1));
  return size + static_cast<std::size_t>(at - out);
}

void patch_id(std::span<std::uint8_t> message, std::uint16_t id) {
  check(message.size() >= header_octets);
  put16(message.data(), id);
}

std::vector<std::uint8_t> make_query(std::uint16_t id, const Question& question) {
  std::vector<std::uint8_t> octets(header_octets + question.qname.size() + 4);
  MessageWriter writer(octets);
  writer.header(id, {.response = false, .recursion_desired = true, .recursion_available = false},
                ResponseCode::noerror);
  check(writer.question(question));
  return octets;
}

}  // namespace doline::dns
