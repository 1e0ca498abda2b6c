#include <fmt/format.h>

#include "engine/profile/profile.h"

namespace panal::profile {

std::vector<std::string> describe_guest(const Guest& guest) {
  const Guest usual;
  std::vector<std::string> out;
  if (guest.mask_memory)
    out.emplace_back("programs see the desktop's memory limit, not the host's memory");
  if (guest.cpus != 0) out.push_back(fmt::format("programs see {} CPUs at most", guest.cpus));
  if (guest.lean_heap) out.emplace_back("programs keep little of the memory they free");
  if (!guest.shared_pictures)
    out.emplace_back("programs hand no pictures to the X server in shared memory");
  if (guest.logs == ScratchPlace::kOff)
    out.emplace_back("/var/log of volatile desktops is empty and read-only");
  if (guest.logs == ScratchPlace::kMemory)
    out.emplace_back("/var/log of volatile desktops is in memory");
  if (guest.var_tmp == ScratchPlace::kMemory)
    out.emplace_back("/var/tmp of volatile desktops is in memory");
  if (guest.cache_in_memory)
    out.push_back(fmt::format("what belongs below ~/.cache is in memory, at most {} % of the limit",
                              guest.cache_percent));
  if (guest.scratch_percent != usual.scratch_percent)
    out.push_back(fmt::format("/tmp and /dev/shm hold at most {} % of the limit each",
                              guest.scratch_percent));
  return out;
}

}  // namespace panal::profile
