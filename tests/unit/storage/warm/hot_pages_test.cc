#include "storage/warm/hot_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/base/file_tree.h"

namespace panal::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

HotPages some() {
  HotPages pages;
  pages.generation = 2;
  pages.recorded_unix_s = 1'795'736'820;
  pages.files = {{"/usr/bin/a b%\n", 8192, {{0, 2}}},
                 {"/usr/lib/libé.so", 1'000'000, {{0, 12}, {40, 3}}}};
  return pages;
}

TEST(HotPages, ARecordIsReadAsItWasWritten) {
  const HotPages pages = some();
  const std::string text = print_hot_pages(pages);
  EXPECT_EQ(text,
            "panal-hot-pages 1\npage_bytes 4096\ngeneration 2\nrecorded 1795736820\n"
            "/usr/bin/a%20b%25%0A 8192 0+2\n/usr/lib/libé.so 1000000 0+12 40+3\n");
  const auto again = parse_hot_pages(text, "hot-pages");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, pages);
  EXPECT_EQ(again->bytes(), 17U * 4096);
  EXPECT_TRUE(parse_hot_pages(print_hot_pages({}), "empty"));
}

struct Malformed {
  const char* name;
  std::string text;
  const char* said;
};

TEST(HotPages, RefusesWhatIsNoRecord) {
  const std::string head = "panal-hot-pages 1\npage_bytes 4096\ngeneration 0\nrecorded 1\n";
  for (const Malformed& wrong : std::vector<Malformed>{
           {"nothing", "", "f:1: no record"},
           {"another format", "panal-hot-pages 2\n", "f:1: no record"},
           {"an end too soon", "panal-hot-pages 1\npage_bytes 4096\n", "f:3: generation"},
           {"no line end", "panal-hot-pages 1\npage_bytes 4096", "f:2: page_bytes"},
           {"an odd page", "panal-hot-pages 1\npage_bytes 5000\n", "power of two"},
           {"a small page", "panal-hot-pages 1\npage_bytes 512\n", "power of two"},
           {"a huge page", "panal-hot-pages 1\npage_bytes 2097152\n", "power of two"},
           {"two spaces", "panal-hot-pages 1\npage_bytes  4096\n", "power of two"},
           {"a generation below zero", "panal-hot-pages 1\npage_bytes 4096\ngeneration -1\n",
            "f:3: generation"},
           {"a time before 1970", "panal-hot-pages 1\npage_bytes 4096\ngeneration 0\nrecorded -5\n",
            "f:4: recorded"},
           {"a relative path", head + "usr/bin/x 4096 0+1\n", "f:5: no path"},
           {"the root", head + "/ 4096 0+1\n", "no path"},
           {"a way out", head + "/usr/../../etc/shadow 4096 0+1\n", "no path"},
           {"a dot", head + "/./x 4096 0+1\n", "no path"},
           {"an empty part", head + "/usr//x 4096 0+1\n", "no path"},
           {"a slash at the end", head + "/usr/ 4096 0+1\n", "no path"},
           {"a zero byte", head + "/usr/%00 4096 0+1\n", "no path"},
           {"an escape that is not needed", head + "/usr/%41 4096 0+1\n", "no path"},
           {"an escape in small letters", head + "/usr/%0a 4096 0+1\n", "no path"},
           {"half an escape", head + "/usr/%0 4096 0+1\n", "no path"},
           {"a raw control byte", head + "/usr/\x01 4096 0+1\n", "no path"},
           {"a path too long", head + "/" + std::string(5000, 'x') + " 4096 0+1\n", "no path"},
           {"no size", head + "/x\n", "no size"},
           {"a size below zero", head + "/x -1 0+1\n", "no size"},
           {"a size with a zero in front", head + "/x 04096 0+1\n", "no size"},
           {"a size beyond all", head + "/x 99999999999999999999 0+1\n", "no size"},
           {"a size that no file has", head + "/x 36028797018963968 0+1\n", "no size"},
           {"no pages", head + "/x 4096\n", "no pages"},
           {"no plus", head + "/x 4096 0\n", "FIRST+COUNT"},
           {"an empty range", head + "/x 4096 0+0\n", "FIRST+COUNT"},
           {"half a range", head + "/x 4096 0+\n", "FIRST+COUNT"},
           {"past the end", head + "/x 4096 1+1\n", "past the end"},
           {"too many", head + "/x 4096 0+2\n", "past the end"},
           {"a sum past all numbers", head + "/x 8192 1+18446744073709551615\n", "past the end"},
           {"ranges that overlap", head + "/x 40960 0+3 2+1\n", "in order"},
           {"ranges that touch", head + "/x 40960 0+3 3+1\n", "in order"},
           {"files out of order", head + "/b 4096 0+1\n/a 4096 0+1\n", "f:6: files are"},
           {"a file twice", head + "/a 4096 0+1\n/a 4096 0+1\n", "files are"},
           {"half a line", head + "/a 4096 0+1\n/b 4096 0+", "f:6: the last line"},
       }) {
    const auto read = parse_hot_pages(wrong.text, "f");
    ASSERT_FALSE(read) << wrong.name;
    EXPECT_EQ(read.error().code, EPROTO) << wrong.name;
    EXPECT_THAT(read.error().context, HasSubstr(wrong.said)) << wrong.name;
  }
}

TEST(HotPages, AFileTooMuchIsLeftOutAndTheOthersStay) {
  HotPages pages;
  pages.files = {{"/big", 40960, {{0, 10}}},
                 {"/part", 40960, {{0, 1}}},
                 {"/small", 4096, {{0, 1}}},
                 {"/whole", 8192, {{0, 2}}}};
  EXPECT_EQ(kept_within(pages, 14 * 4096), pages);
  // Wholly used ones first, the smaller first; what does not fit makes room for what does.
  EXPECT_THAT(kept_within(pages, 4 * 4096).files,
              ElementsAre(Field(&HotFile::path, "/part"), Field(&HotFile::path, "/small"),
                          Field(&HotFile::path, "/whole")));
  EXPECT_THAT(kept_within(pages, 3 * 4096 + 1).files,
              ElementsAre(Field(&HotFile::path, "/small"), Field(&HotFile::path, "/whole")));
  EXPECT_TRUE(kept_within(pages, 0).files.empty());
}

TEST(HotPages, IsReplacedWholeBesideTheVersion) {
  std::string dir = ::testing::TempDir() + "hot.XXXXXX";
  ASSERT_NE(::mkdtemp(dir.data()), nullptr);
  EXPECT_EQ(read_hot_pages(dir).error().code, ENOENT);
  ASSERT_TRUE(write_hot_pages(dir, {}));
  const auto written = write_hot_pages(dir, some());
  ASSERT_TRUE(written) << written.error().message();
  const auto read = read_hot_pages(dir);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(*read, some());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir), {}), 1) << "a rest is left";
  std::ofstream(dir + "/hot-pages") << "cut";
  EXPECT_EQ(read_hot_pages(dir).error().code, EPROTO);
  EXPECT_EQ(write_hot_pages(dir + "/gone", some()).error().code, ENOENT);
  EXPECT_TRUE(remove_tree(dir));
}

}  // namespace
}  // namespace panal::storage
