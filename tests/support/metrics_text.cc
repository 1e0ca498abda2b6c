#include "tests/support/metrics_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

namespace panal::test {
namespace {

bool is_name(std::string_view text) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !text.empty() && letter(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

bool read_value(std::string_view text, double& value) {
  if (text == "+Inf" || text == "-Inf" || text == "NaN") {
    value = text == "NaN" ? std::numeric_limits<double>::quiet_NaN()
                          : std::numeric_limits<double>::infinity();
    if (text == "-Inf") value = -value;
    return true;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && std::isfinite(value);
}

class Reader {
 public:
  MetricsText read(std::string_view text) {
    if (text.empty() || text.back() != '\n') return wrong("the last line has no end");
    while (!text.empty()) {
      ++line_;
      const std::size_t end = text.find('\n');
      const std::string problem = read_line(text.substr(0, end));
      if (!problem.empty()) return wrong(problem);
      text.remove_prefix(end + 1);
    }
    if (const std::string problem = close(); !problem.empty()) return wrong(problem);
    return std::move(out_);
  }

 private:
  MetricsText wrong(const std::string& what) {
    out_.error = "line " + std::to_string(line_) + ": " + what;
    return std::move(out_);
  }

  std::string read_line(std::string_view line) {
    if (line.starts_with("# HELP ")) return read_help(line.substr(7));
    if (line.starts_with("# TYPE ")) return read_type(line.substr(7));
    return read_sample(line);
  }

  std::string read_help(std::string_view rest) {
    if (std::string problem = close(); !problem.empty()) return problem;
    const std::size_t space = rest.find(' ');
    if (space == std::string_view::npos) return "no help";
    name_ = rest.substr(0, space);
    if (!is_name(name_)) return "no name of a family: " + name_;
    if (out_.families.count(name_) > 0) return name_ + " is there twice";
    family_ = &out_.families[name_];
    family_->help = rest.substr(space + 1);
    return family_->help.empty() ? "no help" : "";
  }

  std::string read_type(std::string_view rest) {
    if (family_ == nullptr || !family_->type.empty()) return "TYPE without HELP before it";
    if (!rest.starts_with(name_ + " ")) return "TYPE of another family";
    family_->type = rest.substr(name_.size() + 1);
    const std::string& type = family_->type;
    return type == "counter" || type == "gauge" || type == "histogram" ? "" : "no type: " + type;
  }

  std::string read_sample(std::string_view line) {
    if (family_ == nullptr || family_->type.empty()) return "a sample outside of a family";
    MetricSample sample;
    const std::size_t end = line.find_first_of("{ ");
    if (end == std::string_view::npos) return "no sample";
    sample.name = line.substr(0, end);
    line.remove_prefix(end);
    if (line.front() == '{')
      if (std::string problem = read_labels(line, sample); !problem.empty()) return problem;
    if (line.empty() || line.front() != ' ') return "no space before the value";
    if (!read_value(line.substr(1), sample.value)) return "no value: " + std::string(line);
    const bool histogram = family_->type == "histogram";
    const bool right = histogram
                           ? sample.name == name_ + "_bucket" || sample.name == name_ + "_sum" ||
                                 sample.name == name_ + "_count"
                           : sample.name == name_;
    if (!right) return sample.name + " does not belong to " + name_;
    if (family_->type != "gauge" && !(sample.value >= 0)) return "a counter below 0";
    if (!seen_.insert({sample.name, sample.labels}).second) return "the same sample twice";
    family_->samples.push_back(std::move(sample));
    return "";
  }

  static std::string read_labels(std::string_view& line, MetricSample& sample) {
    line.remove_prefix(1);
    while (!line.empty() && line.front() != '}') {
      const std::size_t equals = line.find("=\"");
      if (equals == std::string_view::npos) return "a label without a value";
      const std::string name(line.substr(0, equals));
      if (!is_name(name) || name.starts_with("__")) return "no name of a label: " + name;
      line.remove_prefix(equals + 2);
      std::string value;
      while (!line.empty() && line.front() != '"') {
        if (line.front() == '\\') {
          line.remove_prefix(1);
          if (line.empty()) break;
          if (line.front() != '\\' && line.front() != '"' && line.front() != 'n')
            return "an unknown escape";
          value += line.front() == 'n' ? '\n' : line.front();
        } else {
          value += line.front();
        }
        line.remove_prefix(1);
      }
      if (line.empty()) return "a label without an end";
      line.remove_prefix(1);
      if (!sample.labels.emplace(name, value).second) return "a label twice: " + name;
      if (!line.empty() && line.front() == ',')
        line.remove_prefix(1);
      else if (line.empty() || line.front() != '}')
        return "no comma between labels";
    }
    if (line.empty()) return "labels without an end";
    line.remove_prefix(1);
    return "";
  }

  /// What can only be said of a whole family. Histograms here have no other labels.
  std::string close() {
    const MetricFamily* family = std::exchange(family_, nullptr);
    seen_.clear();
    if (family == nullptr) return "";
    if (family->type.empty()) return name_ + " has no TYPE";
    if (family->type != "histogram") return "";
    double bound = -std::numeric_limits<double>::infinity(), count = 0;
    double total = -1;
    bool sum = false;
    for (const MetricSample& sample : family->samples) {
      if (sample.name == name_ + "_sum") sum = true;
      if (sample.name == name_ + "_count") total = sample.value;
      if (sample.name != name_ + "_bucket") continue;
      double le = 0;
      const auto found = sample.labels.find("le");
      if (found == sample.labels.end() || !read_value(found->second, le))
        return "bucket without le";
      if (!(le > bound) || sample.value < count) return name_ + ": buckets do not grow";
      bound = le;
      count = sample.value;
    }
    if (!std::isinf(bound) || !sum || total != count) return name_ + " is no whole histogram";
    return "";
  }

  MetricsText out_;
  std::size_t line_ = 0;
  std::string name_;
  MetricFamily* family_ = nullptr;
  std::set<std::pair<std::string, std::map<std::string, std::string>>> seen_;
};

}  // namespace

double MetricFamily::value(const std::map<std::string, std::string>& labels) const {
  for (const MetricSample& sample : samples)
    if (sample.labels == labels) return sample.value;
  return std::numeric_limits<double>::quiet_NaN();
}

double MetricsText::value(const std::string& family,
                          const std::map<std::string, std::string>& labels) const {
  const auto found = families.find(family);
  return found == families.end() ? std::numeric_limits<double>::quiet_NaN()
                                 : found->second.value(labels);
}

MetricsText read_metrics(std::string_view text) { return Reader().read(text); }

}  // namespace panal::test
