#include "runtime/node/guest_settings.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace panal::node {
namespace {

TEST(GuestSettings, AProfileThatSaysNothingChangesNothing) {
  EXPECT_EQ(guest_of({}), desktop::GuestSettings{});
}

TEST(GuestSettings, AreTheProfilesOneByOne) {
  profile::Guest guest;
  guest.mask_memory = true;
  guest.cpus = 3;
  guest.lean_heap = true;
  guest.shared_pictures = false;
  guest.logs = profile::ScratchPlace::kOff;
  guest.var_tmp = profile::ScratchPlace::kMemory;
  guest.cache_in_memory = true;
  guest.cache_percent = 7;
  guest.scratch_percent = 9;
  const desktop::GuestSettings wanted{.mask_memory = true,
                                      .cpus = 3,
                                      .lean_heap = true,
                                      .shared_pictures = false,
                                      .logs = desktop::Scratch::kOff,
                                      .var_tmp = desktop::Scratch::kMemory,
                                      .cache_in_memory = true,
                                      .cache_percent = 7,
                                      .scratch_percent = 9};
  EXPECT_EQ(guest_of(guest), wanted);
}

TEST(GuestSettings, ComeFromTheProfileInTheConfiguration) {
  const std::string file = std::filesystem::temp_directory_path() / "guest-settings-test.toml";
  config::Config config;
  config.tuning_profile = file;
  EXPECT_FALSE(guest_settings(config)) << "no such file";
  std::ofstream(file) << "name = \"mine\"\n[guest]\ncpus = 2\n";
  const auto settings = guest_settings(config);
  std::filesystem::remove(file);
  ASSERT_TRUE(settings) << settings.error().message();
  EXPECT_EQ(settings->cpus, 2U);
  EXPECT_FALSE(settings->mask_memory);
}

}  // namespace
}  // namespace panal::node
