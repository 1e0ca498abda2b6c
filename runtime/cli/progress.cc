#include "runtime/cli/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/log.h"
#include "runtime/cli/table.h"

namespace panal::cli {
namespace {

constexpr std::size_t kBarCells = 24;

/// The first `columns` characters of UTF-8 text.
std::string cut(const std::string& text, std::size_t columns) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0U) == 0x80) continue;
    if (seen++ == columns) return text.substr(0, i);
  }
  return text;
}

}  // namespace

Progress::Progress(std::ostream& out, bool terminal, std::size_t columns)
    : out_(out), terminal_(terminal), columns_(std::max<std::size_t>(columns, 20)) {}

Progress::~Progress() { clear(); }

void Progress::update(double fraction, const std::string& what) {
  // Written so that NaN falls to 0.
  const double part = fraction > 0 ? std::min(fraction, 1.0) : 0.0;
  const int percent = static_cast<int>(part * 100);
  const std::string clean = printable(what, 300);
  if (!terminal_) {
    // "unpacking X" for each of 300 packages is one step.
    const std::string kind = clean.substr(0, clean.find(' '));
    if (kind == last_kind_ && percent / 10 == last_tenth_) return;
    last_kind_ = kind;
    last_tenth_ = percent / 10;
    out_ << fmt::format("{:3} %  {}\n", percent, clean) << std::flush;
    return;
  }
  const auto full = static_cast<std::size_t>(part * static_cast<double>(kBarCells));
  const std::string line = cut(fmt::format("[{}{}] {:3} %  {}", std::string(full, '#'),
                                           std::string(kBarCells - full, '.'), percent, clean),
                               columns_ - 1);
  if (line == drawn_) return;
  out_ << "\r" << line << "\x1b[K" << std::flush;
  drawn_ = line;
}

void Progress::say(const std::string& line) {
  const std::string bar = drawn_;
  clear();
  out_ << printable(line, 1000) << "\n";
  if (!bar.empty()) out_ << bar;
  drawn_ = bar;
  out_ << std::flush;
}

void Progress::clear() {
  if (drawn_.empty()) return;
  out_ << "\r\x1b[K" << std::flush;
  drawn_.clear();
}

}  // namespace panal::cli
