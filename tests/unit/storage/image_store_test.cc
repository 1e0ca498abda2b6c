#include "storage/image/image_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/base/file_tree.h"

namespace panal::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ImageStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "images.XXXXXX";
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(dir_)); }

  [[nodiscard]] std::string images() const { return dir_ + "/images"; }

  Result<VersionManifest> commit(ImageStore& store, const std::string& image,
                                 const std::string& digest) {
    PANAL_ASSIGN(const std::string staging, store.new_staging(image));
    fs::create_directories(staging + "/root/etc");
    std::ofstream(staging + "/root/etc/motd") << digest;
    VersionManifest manifest;
    manifest.image = image;
    manifest.recipe_digest = digest;
    manifest.session = {"icewm-session"};
    manifest.packages = {{"bash", "5.2"}, {"icewm", "3.3"}};
    return store.commit(staging, manifest);
  }

  std::string dir_;
};

TEST_F(ImageStoreTest, NoDirectoryMeansNoVersions) {
  const ImageStore store(images());
  const auto all = store.list();
  ASSERT_TRUE(all);
  EXPECT_THAT(*all, IsEmpty());
  EXPECT_EQ(store.find("icewm", "1").error().code, ENOENT);
}

TEST_F(ImageStoreTest, CommitsNumberedVersions) {
  ImageStore store(images());
  const auto first = commit(store, "icewm", "aaaa");
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_THAT(first->version, EndsWith("-1"));
  EXPECT_GT(first->created_unix_s, 0);
  const auto second = commit(store, "icewm", "bbbb");
  ASSERT_TRUE(second);
  EXPECT_THAT(second->version, EndsWith("-2"));
  ASSERT_TRUE(commit(store, "xfce", "cccc"));

  const auto found = store.find("icewm", second->version);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->recipe_digest, "bbbb");
  EXPECT_EQ(found->session, second->session);
  EXPECT_EQ(found->packages, second->packages);
  EXPECT_TRUE(fs::exists(store.root_of("icewm", second->version) + "/etc/motd"));

  const auto all = ImageStore(images()).list();
  ASSERT_TRUE(all);
  ASSERT_THAT(*all, SizeIs(3));
  EXPECT_EQ((*all)[0].version, second->version) << "newest first";
  EXPECT_EQ((*all)[2].image, "xfce");
  EXPECT_EQ(store.find_by_digest("icewm", "aaaa")->version, first->version);
  EXPECT_EQ(store.find_by_digest("xfce", "aaaa").error().code, ENOENT);

  struct stat info{};
  ASSERT_EQ(::stat(images().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U) << "set-uid files inside carry canonical ids";
}

TEST_F(ImageStoreTest, CountsPastNine) {
  ImageStore store(images());
  for (int i = 0; i < 11; ++i) ASSERT_TRUE(commit(store, "icewm", std::to_string(i)));
  const auto all = store.list();
  ASSERT_TRUE(all);
  EXPECT_THAT(all->front().version, EndsWith("-11"));
  EXPECT_THAT(all->back().version, EndsWith("-1"));
}

TEST_F(ImageStoreTest, RemovesWhole) {
  ImageStore store(images());
  const auto made = commit(store, "icewm", "aaaa");
  ASSERT_TRUE(made);
  const auto removed = store.remove("icewm", made->version);
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_FALSE(fs::exists(images() + "/icewm"));
  EXPECT_THAT(*store.list(), IsEmpty());
  const auto again = store.remove("icewm", made->version);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ENOENT);
  EXPECT_EQ(again.error().context, "image icewm has no version " + made->version);
}

TEST_F(ImageStoreTest, RefusesNamesThatLeaveTheDirectory) {
  ImageStore store(images());
  for (const char* name : {"", ".", "..", ".staging", "a/b", "../../etc"}) {
    EXPECT_FALSE(store.new_staging(name)) << name;
    EXPECT_EQ(store.find(name, "1").error().code, ENOENT) << name;
    EXPECT_EQ(store.find("icewm", name).error().code, ENOENT) << name;
    EXPECT_FALSE(store.remove("icewm", name)) << name;
  }
}

