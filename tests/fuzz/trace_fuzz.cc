// Recorded traces: no text may crash the parser; what it accepts has full rows, and is printed as
// what it was.
#include <cstdlib>
#include <string_view>

#include "engine/policy/ksm_trace.h"
#include "engine/policy/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto trace = panal::policy::parse_trace({reinterpret_cast<const char*>(data), size});
  if (!trace) return 0;
  for (const auto& row : trace->rows)
    if (row.size() != trace->columns.size()) std::abort();
  const auto again = panal::policy::parse_trace(panal::policy::print_trace(*trace, "again"));
  if (!again || *again != *trace) std::abort();
  (void)panal::policy::snapshots_of(*trace);
  (void)panal::policy::ksm_samples_of(*trace);
  return 0;
}
