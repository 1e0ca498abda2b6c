// Every key of a profile is in the manual.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

#include "engine/profile/schema.h"

namespace panal::profile {
namespace {

/// A visitor of visit_keys() that keeps names.
struct KeyNames {
  void section(std::string_view name) {
    if (!name.empty()) sections.insert(std::string(name));
  }
  template <typename Value>
  void text(std::string_view key, Value& /*value*/) {
    add(key);
  }
  template <typename Value>
  void number(std::string_view key, Value& /*value*/, std::uint32_t /*least*/,
              std::uint32_t /*most*/) {
    add(key);
  }
  template <typename Value>
  void flag(std::string_view key, Value& /*value*/) {
    add(key);
  }
  template <typename Value, typename Allowed>
  void word(std::string_view key, Value& /*value*/, const Allowed& /*words*/) {
    add(key);
  }
  template <typename Value, typename Allowed>
  void one_of(std::string_view key, Value& /*value*/, const Allowed& /*words*/) {
    add(key);
  }
  template <typename Rules>
  void sysctls(Rules& /*rules*/) {
    sections.insert("sysctl");
  }
  void add(std::string_view key) { keys.insert(std::string(key)); }

  std::set<std::string> sections, keys;
};

TEST(TuningManual, NamesEveryKey) {
  std::ifstream file(PANAL_SOURCE_DIR "/docs/tuning.md");
  const std::string manual((std::istreambuf_iterator<char>(file)), {});
  Profile profile;
  KeyNames names;
  visit_keys(names, profile);
  EXPECT_GT(names.keys.size(), 40U);
  for (const std::string& key : names.keys)
    EXPECT_NE(manual.find("`" + key + "`"), std::string::npos) << key;
  for (const std::string& section : names.sections) {
    // The classes have one row: `[class.active]`, `.idle`, ...
    const bool shortened = section.starts_with("class.") && section != "class.active";
    const std::string words = shortened ? section.substr(section.find('.')) : "[" + section + "]";
    EXPECT_NE(manual.find("`" + words + "`"), std::string::npos) << section;
  }
}

}  // namespace
}  // namespace panal::profile
