#include "engine/kernel/psi.h"

#include <string>
#include <utility>

#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

bool parse_percent(std::string_view text, double& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  return error == std::errc{} && stop == end && value >= 0 && value <= 1000;
}

Result<PressureLine> parse_line(const std::vector<std::string_view>& words) {
  PressureLine line;
  unsigned seen = 0;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    if (equals == std::string_view::npos) return fail(EPROTO, "pressure: a word without '='");
    const std::string_view key = words[i].substr(0, equals);
    const std::string_view value = words[i].substr(equals + 1);
    bool fine = true;
    if (key == "avg10") {
      fine = parse_percent(value, line.avg10_percent);
      seen |= 1U;
    } else if (key == "avg60") {
      fine = parse_percent(value, line.avg60_percent);
      seen |= 2U;
    } else if (key == "avg300") {
      fine = parse_percent(value, line.avg300_percent);
      seen |= 4U;
    } else if (key == "total") {
      const auto number = parse_number(value);
      fine = number.has_value();
      line.total_us = number.value_or(0);
      seen |= 8U;
    }
    if (!fine) return fail(EPROTO, "pressure: bad value of " + std::string(key));
  }
  if (seen != 15U)
    return fail(EPROTO, "pressure: a key is missing in line " + std::string(words[0]));
  return line;
}

constexpr std::pair<PressureResource, std::optional<Pressure> PressureSet::*> kResources[] = {
    {PressureResource::kCpu, &PressureSet::cpu},
    {PressureResource::kMemory, &PressureSet::memory},
    {PressureResource::kIo, &PressureSet::io},
};

Result<void> keep_unless_absent(Result<Pressure> read, std::optional<Pressure>& into) {
  if (read) {
    into = *read;
  } else if (read.error().code != ENOENT && !read.error().is_unsupported()) {
    return tl::make_unexpected(std::move(read.error()));
  }
  return {};
}

}  // namespace

std::string_view to_string(PressureResource resource) {
  switch (resource) {
    case PressureResource::kCpu: return "cpu";
    case PressureResource::kMemory: return "memory";
    case PressureResource::kIo: return "io";
  }
  return {};
}

Result<Pressure> parse_psi(std::string_view text) {
  Pressure pressure;
  bool some = false;
  for (const std::string_view raw : lines_of(text)) {
    const auto words = words_of(raw);
    if (words.empty()) continue;
    if (words[0] == "some") {
      PANAL_ASSIGN(pressure.some, parse_line(words));
      some = true;
    } else if (words[0] == "full") {
      PANAL_ASSIGN(pressure.full, parse_line(words));
    }
  }
  if (!some) return fail(EPROTO, "pressure: no line \"some\"");
  return pressure;
}

Result<Pressure> read_host_pressure(const Tree& tree, PressureResource resource) {
  PANAL_ASSIGN(const std::string text,
               tree.proc.read("pressure/" + std::string(to_string(resource))));
  return parse_psi(text);
}

Result<Pressure> read_group_pressure(const Dir& group, PressureResource resource) {
  PANAL_ASSIGN(const std::string text, group.read(std::string(to_string(resource)) + ".pressure"));
  return parse_psi(text);
}

Result<PressureSet> read_host_pressures(const Tree& tree) {
  PressureSet all;
  for (const auto& [resource, member] : kResources) {
    auto one = read_host_pressure(tree, resource);
    PANAL_TRY(keep_unless_absent(std::move(one), all.*member));
  }
  return all;
}

Result<PressureSet> read_group_pressures(const Dir& group) {
  PressureSet all;
  for (const auto& [resource, member] : kResources) {
    auto one = read_group_pressure(group, resource);
    PANAL_TRY(keep_unless_absent(std::move(one), all.*member));
  }
  return all;
}

}  // namespace panal::kernel
