// What the optimiser keeps on disk, which a crash or a full disk may have cut short: programs that
// lose by merging, a desktop's hot memory, KSM's former settings. The first byte says which. What
// is accepted is within its bounds, and is printed as what it was.
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/policy/ksm_programs_text.h"
#include "runtime/optimiser/hot_memory.h"
#include "runtime/optimiser/ksm_keeper.h"

namespace {

using namespace panal;

void must(bool good) {
  if (!good) std::abort();
}

void check_programs(std::string_view text) {
  const auto programs = policy::parse_ksm_programs(text);
  if (!programs) return must(programs.error().code == EPROTO);
  must(programs->size() <= policy::KsmPrograms::kMost);
  const auto again = policy::parse_ksm_programs(policy::print_ksm_programs(*programs));
  must(again && *again == *programs);
  policy::KsmPrograms known;
  known.restore(*programs);
  for (const auto& [name, program] : *programs) {
    const bool enlisted = known.enlist(name);
    must(enlisted || program.left_out);
    // Whatever was read, it is tried again some day.
    must(known.all().at(name).retry_after <= policy::KsmPrograms::kLastRetry);
  }
}

void check_hot(std::string_view text) {
  const auto saved = optimiser::parse_hot_memory(std::string(text));
  if (!saved) return must(saved.error().code == EPROTO);
  must(saved->hot.ranges() <= optimiser::kMostHotRanges);
  must(saved->hot.processes.size() <= optimiser::kMostHotProcesses);
  const auto again = optimiser::parse_hot_memory(optimiser::print_hot_memory(*saved));
  must(again && *again == *saved);
  policy::ReconnectInput input;
  input.frozen = true;
  input.recorded = optimiser::recorded_ranges(saved->hot);
  (void)policy::plan_reconnect(input);
}

void check_former(std::string_view text) {
  const auto saved = optimiser::parse_saved_ksm(std::string(text));
  if (!saved) return must(saved.error().code == EPROTO);
  const auto again = optimiser::parse_saved_ksm(optimiser::print_saved_ksm(*saved));
  must(again && *again == *saved);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'p': check_programs(text); break;
    case 'h': check_hot(text); break;
    case 'k': check_former(text); break;
    default: return -1;
  }
  return 0;
}
