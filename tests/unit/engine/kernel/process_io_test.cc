#include "engine/kernel/process_io.h"

#include <gtest/gtest.h>

namespace panal::kernel {
namespace {

constexpr const char* kGood =
    "rchar: 323934931\nwchar: 323929600\nsyscr: 632687\nsyscw: 632675\n"
    "read_bytes: 4096\nwrite_bytes: 323932160\ncancelled_write_bytes: 12288\n";

TEST(ProcessIo, TellsWhatWentToDisksAndCameFromThem) {
  const auto io = parse_process_io(kGood);
  ASSERT_TRUE(io) << io.error().message();
  EXPECT_EQ(io->read_bytes, 4096U);
  EXPECT_EQ(io->written_bytes, 323932160U);
  EXPECT_EQ(io->cancelled_bytes, 12288U);
}

TEST(ProcessIo, RefusesWhatIsNone) {
  for (const char* text :
       {"", "\n", "read_bytes 1\n", "read_bytes: 1\nwrite_bytes: 2\n",
        "read_bytes: 1\nwrite_bytes: 2\ncancelled_write_bytes:\n",
        "read_bytes: 1\nwrite_bytes: -2\ncancelled_write_bytes: 3\n",
        "read_bytes: 1\nwrite_bytes: 2 3\ncancelled_write_bytes: 3\n",
        "read_bytes: 1\nwrite_bytes: 0x2\ncancelled_write_bytes: 3\n",
        "read_bytes: 1\nwrite_bytes: 2\nwrite_bytes: 2\ncancelled_write_bytes: 3\n",
        "read_bytes: 99999999999999999999\nwrite_bytes: 2\ncancelled_write_bytes: 3\n"}) {
    const auto io = parse_process_io(text);
    ASSERT_FALSE(io) << text;
    EXPECT_EQ(io.error().code, EPROTO);
  }
}

}  // namespace
}  // namespace panal::kernel
