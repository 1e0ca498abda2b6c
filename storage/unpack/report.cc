#include "storage/unpack/report.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"

namespace panal::storage::unpack {
namespace {

constexpr std::size_t kLongestWords = 2000;

/// Takes "KEY NUMBER " off the front of `line`; false where it is not there.
template <typename Number>
bool take_number(std::string_view& line, std::string_view key, Number& number) {
  if (line.substr(0, key.size()) != key) return false;
  const auto rest = line.substr(key.size());
  const auto [end, problem] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (problem != std::errc() || end == rest.data() + rest.size() || *end != ' ') return false;
  line = rest.substr(static_cast<std::size_t>(end - rest.data()) + 1);
  return true;
}

Result<Summary> parse_summary(std::string_view text) {
  const Failure strange = fail(EPROTO, "panal-unpack: its summary cannot be read");
  const auto document = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (!document.is_object()) return strange;
  Summary out;
  const auto number = [&document](const char* key, std::uint64_t& value) {
    const auto found = document.find(key);
    if (found == document.end() || !found->is_number_unsigned()) return false;
    value = found->get<std::uint64_t>();
    return true;
  };
  const auto word = [&document](const char* key, std::string& value) {
    const auto found = document.find(key);
    if (found == document.end() || !found->is_string()) return false;
    value = found->get<std::string>();
    return value.find('\0') == std::string::npos;
  };
  const auto oci = document.find("oci");
  const auto session = document.find("session");
  if (oci == document.end() || !oci->is_boolean() || session == document.end() ||
      !session->is_array() || !word("digest", out.digest) || !word("inner_root", out.inner_root) ||
      !number("entries", out.entries) || !number("left_out", out.left_out))
    return strange;
  out.oci = oci->get<bool>();
  for (const auto& one : *session) {
    if (!one.is_string()) return strange;
    out.session.push_back(one.get<std::string>());
    if (out.session.back().find('\0') != std::string::npos) return strange;
  }
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (out.digest.size() != 64 || !std::all_of(out.digest.begin(), out.digest.end(), is_hex) ||
      (!out.inner_root.empty() && out.inner_root != "rootfs"))
    return strange;
  return out;
}

}  // namespace

std::string print_report(const ReportLine& line) {
  switch (line.kind) {
    case ReportLine::Kind::kProgress:
      return "progress " + std::to_string(line.permille) + " " +
             printable(line.words, kLongestWords) + "\n";
    case ReportLine::Kind::kError:
      return "error " + std::to_string(line.code) + " " + printable(line.words, kLongestWords) +
             "\n";
    case ReportLine::Kind::kDone: break;
  }
  const nlohmann::json document = {
      {"oci", line.summary.oci},         {"digest", line.summary.digest},
      {"session", line.summary.session}, {"inner_root", line.summary.inner_root},
      {"entries", line.summary.entries}, {"left_out", line.summary.left_out},
  };
  return "done " + document.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<ReportLine> parse_report(std::string_view line) {
  ReportLine out;
  if (take_number(line, "progress ", out.permille)) {
    out.permille = std::min(out.permille, 1000U);
    out.words = printable(line, kLongestWords);
    return out;
  }
  if (take_number(line, "error ", out.code)) {
    out.kind = ReportLine::Kind::kError;
    if (out.code <= 0 || out.code > 4095) out.code = EPROTO;
    out.words = printable(line, kLongestWords);
    return out;
  }
  if (constexpr std::string_view kDone = "done "; line.substr(0, kDone.size()) == kDone) {
    out.kind = ReportLine::Kind::kDone;
    PANAL_ASSIGN(out.summary, parse_summary(line.substr(kDone.size())));
    return out;
  }
  return fail(EPROTO, "panal-unpack: " + printable(line, 300));
}

}  // namespace panal::storage::unpack
