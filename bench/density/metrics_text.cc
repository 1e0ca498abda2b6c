#include "bench/density/metrics_text.h"

#include <algorithm>
#include <charconv>

namespace panal::bench {

double metric(std::string_view text, std::string_view name, std::string_view label) {
  double sum = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.starts_with(name) || line.size() == name.size()) continue;
    const char next = line[name.size()];
    if ((next != '{' && next != ' ') || line.find(label) == std::string_view::npos) continue;
    const std::string_view value = line.substr(line.rfind(' ') + 1);
    double number = 0;
    std::from_chars(value.data(), value.data() + value.size(), number);
    sum += number;
  }
  return sum;
}

}  // namespace panal::bench
