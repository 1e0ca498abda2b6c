#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace panal::cli {

/// Text in columns under a heading. Cells may hold anything: control characters are escaped.
class Table {
 public:
  /// A heading that begins with '>' makes its column right-aligned.
  explicit Table(std::vector<std::string> headings);
  /// Missing cells are empty, surplus ones are dropped.
  void add_row(std::vector<std::string> cells);
  void print(std::ostream& out) const;
  [[nodiscard]] std::size_t rows() const { return rows_.size(); }

 private:
  std::vector<std::string> headings_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

/// "14.2 MiB"; powers of 1024, at most four digits.
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);
/// "3 d 4 h", "5 min", "12 s".
[[nodiscard]] std::string human_duration(std::uint64_t milliseconds);
/// Characters of UTF-8 text, for alignment (combining and wide ones count as one).
[[nodiscard]] std::size_t display_width(std::string_view text);

}  // namespace panal::cli
