// Recorded traces: no text may crash the parser, and what it accepts has full rows.
#include <cstdlib>
#include <string_view>

#include "engine/policy/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto trace = panal::policy::parse_trace({reinterpret_cast<const char*>(data), size});
  if (!trace) return 0;
  for (const auto& row : trace->rows)
    if (row.size() != trace->columns.size()) std::abort();
  (void)panal::policy::snapshots_of(*trace);
  return 0;
}
