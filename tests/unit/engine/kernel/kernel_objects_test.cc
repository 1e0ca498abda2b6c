#include "engine/kernel/kernel_objects.h"

#include <gtest/gtest.h>

#include "tests/unit/engine/kernel/fixture_tree.h"
#include "tests/unit/engine/kernel/result_code.h"

namespace panal::kernel {
namespace {

TEST(KernelObjects, OpenFiles) {
  EXPECT_EQ(parse_file_nr("1159\t0\t2466186\n").value(), (ObjectCount{1159, 2466186, 0}));
  EXPECT_EQ(parse_file_nr("1159 59 9223372036854775807").value(),
            (ObjectCount{1100, 9223372036854775807U, 0}))
      << "as systemd sets it";
  EXPECT_EQ(parse_file_nr("5 9 10").value().used, 0U);
  for (const char* bad :
       {"", "1159", "1159 0", "1 2 3 4", "x 0 1", "1 -1 2", "1 0 2x", "1 0 99999999999999999999"})
    EXPECT_EQ(code(parse_file_nr(bad)), EPROTO) << bad;
}

const char* const kKeyUsers =
    "    0:     9 8/8 3/1000000 40/25000000\n"
    "1000000:     1 1/1 1/10000 5/1224000\n";

TEST(KernelObjects, KeysOfAUser) {
  EXPECT_EQ(parse_key_users(kKeyUsers, 0).value(),
            (KeyUse{{3, 1'000'000, 0}, {40, 25'000'000, 0}}));
  EXPECT_EQ(parse_key_users(kKeyUsers, 1'000'000).value()->keys, (ObjectCount{1, 10'000, 0}));
  EXPECT_EQ(parse_key_users(kKeyUsers, 7).value(), std::nullopt);
  EXPECT_EQ(parse_key_users("", 0).value(), std::nullopt);
  for (const char* bad : {"0 9 8/8 3/4 5/6", ": 9 8/8 3/4 5/6", "0: 9 8/8 3/4", "x: 9 8/8 3/4 5/6",
                          "\n\n", "0: 9 8/8 3 5/6", "0: 9 8/8 3/4/5 5/6", "0: 9 8/8 3/x 5/6",
                          "0: 9 8/8 -3/4 5/6", "0: 9 8/8 3/4 5/", "7: 1\n0: 9 8/8 3/4 5/6"})
    EXPECT_EQ(code(parse_key_users(bad, 0)), EPROTO) << bad;
}

TEST(KernelObjects, ReadsWhatTheHostHas) {
  FixtureTree host({{"proc/sys/fs/file-nr", "1159\t0\t2466186\n"},
                    {"proc/sys/kernel/pty/nr", "24\n"},
                    {"proc/sys/kernel/pty/max", "4096\n"},
                    {"proc/sys/kernel/pty/reserve", "1024\n"},
                    {"proc/key-users", kKeyUsers}});
  const Tree tree = host.tree();
  EXPECT_EQ(read_open_files(tree).value(), (ObjectCount{1159, 2466186, 0}));
  EXPECT_EQ(read_terminals(tree).value(), (ObjectCount{24, 4096, 1024}));
  EXPECT_EQ(read_root_keys(tree).value().keys, (ObjectCount{3, 1'000'000, 0}));
  host.write("proc/sys/kernel/pty/reserve", "9999\n");
  EXPECT_EQ(read_terminals(tree).value(), (ObjectCount{24, 4096, 4096})) << "never more than all";
  host.write("proc/sys/kernel/pty/max", "many\n");
  EXPECT_EQ(code(read_terminals(tree)), EPROTO);
  host.write("proc/key-users", "7: 1 1/1 1/10 1/10\n");
  EXPECT_EQ(code(read_root_keys(tree)), ENOENT);
}

TEST(KernelObjects, AreInWhatARealHostShowed) {
  const auto tree = Tree::open_below(PANAL_SOURCE_DIR "/tests/fixtures/hybrid-6.18");
  ASSERT_TRUE(tree) << tree.error().message();
  EXPECT_GT(read_open_files(*tree).value().used, 0U);
  EXPECT_EQ(read_terminals(*tree).value(), (ObjectCount{182, 20'096, 1024}));
  const KeyUse keys = read_root_keys(*tree).value();
  EXPECT_EQ(keys.keys.limit, 1'000'000U);
  EXPECT_LT(keys.keys.used, 98U) << "98 desktops ran: each has a key of its own root's";
}

TEST(KernelObjects, WhatTheKernelLacksIsAnError) {
  const FixtureTree host({});
  const Tree tree = host.tree();
  EXPECT_EQ(code(read_open_files(tree)), ENOENT);
  EXPECT_EQ(code(read_terminals(tree)), ENOENT);
  EXPECT_EQ(code(read_root_keys(tree)), ENOENT);
}

}  // namespace
}  // namespace panal::kernel
