#include "storage/repo/dirtree.h"

#include <glib.h>

#include <optional>

#include "engine/base/log.h"
#include "storage/repo/metadata.h"

namespace panal::storage {
namespace {

constexpr std::size_t kMostNameBytes = 255;

/// Bytes of a container's framing offsets, by the container's whole length.
std::size_t offset_width(std::size_t length) {
  if (length <= 0xff) return 1;
  if (length <= 0xffff) return 2;
  return 4;  // kMostMetadataBytes is below 4 GiB
}

std::size_t number_at(std::string_view bytes, std::size_t at, std::size_t width) {
  std::size_t number = 0;
  for (std::size_t i = width; i > 0; --i)
    number = (number << 8U) | static_cast<unsigned char>(bytes[at + i - 1]);
  return number;
}

/// Whether a container of `count` offsets has them as narrow as they can be: normal form.
bool is_narrowest(std::size_t length, std::size_t width, std::size_t count) {
  if (width == 1) return true;
  const std::size_t narrower = width / 2;
  const std::size_t shorter = length - count * (width - narrower);
  return offset_width(shorter) != narrower;
}

/// The members of a tuple of which none has a size of its own and none is aligned: their ends are
/// written behind them, the first one's last; that of the last member is not. Empty: not normal.
template <std::size_t kMembers>
std::optional<std::array<std::string_view, kMembers>> members_of(std::string_view tuple) {
  const std::size_t width = offset_width(tuple.size());
  constexpr std::size_t kOffsets = kMembers - 1;
  if (tuple.size() < kOffsets * width || !is_narrowest(tuple.size(), width, kOffsets))
    return std::nullopt;
  const std::size_t body = tuple.size() - kOffsets * width;
  std::array<std::string_view, kMembers> members;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < kMembers; ++i) {
    const std::size_t end =
        i == kOffsets ? body : number_at(tuple, tuple.size() - (i + 1) * width, width);
    if (end < begin || end > body) return std::nullopt;
    members[i] = tuple.substr(begin, end - begin);
    begin = end;
  }
  return members;
}

/// The elements of an array of such tuples: their ends stand behind the last one.
class Elements {
 public:
  /// False: not normal.
  bool open(std::string_view array) {
    array_ = array;
    if (array.empty()) return true;
    width_ = offset_width(array.size());
    if (array.size() < width_) return false;
    ends_ = number_at(array, array.size() - width_, width_);
    if (ends_ >= array.size() || (array.size() - ends_) % width_ != 0) return false;
    count_ = (array.size() - ends_) / width_;
    return is_narrowest(array.size(), width_, count_);
  }
  [[nodiscard]] std::size_t count() const { return count_; }
  /// One after the other. Empty: not normal.
  std::optional<std::string_view> next() {
    const std::size_t end = number_at(array_, ends_ + at_++ * width_, width_);
    if (end < begin_ || end > ends_) return std::nullopt;
    const std::string_view element = array_.substr(begin_, end - begin_);
    begin_ = end;
    return element;
  }

 private:
  std::string_view array_;
  std::size_t width_ = 1;
  std::size_t ends_ = 0;
  std::size_t count_ = 0;
  std::size_t at_ = 0;
  std::size_t begin_ = 0;
};

Failure damaged(const std::string& what) { return fail(EPROTO, what + " is damaged"); }

bool take_sha256(std::string_view bytes, Sha256& sum) {
  if (bytes.size() != sum.size()) return false;
  std::memcpy(sum.data(), bytes.data(), sum.size());
  return true;
}

/// Of a string with the zero at its end; sorted without a name twice. `last`: the one before.
Result<std::string_view> entry_name(std::string_view text, std::string_view last,
                                    const std::string& what) {
  if (text.empty() || text.back() != '\0') return damaged(what);
  const std::string_view name = text.substr(0, text.size() - 1);
  // This refuses a zero inside as well.
  if (::g_utf8_validate(name.data(), static_cast<gssize>(name.size()), nullptr) == FALSE)
    return damaged(what);
  if (name.empty() || name.size() > kMostNameBytes || name == "." || name == ".." ||
      name.find('/') != std::string_view::npos)
    return fail(EPROTO, what + " holds the name \"" + printable(std::string(name), 300) + "\"");
  if (name <= last) return fail(EPROTO, what + " holds its names out of order or twice");
  return name;
}

Result<void> add_files(std::string_view array, DirTreeView& tree, const std::string& what) {
  Elements elements;
  if (!elements.open(array)) return damaged(what);
  tree.files.reserve(elements.count());
  std::string_view last;
  for (std::size_t i = 0; i < elements.count(); ++i) {
    const auto element = elements.next();
    const auto members = element ? members_of<2>(*element) : std::nullopt;
    if (!members) return damaged(what);
    DirTreeView::File file;
    PANAL_ASSIGN(file.name, entry_name((*members)[0], last, what));
    if (!take_sha256((*members)[1], file.checksum))
      return fail(EPROTO, what + " holds a bad checksum");
    last = file.name;
    tree.files.push_back(file);
  }
  return {};
}

Result<void> add_directories(std::string_view array, DirTreeView& tree, const std::string& what) {
  Elements elements;
  if (!elements.open(array)) return damaged(what);
  tree.directories.reserve(elements.count());
  std::string_view last;
  auto rival = tree.files.begin();
  for (std::size_t i = 0; i < elements.count(); ++i) {
    const auto element = elements.next();
    const auto members = element ? members_of<3>(*element) : std::nullopt;
    if (!members) return damaged(what);
    DirTreeView::Directory directory;
    PANAL_ASSIGN(directory.name, entry_name((*members)[0], last, what));
    while (rival != tree.files.end() && rival->name < directory.name) ++rival;
    if (rival != tree.files.end() && rival->name == directory.name)
      return fail(EPROTO, what + " holds \"" + printable(std::string(directory.name), 300) +
                              "\" as a file and a directory");
    if (!take_sha256((*members)[1], directory.tree) || !take_sha256((*members)[2], directory.meta))
      return fail(EPROTO, what + " holds a bad checksum");
    last = directory.name;
    tree.directories.push_back(directory);
  }
  return {};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

Result<DirTreeView> view_dirtree(std::string_view bytes, const std::string& what) {
  if (bytes.size() > kMostMetadataBytes)
    return fail(EPROTO, what + " is longer than " + std::to_string(kMostMetadataBytes) + " bytes");
  if (bytes.empty()) return fail(EPROTO, what + " is empty");
  const auto arrays = members_of<2>(bytes);
  if (!arrays) return damaged(what);
  DirTreeView tree;
  PANAL_TRY(add_files((*arrays)[0], tree, what));
  PANAL_TRY(add_directories((*arrays)[1], tree, what));
  return tree;
}

bool parse_sha256(std::string_view hex, Sha256& sum) {
  if (hex.size() != sum.size() * 2) return false;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const int high = hex_digit(hex[2 * i]);
    const int low = hex_digit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    sum[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return true;
}

}  // namespace panal::storage
