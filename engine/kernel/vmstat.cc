#include "engine/kernel/vmstat.h"

#include <string>

#include "engine/kernel/flat_keyed.h"

namespace panal::kernel {

Result<VmCounters> parse_vmstat(std::string_view text) {
  using V = VmCounters;
  static constexpr FlatField<V> kFields[] = {
      {"workingset_refault_anon", &V::refault_anon},
      {"workingset_refault_file", &V::refault_file},
      {"workingset_refault", &V::refault_file},  // before 5.9
      {"pswpin", &V::swap_in},
      {"pswpout", &V::swap_out},
      {"cow_ksm", &V::cow_ksm},
      {"ksm_swpin_copy", &V::ksm_swpin_copy},
      {"pgscan_kswapd", &V::scan},
      {"pgscan_direct", &V::scan},
      {"pgscan_direct", &V::scan_direct},
      {"pgscan_khugepaged", &V::scan},
      {"pgscan_proactive", &V::scan},
      {"pgsteal_kswapd", &V::steal},
      {"pgsteal_direct", &V::steal},
      {"pgsteal_direct", &V::steal_direct},
      {"pgsteal_khugepaged", &V::steal},
      {"pgsteal_proactive", &V::steal},
      {"pgmajfault", &V::major_faults},
      {"oom_kill", &V::oom_kills},
  };
  VmCounters counters;
  auto done = add_flat_keyed<V>(text, kFields, counters);
  if (!done) return prefixed("vmstat", std::move(done.error()));
  return counters;
}

Result<VmCounters> read_vmstat(const Tree& tree) {
  PANAL_ASSIGN(const std::string text, tree.proc.read("vmstat"));
  return parse_vmstat(text);
}

}  // namespace panal::kernel
