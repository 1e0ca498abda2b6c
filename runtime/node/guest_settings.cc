#include "runtime/node/guest_settings.h"

#include "runtime/tuning/profiles.h"

namespace panal::node {
namespace {

desktop::Scratch scratch_of(profile::ScratchPlace place) {
  switch (place) {
    case profile::ScratchPlace::kDisk: return desktop::Scratch::kDisk;
    case profile::ScratchPlace::kMemory: return desktop::Scratch::kMemory;
    case profile::ScratchPlace::kOff: return desktop::Scratch::kOff;
  }
  return desktop::Scratch::kDisk;
}

}  // namespace

desktop::GuestSettings guest_of(const profile::Guest& guest) {
  desktop::GuestSettings settings;
  settings.mask_memory = guest.mask_memory;
  settings.cpus = guest.cpus;
  settings.lean_heap = guest.lean_heap;
  settings.shared_pictures = guest.shared_pictures;
  settings.logs = scratch_of(guest.logs);
  settings.var_tmp = scratch_of(guest.var_tmp);
  settings.cache_in_memory = guest.cache_in_memory;
  settings.cache_percent = guest.cache_percent;
  settings.scratch_percent = guest.scratch_percent;
  return settings;
}

Result<desktop::GuestSettings> guest_settings(const config::Config& config) {
  PANAL_ASSIGN(const profile::Profile profile, tuning::load_profile(config, config.tuning_profile));
  return guest_of(profile.guest);
}

}  // namespace panal::node
