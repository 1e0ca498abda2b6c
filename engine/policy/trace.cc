#include "engine/policy/trace.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <utility>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

constexpr std::string_view kFirstLine = "panal-trace 1";
constexpr std::size_t kMostColumns = 256;
constexpr std::size_t kMostRows = 100'000;

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> pieces;
  std::size_t at = 0;
  while ((at = line.find_first_not_of(" \t", at)) != std::string_view::npos) {
    const std::size_t end = std::min(line.find_first_of(" \t", at), line.size());
    pieces.push_back(line.substr(at, end - at));
    at = end;
  }
  return pieces;
}

Failure wrong(std::size_t line, std::string_view what) {
  return fail(EPROTO, "trace line " + std::to_string(line) + ": " + std::string(what));
}

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

Result<std::vector<std::string>> parse_columns(std::string_view text, std::size_t line) {
  std::vector<std::string> columns;
  for (const std::string_view word : words(text)) {
    if (!is_name(word)) return wrong(line, "a column's name is of a-z, 0-9 and _");
    if (std::find(columns.begin(), columns.end(), word) != columns.end())
      return wrong(line, "column " + std::string(word) + " stands there twice");
    columns.emplace_back(word);
    if (columns.size() > kMostColumns) return wrong(line, "more than 256 columns");
  }
  if (columns.front() != "time_ms") return wrong(line, "the first column is time_ms");
  return columns;
}

Result<std::vector<std::optional<std::int64_t>>> parse_row(std::string_view text, std::size_t line,
                                                           std::size_t columns) {
  std::vector<std::optional<std::int64_t>> row;
  for (const std::string_view word : words(text)) {
    if (row.size() == columns) return wrong(line, "more values than columns");
    if (word == "-") {
      row.emplace_back();
      continue;
    }
    std::int64_t value = 0;
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, value);
    if (error != std::errc{} || stop != end)
      return wrong(line, "value " + std::to_string(row.size() + 1) + " is no whole number");
    row.emplace_back(value);
  }
  if (row.size() < columns) return wrong(line, "fewer values than columns");
  return row;
}

using Value = std::optional<std::int64_t>;

/// A column of the host's and where it stands in a snapshot.
struct Place {
  std::string_view name;
  std::function<void(Snapshot&, std::int64_t)> set;
  std::function<Value(const Snapshot&)> get;
};

/// Of what may be absent `part` makes it present; so a snapshot in which it made something had
/// none.
template <typename Part>
Place counter(std::string_view name, Part part) {
  return {name,
          [part](Snapshot& snapshot, std::int64_t value) {
            part(snapshot) = static_cast<std::uint64_t>(std::max<std::int64_t>(0, value));
          },
          [part](const Snapshot& snapshot) -> Value {
            Snapshot probe = snapshot;
            const std::uint64_t value = part(probe);
            if (!(probe == snapshot)) return std::nullopt;
            return static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX));
          }};
}

template <typename Value>
Value& made(std::optional<Value>& place) {
  return place ? *place : place.emplace();
}

#define PANAL_COLUMN(name, place) counter(name, [](Snapshot& s) -> std::uint64_t& { return place; })

const std::vector<Place>& places() {
  static const std::vector<Place> known = {
      PANAL_COLUMN("memory_total_bytes", s.memory.total),
      PANAL_COLUMN("memory_free_bytes", s.memory.free),
      PANAL_COLUMN("memory_available_bytes", s.memory.available),
      PANAL_COLUMN("memory_anon_bytes", s.memory.anon),
      PANAL_COLUMN("memory_cached_bytes", s.memory.cached),
      PANAL_COLUMN("memory_dirty_bytes", s.memory.dirty),
      PANAL_COLUMN("memory_swap_total_bytes", s.memory.swap_total),
      PANAL_COLUMN("memory_swap_free_bytes", s.memory.swap_free),
      PANAL_COLUMN("vm_refault_anon", s.vm.refault_anon),
      PANAL_COLUMN("vm_refault_file", s.vm.refault_file),
      PANAL_COLUMN("vm_swap_in", s.vm.swap_in),
      PANAL_COLUMN("vm_swap_out", s.vm.swap_out),
      PANAL_COLUMN("vm_cow_ksm", s.vm.cow_ksm),
      PANAL_COLUMN("vm_scan", s.vm.scan),
      PANAL_COLUMN("vm_steal", s.vm.steal),
      PANAL_COLUMN("vm_major_faults", s.vm.major_faults),
      PANAL_COLUMN("psi_cpu_some_us", made(s.pressure.cpu).some.total_us),
      PANAL_COLUMN("psi_memory_some_us", made(s.pressure.memory).some.total_us),
      PANAL_COLUMN("psi_memory_full_us", made(made(s.pressure.memory).full).total_us),
      PANAL_COLUMN("psi_io_some_us", made(s.pressure.io).some.total_us),
      PANAL_COLUMN("psi_io_full_us", made(made(s.pressure.io).full).total_us),
      PANAL_COLUMN("ksm_pages_shared", made(s.ksm).pages_shared),
      PANAL_COLUMN("ksm_pages_sharing", made(s.ksm).pages_sharing),
      PANAL_COLUMN("ksm_pages_unshared", made(s.ksm).pages_unshared),
      PANAL_COLUMN("ksm_pages_volatile", made(s.ksm).pages_volatile),
      PANAL_COLUMN("ksm_pages_scanned", made(s.ksm).pages_scanned_total),
      PANAL_COLUMN("ksm_pages_skipped", made(s.ksm).pages_skipped_total),
      PANAL_COLUMN("ksm_full_scans", made(s.ksm).full_scans_total),
      PANAL_COLUMN("ksm_zero_pages", made(s.ksm).zero_pages),
      PANAL_COLUMN("ksm_ksmd_cpu_ns", made(made(s.ksm).ksmd_cpu_ns)),
      {"ksm_general_profit_bytes",
       [](Snapshot& s, std::int64_t value) { made(s.ksm).general_profit_bytes = value; },
       [](const Snapshot& s) { return s.ksm ? Value(s.ksm->general_profit_bytes) : Value(); }},
      PANAL_COLUMN("zram_original_bytes", s.zram.original),
      PANAL_COLUMN("zram_used_bytes", s.zram.used),
      {"cpu_cores",
       [](Snapshot& s, std::int64_t value) {
         s.cpu.cores = static_cast<std::uint32_t>(std::clamp<std::int64_t>(value, 0, 1 << 20));
       },
       [](const Snapshot& s) { return Value(s.cpu.cores); }},
  };
  return known;
}

