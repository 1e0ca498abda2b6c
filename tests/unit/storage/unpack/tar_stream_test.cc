#include "storage/unpack/tar_stream.h"

#include <gmock/gmock.h>

#include "tests/support/compressed.h"
#include "tests/support/tar_maker.h"
#include "tests/unit/storage/unpack/scratch.h"

namespace panal::storage::unpack {
namespace {

using test::compressed;
using test::TarMaker;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string hash_of(const std::string& bytes) {
  auto hasher = Hasher::start("sha256");
  hasher->feed(bytes.data(), bytes.size());
  return hasher->finish()->hex;
}

class TarStreamTest : public ScratchTest {
 protected:
  Result<std::unique_ptr<TarStream>> open(const std::string& bytes) {
    fd_ = memory(bytes);
    TarStream::Options options;
    options.fd = fd_.get();
    options.content_hash = "sha256";
    return TarStream::open(options, budget_);
  }
  /// All names, with an error's words last.
  std::vector<std::string> names_in(const std::string& bytes) {
    std::vector<std::string> names;
    auto stream = open(bytes);
    if (!stream) return {"error: " + stream.error().context};
    for (;;) {
      auto entry = (*stream)->next();
      if (!entry) {
        names.push_back("error: " + entry.error().context);
        return names;
      }
      if (!*entry) return names;
      names.push_back((*entry)->name);
    }
  }

  UniqueFd fd_;
  Budget budget_{std::uint64_t{1} << 30, 1000};
};

TEST_F(TarStreamTest, ReadsEntriesAndHashesBothSides) {
  TarMaker tar;
  TarMaker::Entry file;
  file.name = "./a";
  file.data = "some text";
  file.mode = 04711;
  file.uid = 1000;
  file.gid = 7;
  file.pax = {
      {"path", "./" + std::string(180, 'p')}, {"mtime", "12.5"}, {"SCHILY.xattr.user.note", "x"}};
  tar.add(file).link("l", "/target").link("h", "a", '1');
  const std::string bytes = tar.text();
  for (auto* filter : {::archive_write_add_filter_none, ::archive_write_add_filter_gzip,
                       ::archive_write_add_filter_zstd, ::archive_write_add_filter_xz}) {
    const std::string packed = compressed(bytes, filter);
    auto stream = open(packed);
    ASSERT_TRUE(stream) << stream.error().context;
    auto entry = (*stream)->next();
    ASSERT_TRUE(entry && *entry);
    EXPECT_EQ((*entry)->name, "./" + std::string(180, 'p'));
    EXPECT_EQ((*entry)->type, EntryType::kFile);
    EXPECT_EQ((*entry)->mode, 04711U);
    EXPECT_EQ((*entry)->uid, 1000);
    EXPECT_EQ((*entry)->size_bytes, 9U);
    EXPECT_EQ((*entry)->modified.tv_sec, 12);
    EXPECT_EQ((*entry)->modified.tv_nsec, 500'000'000);
    EXPECT_THAT((*entry)->attributes, ElementsAre("user.note"));
    const auto block = (*stream)->block();
    ASSERT_TRUE(block && *block);
    EXPECT_EQ(std::string((*block)->bytes, (*block)->size), "some text");
    entry = (*stream)->next();
    ASSERT_TRUE(entry && *entry);
    EXPECT_EQ((*entry)->type, EntryType::kSymlink);
    EXPECT_EQ((*entry)->target, "/target");
    entry = (*stream)->next();
    ASSERT_TRUE(entry && *entry);
    EXPECT_EQ((*entry)->type, EntryType::kHardLink);
    EXPECT_EQ((*entry)->target, "a");
    EXPECT_FALSE(*(*stream)->next());
    const auto digests = (*stream)->finish();
    ASSERT_TRUE(digests);
    EXPECT_EQ(digests->input.hex, hash_of(packed));
    EXPECT_EQ(digests->content->hex, hash_of(bytes));
  }
}

TEST_F(TarStreamTest, HashesWhatIsBehindTheEnd) {
  TarMaker tar;
  tar.file("a", "x");
  const std::string bytes = tar.text() + std::string(700'000, '\0') + "and more";
  auto stream = open(bytes);
  ASSERT_TRUE(stream);
  while (*(*stream)->next()) {
  }
  EXPECT_EQ((*stream)->finish()->input.hex, hash_of(bytes));
}

TEST_F(TarStreamTest, RefusesWhatIsNoSoundTarball) {
  TarMaker tar;
  tar.file("a", std::string(5000, 'x')).file("b", "y");
  const std::string good = tar.text();
  const std::string packed = compressed(good, ::archive_write_add_filter_gzip);
  std::string sum = good;
  sum[10] = 'X';
  std::string cut_gzip = packed.substr(0, packed.size() / 2);
  std::string twice = compressed(packed, ::archive_write_add_filter_gzip);
  const std::pair<std::string, const char*> cases[] = {
      {"", "empty"},
      {std::string(3000, 'a'), "tarball"},
      {"PK\3\4" + std::string(600, '\0'), "tarball"},
      {sum, "tarball"},
      {good.substr(0, 2000), "sound"},
      {cut_gzip, "gzip"},
      {twice, "more than once"},
      {std::string("\x1f\x8b\x08\x00", 4) + std::string(100, '\xff'), ""},
  };
  for (const auto& [bytes, words] : cases) {
    const auto names = names_in(bytes);
    ASSERT_FALSE(names.empty()) << words;
    EXPECT_THAT(names.back(), HasSubstr("error: ")) << words;
    EXPECT_THAT(names.back(), HasSubstr(words));
  }
}

TEST_F(TarStreamTest, CountsWhatComesOut) {
  TarMaker tar;
  tar.file("zeros", std::string(3'000'000, '\0'));
  budget_ = Budget(1'000'000, 10);
  EXPECT_THAT(names_in(compressed(tar.text(), ::archive_write_add_filter_xz)).back(),
              HasSubstr("more than 1000000 bytes"));
  TarMaker many;
  for (int i = 0; i < 11; ++i) many.file("f" + std::to_string(i), "");
  budget_ = Budget(1'000'000, 10);
  EXPECT_THAT(names_in(many.text()).back(), HasSubstr("more than 10 entries"));
}

}  // namespace
}  // namespace panal::storage::unpack
