#include "storage/lint/pyc.h"

#include <gtest/gtest.h>

namespace panal::storage {
namespace {

/// 3.11's magic number, then these words.
std::string pyc(std::initializer_list<std::uint32_t> words) {
  std::string bytes("\xa7\x0d\x0d\x0a", 4);
  for (std::uint32_t word : words)
    for (int i = 0; i < 4; ++i, word >>= 8U) bytes.push_back(static_cast<char>(word & 0xffU));
  return bytes;
}

TEST(Pyc, TellsHowItBelongsToItsSource) {
  const auto by_time = parse_pyc_header(pyc({0, 0x6092a916, 0x86f5}));
  ASSERT_TRUE(by_time);
  EXPECT_FALSE(by_time->by_hash);
  EXPECT_EQ(by_time->mtime_s, 0x6092a916U);
  EXPECT_EQ(by_time->size, 0x86f5U);
  const auto checked = parse_pyc_header(pyc({3, 1, 2}) + "more");
  ASSERT_TRUE(checked);
  EXPECT_TRUE(checked->by_hash && checked->checks_source);
  const auto trusted = parse_pyc_header(pyc({1, 1, 2}));
  ASSERT_TRUE(trusted);
  EXPECT_TRUE(trusted->by_hash && !trusted->checks_source);
}

TEST(Pyc, WhatIsNoneHasNoHeader) {
  for (const std::string& bytes :
       {std::string(), std::string("\xa7\x0d\x0d\x0a", 4), pyc({0, 0}), pyc({2, 0, 0}),
        pyc({4, 0, 0}), pyc({0xffffffff, 0, 0}), std::string(16, '\0'), std::string(16, 'x'),
        pyc({0, 0, 0}).substr(1) + "x"})
    EXPECT_FALSE(parse_pyc_header(bytes)) << testing::PrintToString(bytes);
}

TEST(Pyc, APatchedOneIsTrusted) {
  std::string bytes = pyc({0, 0x6092a916, 0x86f5});
  bytes.replace(4, 12, unchecked_pyc_words());
  const auto header = parse_pyc_header(bytes);
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->by_hash);
  EXPECT_FALSE(header->checks_source);
}

TEST(Pyc, KnowsWhereItsSourceIs) {
  EXPECT_EQ(pyc_source_path("/usr/lib/python3/__pycache__/six.cpython-311.pyc"),
            "/usr/lib/python3/six.py");
  EXPECT_EQ(pyc_source_path("/a/__pycache__/x.cpython-311.opt-1.pyc"), "/a/x.py");
  for (const char* none : {"", "/a/x.pyc", "/a/__pycache__/x.pyc",
                           "/a/__pycache__/.cpython-311.pyc", "/a/__pycache__/x.cpython-311.py",
                           "__pycache__/x.cpython-311.pyc", "/a/__pycache__/b/x.cpython-311.pyc"})
    EXPECT_EQ(pyc_source_path(none), "") << none;
}

}  // namespace
}  // namespace panal::storage