#undef PANAL_COLUMN

}  // namespace

Result<Trace> parse_trace(std::string_view text) {
  Trace trace;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (number == 1) {
      if (line != kFirstLine)
        return wrong(1, "this is no trace, or one of another version: the first line is not \"" +
                            std::string(kFirstLine) + "\"");
      continue;
    }
    if (line.starts_with('#') || words(line).empty()) continue;
    if (trace.columns.empty()) {
      PANAL_ASSIGN(trace.columns, parse_columns(line, number));
      continue;
    }
    if (trace.rows.size() == kMostRows) return wrong(number, "more than 100,000 rows");
    PANAL_ASSIGN(auto row, parse_row(line, number, trace.columns.size()));
    if (!row.front() || *row.front() < 0 || *row.front() > INT64_MAX / kMillisecond)
      return wrong(number, "time_ms is no time");
    if (!trace.rows.empty() && *row.front() <= *trace.rows.back().front())
      return wrong(number, "time_ms does not rise");
    trace.rows.push_back(std::move(row));
  }
  if (trace.columns.empty()) return wrong(number, "there are no columns");
  return trace;
}

std::string print_trace(const Trace& trace, std::string_view comment) {
  std::string text(kFirstLine);
  text += '\n';
  while (!comment.empty()) {
    const std::size_t end = std::min(comment.find('\n'), comment.size());
    text += "# " + std::string(comment.substr(0, end)) + "\n";
    comment.remove_prefix(std::min(end + 1, comment.size()));
  }
  for (std::size_t i = 0; i < trace.columns.size(); ++i)
    text += (i == 0 ? "" : " ") + trace.columns[i];
  text += '\n';
  for (const auto& row : trace.rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      text += (i == 0 ? "" : " ") + (row[i] ? std::to_string(*row[i]) : "-");
    text += '\n';
  }
  return text;
}

std::vector<std::string> host_columns() {
  std::vector<std::string> columns = {"time_ms"};
  for (const Place& place : places()) columns.emplace_back(place.name);
  return columns;
}

std::vector<Value> host_row(const Snapshot& snapshot) {
  Snapshot host = snapshot;
  host.groups.clear();
  std::vector<Value> row = {host.at_ns / kMillisecond};
  for (const Place& place : places()) row.push_back(place.get(host));
  return row;
}

std::vector<Snapshot> snapshots_of(const Trace& trace) {
  std::vector<const Place*> of_columns;
  for (const std::string& column : trace.columns) {
    const auto found = std::find_if(places().begin(), places().end(),
                                    [&](const Place& place) { return place.name == column; });
    of_columns.push_back(found == places().end() ? nullptr : &*found);
  }
  std::vector<Snapshot> snapshots;
  snapshots.reserve(trace.rows.size());
  for (const auto& row : trace.rows) {
    Snapshot& snapshot = snapshots.emplace_back();
    snapshot.at_ns = row.front().value_or(0) * kMillisecond;
    for (std::size_t i = 1; i < row.size(); ++i)
      if (of_columns[i] != nullptr && row[i]) of_columns[i]->set(snapshot, *row[i]);
  }
  return snapshots;
}

}  // namespace panal::policy
