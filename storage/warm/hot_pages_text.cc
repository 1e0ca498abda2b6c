// The record's text, and back.
#include <algorithm>
#include <charconv>

#include "storage/warm/hot_pages.h"

namespace panal::storage {
namespace {

constexpr std::string_view kFirstLine = "panal-hot-pages 1";
constexpr std::size_t kMostFiles = 200'000;
constexpr std::size_t kLongestPath = 4096;
/// 16 TiB: that many bytes in each of kMostFiles can still be added up.
constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 44;

bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != 0x7f && c != '%';
}

void append_escaped(std::string& out, std::string_view path) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (const char c : path) {
    if (is_plain(c)) {
      out.push_back(c);
      continue;
    }
    const unsigned byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kDigits[byte >> 4U]);
    out.push_back(kDigits[byte & 15U]);
  }
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// False: no text that append_escaped() writes.
bool unescape(std::string_view word, std::string& out) {
  for (std::size_t at = 0; at < word.size(); ++at) {
    if (word[at] != '%') {
      if (!is_plain(word[at])) return false;
      out.push_back(word[at]);
      continue;
    }
    if (word.size() - at < 3) return false;
    const int high = hex_value(word[at + 1]);
    const int low = hex_value(word[at + 2]);
    if (high < 0 || low < 0) return false;
    const char c = static_cast<char>(high * 16 + low);
    // Each path has one spelling, so that the order of lines is the order of paths.
    if (is_plain(c) || c == '\0') return false;
    out.push_back(c);
    at += 2;
  }
  return true;
}

/// "/usr/bin/x": no empty, "." or ".." part.
bool stays_in_tree(std::string_view path) {
  if (path.size() < 2 || path.size() > kLongestPath || path.front() != '/') return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto part = path.substr(0, path.find('/'));
    if (part.empty() || part == "." || part == "..") return false;
    path.remove_prefix(part.size());
  }
  return true;
}

template <typename Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() &&
         // One spelling: no leading zero, no minus before 0.
         (text.size() == 1 || (text.front() != '0' && !text.starts_with("-0")));
}

/// Takes the first word off; words are parted by one space.
std::string_view next_word(std::string_view& line) {
  const auto end = std::min(line.find(' '), line.size());
  const auto word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

class HotPagesReader {
 public:
  HotPagesReader(std::string_view text, const std::string& file) : rest_(text), file_(file) {}

  Result<HotPages> read() {
    std::string_view line;
    if (!next(line) || line != kFirstLine) return wrong("no record of hot pages");
    if (!header("page_bytes", pages_.page_bytes) || pages_.page_bytes < 4096 ||
        pages_.page_bytes > 65536 || (pages_.page_bytes & (pages_.page_bytes - 1)) != 0)
      return wrong("page_bytes is to be 4096 to 65536, a power of two");
    if (!header("generation", pages_.generation)) return wrong("generation is to be a number");
    if (!header("recorded", pages_.recorded_unix_s) || pages_.recorded_unix_s < 0)
      return wrong("recorded is to be seconds since 1970");
    while (!rest_.empty()) {
      if (!next(line)) return wrong("the last line has no end");
      if (pages_.files.size() == kMostFiles) return wrong("more than 200000 files");
      PANAL_TRY(read_file(line));
    }
    return std::move(pages_);
  }

 private:
  /// False: no whole line is left.
  bool next(std::string_view& line) {
    ++number_;
    const auto end = rest_.find('\n');
    if (end == std::string_view::npos) return false;
    line = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return true;
  }

  template <typename Number>
  bool header(std::string_view key, Number& out) {
    std::string_view line;
    return next(line) && next_word(line) == key && read_number(line, out);
  }

  Result<void> read_file(std::string_view line) {
    HotFile file;
    if (!unescape(next_word(line), file.path) || !stays_in_tree(file.path))
      return wrong("no path of a file in the tree");
    if (!pages_.files.empty() && pages_.files.back().path >= file.path)
      return wrong("files are to be in order, each once");
    if (!read_number(next_word(line), file.size_bytes) || file.size_bytes > kLargestFile)
      return wrong("no size of a file");
    if (line.empty()) return wrong("no pages of the file");
    const std::uint64_t pages = pages_of(file.size_bytes, pages_.page_bytes);
    while (!line.empty()) {
      const auto word = next_word(line);
      const auto plus = std::min(word.find('+'), word.size());
      PageRange range;
      if (plus == word.size() || !read_number(word.substr(0, plus), range.first) ||
          !read_number(word.substr(plus + 1), range.count) || range.count == 0)
        return wrong("pages are to be FIRST+COUNT");
      if (range.first >= pages || range.count > pages - range.first)
        return wrong("pages past the end of the file");
      if (!file.ranges.empty() && range.first <= file.ranges.back().end())
        return wrong("pages are to be in order, neighbours in one range");
      file.ranges.push_back(range);
    }
    pages_.files.push_back(std::move(file));
    return {};
  }

  [[nodiscard]] Failure wrong(const std::string& what) const {
    return fail(EPROTO, file_ + ":" + std::to_string(number_) + ": " + what);
  }

  std::string_view rest_;
  const std::string& file_;
  std::size_t number_ = 0;
  HotPages pages_;
};

}  // namespace

std::string print_hot_pages(const HotPages& pages) {
  std::string out(kFirstLine);
  out += "\npage_bytes " + std::to_string(pages.page_bytes);
  out += "\ngeneration " + std::to_string(pages.generation);
  out += "\nrecorded " + std::to_string(pages.recorded_unix_s) + "\n";
  for (const HotFile& file : pages.files) {
    append_escaped(out, file.path);
    out += " " + std::to_string(file.size_bytes);
    for (const PageRange& range : file.ranges)
      out += " " + std::to_string(range.first) + "+" + std::to_string(range.count);
    out += "\n";
  }
  return out;
}

Result<HotPages> parse_hot_pages(std::string_view text, const std::string& file) {
  return HotPagesReader(text, file).read();
}

}  // namespace panal::storage
