#pragma once

#include <ostream>
#include <string>

namespace panal::cli {

/// How far a long command is: one bar redrawn in place on a terminal; elsewhere one plain line for
/// each new step (first word of what is being done) and each further tenth, so that a log stays
/// readable.
class Progress {
 public:
  /// `columns`: the terminal's width; only used when `terminal`.
  Progress(std::ostream& out, bool terminal, std::size_t columns = 80);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Leaves the cursor on a fresh line.
  ~Progress();

  /// `fraction` 0..1 (others are clamped, NaN is 0) and what is being done; may go back.
  void update(double fraction, const std::string& what);
  /// A line of its own, above the bar.
  void say(const std::string& line);
  /// Removes the bar.
  void clear();

 private:
  std::ostream& out_;
  bool terminal_;
  std::size_t columns_;
  std::string drawn_;
  std::string last_kind_;
  int last_tenth_ = -1;
};

}  // namespace panal::cli
