// The small texts of a backup: label, sum, names.
#include <algorithm>
#include <charconv>

#include "engine/base/log.h"
#include "storage/backup/backup.h"
#include "storage/home/home_store.h"

namespace panal::storage::backup {
namespace {

constexpr std::string_view kFormat = "panal-home 1";
constexpr std::size_t kSumDigits = 64;

/// The next line without its end. Errors: EPROTO.
Result<std::string_view> cut_line(std::string_view& text, std::string_view what) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos)
    return fail(EPROTO, "the backup's " + std::string(what) + " is cut");
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

/// "KEY VALUE". Errors: EPROTO.
Result<std::string_view> value_of(std::string_view& text, std::string_view key) {
  PANAL_ASSIGN(const std::string_view line, cut_line(text, key));
  if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ' ')
    return fail(EPROTO, "the backup does not say its " + std::string(key));
  return line.substr(key.size() + 1);
}

Result<std::uint64_t> number_of(std::string_view& text, std::string_view key) {
  PANAL_ASSIGN(const std::string_view value, value_of(text, key));
  std::uint64_t number = 0;
  const char* end = value.data() + value.size();
  const auto [at, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc{} || at != end)
    return fail(EPROTO, "the backup's " + std::string(key) + " is no number");
  return number;
}

}  // namespace

std::string print_label(const Label& label) {
  return std::string(kFormat) + "\ntenant " + label.tenant + "\nhome " + label.home + "\n";
}

Result<Label> parse_label(std::string_view text) {
  PANAL_ASSIGN(const std::string_view format, cut_line(text, "label"));
  if (format != kFormat)
    return fail(EPROTO, format.starts_with("panal-home ")
                            ? "the backup is of a newer Panal (\"" + printable(format, 40) + "\")"
                            : std::string("this is no backup of a home"));
  Label label;
  PANAL_ASSIGN(label.tenant, value_of(text, "tenant"));
  PANAL_ASSIGN(label.home, value_of(text, "home"));
  if (!text.empty() || !check_home_names(label.tenant, label.home))
    return fail(EPROTO, "the backup's label is damaged");
  return label;
}

std::string print_sum(const Sum& sum) {
  return "sha256 " + sum.sum + "\nentries " + std::to_string(sum.entries) + "\nbytes " +
         std::to_string(sum.bytes) + "\n";
}

Result<Sum> parse_sum(std::string_view text) {
  Sum sum;
  PANAL_ASSIGN(sum.sum, value_of(text, "sha256"));
  const bool hexadecimal = std::all_of(sum.sum.begin(), sum.sum.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (sum.sum.size() != kSumDigits || !hexadecimal)
    return fail(EPROTO, "the backup's sum is no SHA-256");
  PANAL_ASSIGN(sum.entries, number_of(text, "entries"));
  PANAL_ASSIGN(sum.bytes, number_of(text, "bytes"));
  if (!text.empty()) return fail(EPROTO, "the backup's sum is damaged");
  return sum;
}

Result<std::string> parse_entry_name(std::string_view name) {
  const std::string shown = "the backup holds an entry \"" + printable(name, 200) + "\"";
  while (name.ends_with('/')) name.remove_suffix(1);  // directories have one
  if (name == "home") return std::string();
  if (!name.starts_with("home/")) return fail(EPROTO, shown + ", which is not below home/");
  name.remove_prefix(5);
  for (std::string_view rest = name;;) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, end);
    if (part.empty() || part == "." || part == ".." || part.size() > 255)
      return fail(EPROTO, shown + ", whose name no file has");
    if (end == rest.size()) return std::string(name);
    rest.remove_prefix(end + 1);
  }
}

}  // namespace panal::storage::backup
