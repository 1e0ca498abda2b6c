#include "engine/kernel/ksm.h"

#include <algorithm>
#include <optional>
#include <string>

#include "engine/kernel/small_text.h"
#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

constexpr std::int64_t kPageBytes = 4096;
constexpr std::int64_t kRmapItemBytes = 64;

std::string knob_path(const char* name) { return std::string("kernel/mm/ksm/") + name; }

std::optional<std::int64_t> parse_signed(std::string_view text) {
  const bool negative = !text.empty() && text[0] == '-';
  const auto value = parse_number(text.substr(negative ? 1 : 0));
  if (!value || *value > INT64_MAX) return std::nullopt;
  return negative ? -static_cast<std::int64_t>(*value) : static_cast<std::int64_t>(*value);
}

/// Nothing where this kernel lacks the knob.
Result<std::optional<std::int64_t>> read_knob(const Tree& tree, const char* name) {
  auto text = tree.sys.read(knob_path(name));
  if (!text && text.error().code == ENOENT) return std::nullopt;
  if (!text) return tl::make_unexpected(std::move(text.error()));
  const auto words = words_of(*text);
  const auto value = words.size() == 1 ? parse_signed(words[0]) : std::nullopt;
  if (!value) return fail(EPROTO, std::string("ksm/") + name + ": not one number");
  return value;
}

Result<void> read_count(const Tree& tree, const char* name, std::uint64_t& into) {
  PANAL_ASSIGN(const auto value, read_knob(tree, name));
  if (value && *value < 0) return fail(EPROTO, std::string("ksm/") + name + ": negative");
  into = static_cast<std::uint64_t>(value.value_or(0));
  return {};
}

Result<void> write_knob(const Tree& tree, const char* name, const std::string& value) {
  if (!tree.sys.exists(knob_path(name)))
    return fail(ENOTSUP, std::string("ksm/") + name + " = " + value + ": this kernel has none");
  return tree.sys.write(knob_path(name), value);
}

const char* advisor_word(KsmAdvisor advisor) {
  return advisor == KsmAdvisor::kNone ? "none" : "scan-time";
}

Result<KsmAdvisor> read_advisor(const Tree& tree) {
  auto text = tree.sys.read(knob_path("advisor_mode"));
  if (!text && text.error().code == ENOENT) return KsmAdvisor::kNone;
  if (!text) return tl::make_unexpected(std::move(text.error()));
  const auto chosen = chosen_of(*text);
  if (chosen == "none") return KsmAdvisor::kNone;
  if (chosen == "scan-time") return KsmAdvisor::kScanTime;
  return fail(EPROTO, "ksm/advisor_mode: no known mode is chosen");
}

}  // namespace

Result<KsmCounters> read_ksm_counters(const Tree& tree) {
  if (!tree.sys.exists(knob_path("run"))) return fail(ENOENT, "read KSM counters: no KSM here");
  KsmCounters c;
  const std::pair<const char*, std::uint64_t*> counts[] = {
      {"pages_shared", &c.pages_shared},         {"pages_sharing", &c.pages_sharing},
      {"pages_unshared", &c.pages_unshared},     {"pages_volatile", &c.pages_volatile},
      {"pages_skipped", &c.pages_skipped_total}, {"pages_scanned", &c.pages_scanned_total},
      {"full_scans", &c.full_scans_total},       {"ksm_zero_pages", &c.zero_pages}};
  for (const auto& [name, member] : counts) PANAL_TRY(read_count(tree, name, *member));
  PANAL_ASSIGN(const auto profit, read_knob(tree, "general_profit"));
  if (profit) {
    c.general_profit_bytes = *profit;
  } else {
    const std::uint64_t items =
        c.pages_shared + c.pages_sharing + c.pages_unshared + c.pages_volatile;
    c.general_profit_bytes = static_cast<std::int64_t>(c.pages_sharing) * kPageBytes -
                             static_cast<std::int64_t>(items) * kRmapItemBytes;
  }
  return c;
}

