/// Tuning profiles, which operators write, and the record of what was applied, by which root writes
/// settings. The first byte says which it is (tests/fuzz/seeds).
#include <cstdint>
#include <cstdlib>
#include <string>

#include "engine/profile/profile.h"
#include "engine/profile/saved.h"
#include "engine/profile/zram_step.h"

using namespace panal::profile;

namespace {

/// What is accepted says the same when it is printed and read again.
void read_profile(const std::string& text) {
  const auto base = [](const std::string& name) -> panal::Result<Profile> {
    Profile profile;
    profile.name = name;
    profile.ksm.run = panal::KsmRun::kRunning;
    return profile;
  };
  const auto profile = parse_profile(text, "fuzz.toml", base);
  if (!profile) return;
  const auto again = parse_profile(print_profile(*profile), "printed.toml");
  if (!again || *again != *profile) std::abort();
  (void)print_profile_json(*profile);
}

/// It names no file that is not a setting's.
void read_record(const std::string& text) {
  const auto saved = parse_saved(text, "applied.json");
  if (!saved) return;
  for (const Setting& setting : saved->settings) {
    if (setting.where == Setting::Where::kStep) continue;
    const bool known = setting.where == Setting::Where::kProc
                           ? setting.file.starts_with("sys/")
                           : setting.file.starts_with("kernel/mm/") ||
                                 setting.file.starts_with("module/zswap/parameters/");
    if (!known || ("/" + setting.file + "/").find("/../") != std::string::npos) std::abort();
  }
  const std::string printed = print_saved(*saved);
  const auto again = parse_saved(printed, "again.json");
  if (!again || print_saved(*again) != printed) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0]) {
    case 'p': read_profile(text); break;
    case 's': read_record(text); break;
    case 'z':
      if (const auto settings = parse_zram_state(text))
        if (print_zram_state(*settings) != text) std::abort();
      break;
    default: return -1;
  }
  return 0;
}
