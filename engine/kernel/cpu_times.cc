#include "engine/kernel/cpu_times.h"

#include <unistd.h>

#include <string>

#include "engine/kernel/text.h"

namespace panal::kernel {

Result<CpuTimes> parse_cpu_times(std::string_view text, long ticks_per_second) {
  if (ticks_per_second <= 0 || ticks_per_second > 1'000'000)
    return fail(EINVAL, "cpu times: " + std::to_string(ticks_per_second) + " ticks per second");
  const auto ns_per_tick = static_cast<std::uint64_t>(1'000'000'000 / ticks_per_second);
  using C = CpuTimes;
  static constexpr std::uint64_t C::* kColumns[] = {&C::user_ns,    &C::nice_ns,   &C::system_ns,
                                                    &C::idle_ns,    &C::iowait_ns, &C::irq_ns,
                                                    &C::softirq_ns, &C::steal_ns};
  CpuTimes times;
  bool seen = false;
  for (const std::string_view line : lines_of(text)) {
    if (line.rfind("cpu", 0) != 0) continue;
    const auto words = words_of(line);
    if (words[0] != "cpu") {
      ++times.cores;
      continue;
    }
    if (words.size() < 1 + std::size(kColumns))
      return fail(EPROTO, "stat: fewer than eight columns in line cpu");
    for (std::size_t i = 0; i < std::size(kColumns); ++i) {
      const auto ticks = parse_number(words[i + 1]);
      if (!ticks || *ticks > UINT64_MAX / ns_per_tick)
        return fail(EPROTO, "stat: bad column " + std::to_string(i + 1) + " in line cpu");
      times.*kColumns[i] = *ticks * ns_per_tick;
    }
    seen = true;
  }
  if (!seen) return fail(EPROTO, "stat: no line cpu");
  return times;
}

Result<CpuTimes> read_cpu_times(const Tree& tree) {
  PANAL_ASSIGN(const std::string text, tree.proc.read("stat"));
  return parse_cpu_times(text, ::sysconf(_SC_CLK_TCK));
}

}  // namespace panal::kernel
