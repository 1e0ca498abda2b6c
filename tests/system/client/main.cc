#include "tests/system/store/cluster.h"

namespace {
// gtest_main's main() runs it.
const auto* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(new panal::store::Cluster);  // gtest owns it
}  // namespace