TEST_F(ImageStoreTest, NamesADamagedManifest) {
  ImageStore store(images());
  const auto made = commit(store, "icewm", "aaaa");
  ASSERT_TRUE(made);
  const std::string file = images() + "/icewm/" + made->version + "/manifest.json";
  for (const char* text : {"", "{", "[]", "{\"format\": 1}", "{\"format\": 2}", "null"}) {
    std::ofstream(file, std::ios::trunc) << text;
    const auto all = store.list();
    ASSERT_FALSE(all) << text;
    EXPECT_EQ(all.error().code, EPROTO);
    EXPECT_THAT(all.error().context, HasSubstr(file)) << text;
    EXPECT_EQ(store.find("icewm", made->version).error().code, EPROTO) << text;
  }
}

TEST_F(ImageStoreTest, ADamagedManifestDoesNotHideOtherVersions) {
  ImageStore store(images());
  const auto one = commit(store, "icewm", "aaaa");
  const auto two = commit(store, "xfce", "bbbb");
  ASSERT_TRUE(one && two);
  const std::string file = images() + "/icewm/" + one->version + "/manifest.json";
  std::ofstream(file, std::ios::trunc) << "{";
  auto all = store.look();
  ASSERT_TRUE(all) << all.error().message();
  ASSERT_THAT(all->sound, SizeIs(1));
  EXPECT_EQ(all->sound[0].image, "xfce");
  ASSERT_THAT(all->broken, SizeIs(1));
  EXPECT_EQ(all->broken[0].image, "icewm");
  EXPECT_EQ(all->broken[0].version, one->version);
  EXPECT_THAT(all->broken[0].why.context, HasSubstr(file));

  fs::remove(file);
  all = store.look();
  ASSERT_TRUE(all);
  ASSERT_THAT(all->broken, SizeIs(1));
  EXPECT_EQ(all->broken[0].why.context, file + ": is missing");
  EXPECT_EQ(store.find("icewm", one->version).error().code, EPROTO) << "the version is there";

  // What its commit says stands for it: the same recipe is not built again.
  const auto known = store.list_known();
  ASSERT_TRUE(known) << known.error().message();
  EXPECT_THAT(*known, SizeIs(2));
  EXPECT_EQ(store.find_by_digest("icewm", "aaaa")->version, one->version);
  EXPECT_EQ(store.find_by_digest("xfce", "bbbb")->version, two->version);
  ASSERT_TRUE(commit(store, "icewm", "cccc"));

  ASSERT_TRUE(store.repository()->remove("icewm", one->version));
  EXPECT_THAT(*store.list_known(), SizeIs(2)) << "nobody knows what it was";
}

TEST_F(ImageStoreTest, AVersionWithADamagedManifestCanBeRemoved) {
  ImageStore store(images());
  const auto made = commit(store, "icewm", "aaaa");
  ASSERT_TRUE(made);
  std::ofstream(images() + "/icewm/" + made->version + "/manifest.json", std::ios::trunc) << "[]";
  const auto removed = store.remove("icewm", made->version);
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_FALSE(fs::exists(images() + "/icewm"));
  EXPECT_EQ(store.repository()->resolve("icewm", made->version).error().code, ENOENT)
      << "it must not come back";
}

TEST_F(ImageStoreTest, CommitNeedsATree) {
  ImageStore store(images());
  const auto staging = store.new_staging("icewm");
  ASSERT_TRUE(staging);
  VersionManifest manifest;
  manifest.image = "icewm";
  EXPECT_EQ(store.commit(*staging, manifest).error().code, ENOENT);
  EXPECT_TRUE(store.discard_staging(*staging));
  EXPECT_FALSE(fs::exists(*staging));
}

