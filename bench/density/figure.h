#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace panal::bench {

/// One number of design section 7: what it is, and what it must not exceed or fall below.
struct Figure {
  std::string name;
  std::string unit;
  std::optional<double> at_most;  ///< absent: it is only reported
  std::string meaning;
  std::vector<std::string> code;  ///< what of the source tree it measures
  bool in_lab = true;             ///< false: it makes labs of its own
  bool machine_settings = false;  ///< its lab may change KSM, zram and sysctls
  std::optional<double> at_least = std::nullopt;

  [[nodiscard]] bool has_target() const { return at_most || at_least; }
};

/// All figures this program can measure, in the order of the design.
[[nodiscard]] const std::vector<Figure>& figures();
/// Null for a name that is none.
[[nodiscard]] const Figure* find_figure(std::string_view name);

/// What any of them measures, each path once.
[[nodiscard]] std::vector<std::string> all_code();

/// Whether the value reaches the target; a figure without one always does.
[[nodiscard]] bool passes(const Figure& figure, double value);
/// A number as figures print it: at most four significant digits after the leading ones.
[[nodiscard]] std::string number_text(double value);
/// "<=150", ">=0.9", or "report".
[[nodiscard]] std::string target_text(const Figure& figure);
/// "NAME VALUE UNIT TARGET pass|fail".
[[nodiscard]] std::string verdict_line(const Figure& figure, double value);

}  // namespace panal::bench
