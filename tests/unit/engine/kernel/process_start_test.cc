#include "engine/kernel/process_start.h"

#include <gtest/gtest.h>

#include "tests/unit/engine/kernel/fixture_tree.h"

namespace panal::kernel {
namespace {

constexpr const char* kRest =
    " S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 2211840 300 18446744073709551615\n";

TEST(ProcessStart, IsFieldTwentyTwoWhateverTheNameIs) {
  EXPECT_EQ(parse_process_start(std::string("42 (nxagent)") + kRest).value(), 987654U);
  EXPECT_EQ(parse_process_start(std::string("42 (a) S 1 (b c)") + kRest).value(), 987654U);
}

TEST(ProcessStart, MalformedTextIsAnError) {
  for (const char* text : {"", "42", "42 (name)", "42 (name) S 1 2 3", "42 name S 1 2",
                           "42 (x) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 -7 2211840",
                           "42 (x) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9z 2211840"}) {
    const auto start = parse_process_start(text);
    ASSERT_FALSE(start) << text;
    EXPECT_EQ(start.error().code, EPROTO) << text;
  }
}

TEST(ProcessStart, IsReadFromTheTree) {
  const FixtureTree fixture(FixtureFiles{{"proc/42/stat", std::string("42 (x)") + kRest}});
  const Tree tree = fixture.tree();
  EXPECT_EQ(read_process_start(tree, 42).value(), 987654U);
  EXPECT_TRUE(read_process_start(tree, 43).error().is_gone());
}

}  // namespace
}  // namespace panal::kernel