Result<KsmSettings> read_ksm_settings(const Tree& tree) {
  KsmSettings s;
  const auto number = [&](const char* name, std::uint32_t& into) -> Result<void> {
    PANAL_ASSIGN(const auto value, read_knob(tree, name));
    if (value && (*value < 0 || *value > UINT32_MAX))
      return fail(EPROTO, std::string("ksm/") + name + ": out of range");
    if (value) into = static_cast<std::uint32_t>(*value);
    return {};
  };
  const auto flag = [&](const char* name, bool& into) -> Result<void> {
    PANAL_ASSIGN(const auto value, read_knob(tree, name));
    into = value.value_or(0) != 0;
    return {};
  };
  PANAL_ASSIGN(const auto run, read_knob(tree, "run"));
  if (!run) return fail(ENOENT, "read KSM settings: no KSM here");
  if (*run < 0 || *run > 2) return fail(EPROTO, "ksm/run: not 0, 1 or 2");
  s.run = static_cast<KsmRun>(*run);
  PANAL_TRY(number("pages_to_scan", s.pages_to_scan));
  PANAL_TRY(number("sleep_millisecs", s.sleep_ms));
  PANAL_TRY(number("max_page_sharing", s.max_page_sharing));
  PANAL_TRY(flag("use_zero_pages", s.use_zero_pages));
  PANAL_TRY(flag("smart_scan", s.smart_scan));
  PANAL_ASSIGN(s.advisor, read_advisor(tree));
  return s;
}

Result<void> write_ksm_settings(const Tree& tree, const KsmSettings& wanted) {
  PANAL_ASSIGN(const KsmSettings now, read_ksm_settings(tree));
  const auto set = [&tree](const char* name, auto before, auto after) -> Result<void> {
    if (before == after) return {};
    return write_knob(tree, name, std::to_string(static_cast<std::uint32_t>(after)));
  };
  const auto set_advisor = [&]() -> Result<void> {
    if (now.advisor == wanted.advisor) return {};
    return write_knob(tree, "advisor_mode", advisor_word(wanted.advisor));
  };
  const bool starts = wanted.run == KsmRun::kRunning;
  if (!starts) PANAL_TRY(set("run", now.run, wanted.run));
  PANAL_TRY(set("max_page_sharing", now.max_page_sharing, wanted.max_page_sharing));
  PANAL_TRY(set("sleep_millisecs", now.sleep_ms, wanted.sleep_ms));
  PANAL_TRY(set("use_zero_pages", now.use_zero_pages, wanted.use_zero_pages));
  PANAL_TRY(set("smart_scan", now.smart_scan, wanted.smart_scan));
  // While an advisor is chosen the kernel refuses pages_to_scan; it may also have moved it.
  if (wanted.advisor == KsmAdvisor::kNone) {
    PANAL_TRY(set_advisor());
    PANAL_TRY(set("pages_to_scan", now.pages_to_scan, wanted.pages_to_scan));
  } else {
    if (now.advisor == KsmAdvisor::kNone)
      PANAL_TRY(set("pages_to_scan", now.pages_to_scan, wanted.pages_to_scan));
    PANAL_TRY(set_advisor());
  }
  if (starts) PANAL_TRY(set("run", now.run, wanted.run));
  return {};
}

