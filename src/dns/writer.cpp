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

/// Returns their octets. What does not fit is left out.
std::size_t write_options(std::span<std::uint8_t> space, const OptRecord& opt) {
  std::size_t size = 0;
  if (!opt.cookie.empty() && space.size() >= option_head_octets + opt.cookie.size()) {
    put16(space.data(), option_cookie);
    put16(space.data() + 2, static_cast<std::uint16_t>(opt.cookie.size()));
    std::memcpy(space.data() + option_head_octets, opt.cookie.data(), opt.cookie.size());
    size = option_head_octets + opt.cookie.size();
  }
  if (opt.error && space.size() - size >= option_head_octets + 2) {
    std::uint8_t* const at = space.data() + size;
    const std::string_view text = shorten_utf8(opt.error_text, space.size() - size - option_head_octets - 2);
    put16(at, option_extended_error);
    put16(at + 2, static_cast<std::uint16_t>(2 + text.size()));
    put16(at + 4, static_cast<std::uint16_t>(*opt.error));
    if (!text.empty()) std::memcpy(at + 6, text.data(), text.size());
    size += option_head_octets + 2 + text.size();
  }
  return size;
}

}  // namespace

MessageWriter::MessageWriter(std::span<std::uint8_t> space)
    : space_(space.first(std::min(space.size(), message_octets_max))) {
  check(space.size() >= header_octets);
}

bool MessageWriter::question(const Question& asked, Octets qname) {
  check(size_ == header_octets);
  if (space_.size() - size_ < qname.size() + 4) return false;
  std::memcpy(space_.data() + size_, qname.data(), qname.size());
  size_ += qname.size();
  qname_octets_ = static_cast<std::uint8_t>(qname.size());
  put16(space_.data() + size_, static_cast<std::uint16_t>(asked.qtype));
  put16(space_.data() + size_ + 2, static_cast<std::uint16_t>(asked.qclass));
  size_ += 4;
  space_[5] = 1;
  return true;
}

/// `write()` writes one record, or as much of it as fits.
template <class Write>
bool MessageWriter::add(Section section, Write write) {
  const Mark before = mark();
  if (!write()) return roll_back(before);
  end_record(section);
  return true;
}

bool MessageWriter::record(Section section, const Name& owner, RecordType type, RecordClass record_class,
                           std::uint32_t ttl, Octets rdata) {
  return add(section, [&] {
    return write_name(owner, Compress::yes) && write_head(type, record_class, ttl) && write_octets(rdata);
  });
}

bool MessageWriter::record(Section section, const Name& owner, RecordType type, RecordClass record_class,
                           std::uint32_t ttl, const Name& target) {
  const auto shape = shape_of(type);
  const Compress compress = shape && *shape == "N" ? Compress::yes : Compress::no;
  return add(section, [&] {
    return write_name(owner, Compress::yes) && write_head(type, record_class, ttl) && write_name(target, compress);
  });
}

bool MessageWriter::copy(Section section, const Name& owner, const ResponseView& from, const RecordView& record,
                         std::uint32_t ttl) {
  return add(section, [&] {
    return write_name(owner, Compress::yes) && write_head(record.type, record.record_class, ttl) &&
           copy_rdata(from.octets(), record);
  });
}

bool MessageWriter::copy_normal(const ResponseView& from, const RecordView& record, std::uint32_t ttl) {
  check(record.is_normal);
  const std::size_t begin = size_, head_octets = record.rdata_offset - record.owner_offset;
  if (!write_octets(from.octets().subspan(record.owner_offset, head_octets + record.rdata.size()))) return false;
  last_ttl_offset_ = begin + record.ttl_offset - record.owner_offset;
  put32(space_.data() + last_ttl_offset_, ttl);
  count_record(record.section);
  return true;
}

bool MessageWriter::write_octets(Octets octets) {
  if (space_.size() - size_ < octets.size()) return false;
  if (!octets.empty()) std::memcpy(space_.data() + size_, octets.data(), octets.size());
  size_ += octets.size();
  return true;
}

bool MessageWriter::copy_rdata(Octets from, const RecordView& record) {
  bool fits = true;
  const bool parses =
      walk_rdata(from, record.rdata_offset, record.rdata.size(), record.type, [&](const RdataPiece& piece) {
        if (!fits) return;
        if (piece.is_name) {
          Name name;
          check(!MessageReader(from, piece.at).read_name(name));
          fits = write_name(name, piece.may_compress ? Compress::yes : Compress::no);
        } else {
          fits = write_octets(from.subspan(piece.at, piece.octets));
        }
      });
  check(parses);  // ResponseView::parse has walked it
  return fits;
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

bool MessageWriter::write_head(RecordType type, RecordClass record_class, std::uint32_t ttl) {
  if (space_.size() - size_ < 10) return false;
  std::uint8_t* const at = space_.data() + size_;
  put16(at, static_cast<std::uint16_t>(type));
  put16(at + 2, static_cast<std::uint16_t>(record_class));
  put32(at + 4, ttl);
  last_ttl_offset_ = size_ + 4;
  size_ += 10;
  return true;
}

void MessageWriter::end_record(Section section) {
  put16(space_.data() + last_ttl_offset_ + 4, static_cast<std::uint16_t>(size_ - (last_ttl_offset_ + 6)));
  count_record(section);
}

void MessageWriter::count_record(Section section) {
  check(section >= section_);
  section_ = section;
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
  const std::size_t room = std::min(space.size(), message_octets_max) - size;
  if (room < opt_octets) return size;
  std::uint8_t* const out = space.data() + size;
  out[0] = 0;
  put16(out + 1, static_cast<std::uint16_t>(RecordType::opt));
  put16(out + 3, opt.udp_payload_size);
  out[5] = static_cast<std::uint8_t>(static_cast<std::uint16_t>(code) >> 4);
  out[6] = 0;  // version
  put16(out + 7, opt.dnssec_ok ? 0x8000 : 0);
  put16(out + 9, 0);
  std::uint8_t* const count = space.data() + 10;
  put16(count, static_cast<std::uint16_t>((count[0] << 8 | count[1]) + 1));
  if (opt.cookie.empty() && !opt.error) return size + opt_octets;
  const std::size_t octets = write_options({out + opt_octets, room - opt_octets}, opt);
  put16(out + 9, static_cast<std::uint16_t>(octets));
  return size + opt_octets + octets;
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