TEST_F(ImageStoreTest, CollectsStagingOfTheDeadOnly) {
  ImageStore store(images());
  const auto mine = store.new_staging("icewm");
  ASSERT_TRUE(mine);
  const pid_t child = ::fork();
  if (child == 0) {
    ImageStore theirs(images());
    const auto staging = theirs.new_staging("icewm");
    if (staging) fs::create_directories(*staging + "/root/etc");
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  const auto entries = [&] {
    return std::distance(fs::directory_iterator(images() + "/.staging"), fs::directory_iterator());
  };
  EXPECT_EQ(entries(), 2);
  ASSERT_TRUE(ImageStore(images()).collect_staging());
  EXPECT_EQ(entries(), 1);
  EXPECT_TRUE(fs::exists(*mine));
}

TEST_F(ImageStoreTest, StagingAndTraceOfRemovalAreNoVersions) {
  ImageStore store(images());
  ASSERT_TRUE(store.new_staging("icewm"));
  std::ofstream(images() + "/README") << "a file beside the images";
  const auto all = store.list();
  ASSERT_TRUE(all) << all.error().message();
  EXPECT_THAT(*all, IsEmpty());
}

TEST(Manifest, SurvivesPrintAndParse) {
  VersionManifest manifest;
  manifest.image = "icewm";
  manifest.version = "2026.11.23-1";
  manifest.recipe_digest = "ab";
  manifest.created_unix_s = 1763900000;
  manifest.size_bytes = std::uint64_t{5} << 40;
  manifest.session = {"a", "b \"c\""};
  manifest.browser_sandbox = true;
  manifest.packages = {{"bash", "5.2-1"}};
  manifest.commit = std::string(64, 'c');
  manifest.parent = std::string(64, 'd');
  manifest.message = "two\nlines";
  manifest.author = "ana";
  const auto back = parse_manifest(print_manifest(manifest), "m");
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->image, manifest.image);
  EXPECT_EQ(back->version, manifest.version);
  EXPECT_EQ(back->size_bytes, manifest.size_bytes);
  EXPECT_EQ(back->created_unix_s, manifest.created_unix_s);
  EXPECT_EQ(back->session, manifest.session);
  EXPECT_TRUE(back->browser_sandbox);
  EXPECT_EQ(back->packages, manifest.packages);
  EXPECT_EQ(back->commit, manifest.commit);
  EXPECT_EQ(back->parent, manifest.parent);
  EXPECT_EQ(back->message, manifest.message);
  EXPECT_EQ(back->author, manifest.author);
}

TEST(Manifest, OlderOnesHaveNoCommit) {
  VersionManifest manifest;
  manifest.image = "i";
  manifest.version = "1";
  const std::string text = print_manifest(manifest);
  EXPECT_EQ(text.find("commit"), std::string::npos);
  const auto back = parse_manifest(text, "m");
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->commit.empty());
}

TEST(Manifest, RefusesChecksumsThatAreNone) {
  VersionManifest manifest;
  manifest.image = "i";
  manifest.version = "1";
  for (const char* bad : {"1", "../../etc/passwd", "ABCD"}) {
    manifest.commit = bad;
    EXPECT_EQ(parse_manifest(print_manifest(manifest), "m").error().code, EPROTO) << bad;
    manifest.commit.clear();
    manifest.parent = bad;
    EXPECT_EQ(parse_manifest(print_manifest(manifest), "m").error().code, EPROTO) << bad;
    manifest.parent.clear();
  }
}

TEST(Manifest, RefusesNumbersThatAreNotWhole) {
  VersionManifest manifest;
  manifest.image = "i";
  manifest.version = "1";
  manifest.session = {"a"};
  const std::string good = print_manifest(manifest);
  ASSERT_TRUE(parse_manifest(good, "m"));
  const std::pair<const char*, const char*> replaced[] = {
      {"\"format\": 1", "\"format\": 1.0"},
      {"\"format\": 1", "\"format\": 4294967297"},
      {"\"format\": 1", "\"format\": 16666666666666666666666666666666666666666666666666"},
      {"\"format\": 1", "\"format\": \"1\""},
      {"\"created_unix_s\": 0", "\"created_unix_s\": 1e300"},
      {"\"size_bytes\": 0", "\"size_bytes\": -1"},
      {"\"size_bytes\": 0", "\"size_bytes\": 0.5"}};
  for (const auto& [from, to] : replaced) {
    std::string bad = good;
    const auto at = bad.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    bad.replace(at, std::strlen(from), to);
    const auto parsed = parse_manifest(bad, "m");
    ASSERT_FALSE(parsed) << to;
    EXPECT_EQ(parsed.error().code, EPROTO) << to;
  }
}

}  // namespace
}  // namespace panal::storage
