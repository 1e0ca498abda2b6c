#include "storage/compose/lvm/volumes.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "storage/compose/program/run_program.h"

namespace panal::storage {
namespace {

constexpr std::chrono::seconds kListPatience{60};
constexpr std::size_t kMostLines = 100'000;

std::string_view without_blanks(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::vector<std::string> split_tags(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace

Result<std::vector<Volume>> parse_volumes(std::string_view text) {
  std::vector<Volume> out;
  std::size_t lines = 0;
  while (!text.empty()) {
    if (++lines > kMostLines) return fail(EPROTO, "lvs says more than anybody has volumes");
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = without_blanks(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto colon = std::min(line.find(':'), line.size());
    const std::string_view name = without_blanks(line.substr(0, colon));
    if (name.empty()) continue;
    Volume volume;
    volume.name = name;
    if (colon < line.size()) volume.tags = split_tags(without_blanks(line.substr(colon + 1)));
    out.push_back(std::move(volume));
  }
  return out;
}

Result<std::vector<Volume>> list_volumes(const std::string& group) {
  PANAL_ASSIGN(const std::string text, run_program({"lvs", "--noheadings", "--separator", ":",
                                                    "--options", "lv_name,lv_tags", group},
                                                   kListPatience));
  return parse_volumes(text);
}

Result<bool> remove_volume(const std::string& group, const std::string& name) {
  // A desktop's last mount goes when its last process does, a moment after it was unmounted.
  constexpr int kTries = 20;
  for (int attempt = 1;; ++attempt) {
    PANAL_ASSIGN(const auto volumes, list_volumes(group));
    if (std::none_of(volumes.begin(), volumes.end(),
                     [&name](const Volume& one) { return one.name == name; }))
      return attempt > 1;
    auto removed = run_program({"lvremove", "--yes", "--quiet", group + "/" + name}, kListPatience);
    if (removed) return true;
    if (attempt == kTries) return tl::make_unexpected(removed.error());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace panal::storage