Result<KsmProcess> parse_ksm_stat(std::string_view text, std::string_view merging_pages) {
  KsmProcess process;
  bool has_merging = false;
  bool has_profit = false;
  for (const std::string_view line : lines_of(text)) {
    const auto words = words_of(line);
    if (words.empty()) continue;
    if (words.size() != 2) return fail(EPROTO, "ksm_stat: a line is not two words");
    const auto bad = [&] {
      return fail(EPROTO, "ksm_stat: bad value of " + std::string(words[0]));
    };
    if (words[0] == "ksm_merge_any:") {
      if (words[1] != "yes" && words[1] != "no") return bad();
      process.merge_any = words[1] == "yes";
      continue;
    }
    if (words[0] == "ksm_process_profit") {
      const auto profit = parse_signed(words[1]);
      // More than any address space holds would overflow in sums.
      if (!profit || *profit > (INT64_C(1) << 60) || *profit < -(INT64_C(1) << 60)) return bad();
      process.profit_bytes = *profit;
      has_profit = true;
      continue;
    }
    std::uint64_t KsmProcess::* member = nullptr;
    if (words[0] == "ksm_rmap_items") member = &KsmProcess::rmap_items;
    if (words[0] == "ksm_zero_pages") member = &KsmProcess::zero_pages;
    if (words[0] == "ksm_merging_pages") member = &KsmProcess::merging_pages;
    if (member == nullptr) continue;
    const auto value = parse_number(words[1]);
    // What no address space can hold would overflow below.
    if (!value || *value > (std::uint64_t{1} << 48)) return bad();
    process.*member = *value;
    has_merging = has_merging || member == &KsmProcess::merging_pages;
  }
  if (!has_merging) {
    const auto words = words_of(merging_pages);
    const auto value = words.size() == 1 ? parse_number(words[0]) : std::nullopt;
    if (!value || *value > (std::uint64_t{1} << 48))
      return fail(EPROTO, "ksm_merging_pages: not one number");
    process.merging_pages = *value;
  }
  if (!has_profit)
    process.profit_bytes = static_cast<std::int64_t>(process.merging_pages) * kPageBytes -
                           static_cast<std::int64_t>(process.rmap_items) * kRmapItemBytes;
  return process;
}

Result<KsmProcess> read_ksm_process(const Tree& tree, pid_t pid) {
  const std::string directory = std::to_string(pid);
  PANAL_ASSIGN(const std::string text, tree.proc.read(directory + "/ksm_stat"));
  std::string merging;
  if (text.find("ksm_merging_pages") == std::string::npos) {
    PANAL_ASSIGN(merging, tree.proc.read(directory + "/ksm_merging_pages"));
  }
  return parse_ksm_stat(text, merging);
}

void add(KsmProcess& sum, const KsmProcess& one) {
  sum.rmap_items += one.rmap_items;
  sum.merging_pages += one.merging_pages;
  sum.zero_pages += one.zero_pages;
  sum.profit_bytes += one.profit_bytes;
  sum.merge_any = sum.merge_any || one.merge_any;
}

bool is_kernel_thread(std::string_view stat, std::string_view name) {
  // "72 (ksmd) S 2 0 0 ...": a name may hold anything, so its end is the last parenthesis.
  const std::size_t open = stat.find('(');
  const std::size_t close = stat.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close <= open)
    return false;
  if (stat.substr(open + 1, close - open - 1) != name) return false;
  const auto words = words_of(stat.substr(close + 1));
  return words.size() > 1 && words[1] == "2";  // kthreadd's child
}

Result<std::uint64_t> parse_schedstat(std::string_view text) {
  const auto words = words_of(text);
  const auto value = words.empty() ? std::nullopt : parse_number(words[0]);
  if (!value) return fail(EPROTO, "schedstat: no number of ns");
  return *value;
}

Result<Ksmd> Ksmd::find(const Tree& tree) {
  PANAL_ASSIGN(const auto entries, tree.proc.list());
  for (const std::string& entry : entries) {
    if (!parse_number(entry)) continue;
    const auto stat = tree.proc.read(entry + "/stat");
    if (!stat || !is_kernel_thread(*stat, "ksmd")) continue;
    PANAL_ASSIGN(Dir process, tree.proc.open_dir(entry));
    return Ksmd(std::move(process));
  }
  return fail(ENOENT, "find ksmd among the processes of " + tree.proc.path());
}

Result<std::uint64_t> Ksmd::cpu_ns() const {
  PANAL_ASSIGN(const std::string text, process_.read("schedstat"));
  return parse_schedstat(text);
}

}  // namespace panal::kernel
