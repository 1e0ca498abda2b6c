#include "storage/repo/incoming.h"

#include <sys/mman.h>

#include <chrono>
#include <optional>

#include "storage/repo/glib.h"
#include "storage/repo/inner.h"
#include "storage/repo/under_way.h"
#include "tests/unit/storage/repo_fixture.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint64_t kMost = std::uint64_t{1} << 20;

class IncomingTest : public RepoTest {
 protected:
  void SetUp() override {
    source_.emplace(archive());
    checksum_ = commit(*source_, "1", files_);
    bytes_ = source_->commit_bytes(checksum_).value_or("");
    target_.emplace(bare());
  }
  void TearDown() override {
    source_.reset();
    target_.reset();
    RepoTest::TearDown();
  }

  static UniqueFd file_with(const std::string& bytes) {
    UniqueFd fd(::memfd_create("object", MFD_CLOEXEC));
    EXPECT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
    return fd;
  }

  Result<void> bring(Incoming& incoming, const ObjectName& object) {
    PANAL_ASSIGN(const UniqueFd fd, source_->archive_object(object));
    return incoming.add(object, fd.get(), kMost);
  }

  Result<void> bring_all(Incoming& incoming, std::size_t at_once = 2) {
    for (;;) {
      PANAL_ASSIGN(const auto wanted, incoming.missing(at_once));
      if (wanted.empty()) return {};
      for (const auto& object : wanted) PANAL_TRY(bring(incoming, object));
    }
  }

  /// The first file object that is asked for, once all directories are there.
  ObjectName a_file(Incoming& incoming) {
    for (;;) {
      const auto wanted = incoming.missing(1);
      EXPECT_TRUE(wanted);
      if (!wanted || wanted->empty()) return {};
      if (wanted->front().type == ObjectType::kFile) return wanted->front();
      EXPECT_TRUE(bring(incoming, wanted->front()));
    }
  }

  Files files_{
      {"usr/lib/big", std::string(100'000, 'b')}, {"etc/motd", "hello"}, {"usr/lib/l", "->big"}};
  std::string checksum_;
  std::string bytes_;
  std::optional<Repository> source_;
  std::optional<Repository> target_;
};

TEST_F(IncomingTest, TakesAVersionObjectByObject) {
  {
    auto incoming = target_->receive(checksum_, bytes_);
    ASSERT_TRUE(incoming) << incoming.error().message();
    EXPECT_EQ(incoming->manifest().image, "icewm");
    const auto early = incoming->finish();
    ASSERT_FALSE(early);
    EXPECT_EQ(early.error().code, ENOENT);
    const auto all = bring_all(*incoming);
    ASSERT_TRUE(all) << all.error().message();
    EXPECT_GE(incoming->bytes(), 100'000U);
    EXPECT_EQ(target_->resolve("icewm", "1").error().code, ENOENT) << "named last";
    const auto done = incoming->finish();
    ASSERT_TRUE(done) << done.error().message();
  }
  EXPECT_EQ(*target_->resolve("icewm", "1"), checksum_);
  ASSERT_TRUE(target_->checkout(checksum_, at("out")));
  EXPECT_EQ(read(at("out/usr/lib/big")), files_["usr/lib/big"]);
  EXPECT_EQ(std::filesystem::read_symlink(at("out/usr/lib/l")), "big");
  EXPECT_THAT(target_->verify()->damages, IsEmpty());
}

TEST_F(IncomingTest, WhatCameIsNotFetchedAgain) {
  std::uint64_t fetched = 0;
  {
    auto incoming = target_->receive(checksum_, bytes_);
    ASSERT_TRUE(incoming);
    (void)a_file(*incoming);
    fetched = incoming->objects();
    EXPECT_GT(fetched, 3U);
  }
  EXPECT_EQ(target_->resolve("icewm", "1").error().code, ENOENT);
  {
    auto incoming = target_->receive(checksum_, bytes_);
    ASSERT_TRUE(incoming);
    const auto wanted = incoming->missing(100);
    ASSERT_TRUE(wanted);
    for (const auto& object : *wanted) EXPECT_EQ(object.type, ObjectType::kFile);
  }
  const auto freed = target_->gc();
  ASSERT_TRUE(freed);
  EXPECT_GT(freed->leftovers, 0U) << "gc takes it when nobody is at it";
  auto incoming = target_->receive(checksum_, bytes_);
  ASSERT_TRUE(incoming);
  EXPECT_THAT(*incoming->missing(100), SizeIs(2)) << "the root and its mode";
}

TEST_F(IncomingTest, GcSaysWhatItWaitsFor) {
  auto theirs = Repository::open(target_->path());
  ASSERT_TRUE(theirs);
  {
    const auto incoming = target_->receive(checksum_, bytes_);
    ASSERT_TRUE(incoming);
    const auto refused = theirs->gc({}, std::chrono::milliseconds{0});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EBUSY);
    EXPECT_THAT(refused.error().context, ::testing::StartsWith("a pull of icewm 1 runs"));
    EXPECT_THAT(refused.error().context, HasSubstr("wait for it or end it"));
  }
  // Of one that was killed there may be such a file, which says nothing any more.
  std::ofstream(target_->path() + "/tmp/under-way.killed") << "a pull of icewm 9";
  EXPECT_EQ(work_under_way(target_->path()), "");
  EXPECT_TRUE(theirs->gc({}, std::chrono::milliseconds{0}));
  EXPECT_FALSE(std::filesystem::exists(target_->path() + "/tmp/under-way.killed"));
}

TEST_F(IncomingTest, RefusesACommitThatIsNotItsName) {
  std::string bad = bytes_;
  bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 1);
  EXPECT_EQ(target_->receive(checksum_, bad).error().code, EBADMSG);
  EXPECT_EQ(target_->receive(checksum_, "").error().code, EBADMSG);
  EXPECT_EQ(target_->receive("abc", bytes_).error().code, EINVAL);
  const std::string text = "no commit at all";
  EXPECT_EQ(target_->receive(sha256_hex(text), text).error().code, EPROTO);
}

TEST_F(IncomingTest, RefusesMalformedFiles) {
  auto incoming = target_->receive(checksum_, bytes_);
  ASSERT_TRUE(incoming);
  const ObjectName object = a_file(*incoming);
  ASSERT_EQ(object.type, ObjectType::kFile);
  const std::string good = read(file_of(*source_, object));
  const auto with_length = [&good](std::uint32_t length) {
    std::string bad = good;
    for (unsigned i = 0; i < 4; ++i) bad[i] = static_cast<char>((length >> (24U - 8U * i)) & 0xffU);
    return bad;
  };
  const auto flipped = [&good](std::size_t at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    return bad;
  };
  const std::pair<const char*, std::string> table[] = {
      {"nothing", ""},
      {"three bytes", good.substr(0, 3)},
      {"the length alone", good.substr(0, 8)},
      {"cut in the header", good.substr(0, 20)},
      {"cut at the end", good.substr(0, good.size() - 1)},
      {"no header", with_length(0)},
      {"longer than the file", with_length(static_cast<std::uint32_t>(good.size()))},
      {"endless", with_length(0xffffffff)},
      {"a header of one byte", with_length(1)},
      {"another size", flipped(8)},
      {"another size, lowest bits", flipped(15)},
      {"another owner", flipped(19)},
      {"another type", flipped(26)},
      {"a device number", flipped(31)},
      {"other content", flipped(good.size() - 3)},
      {"text", "HTTP/1.1 404 Not Found\r\n\r\nno such file, and quite some words about it"},
      {"zeroes", std::string(4096, '\0')},
  };
  for (const auto& [what, bytes] : table) {
    const auto fd = file_with(bytes);
    const auto added = incoming->add(object, fd.get(), kMost);
    ASSERT_FALSE(added) << what;
    EXPECT_THAT(added.error().code, ::testing::AnyOf(EBADMSG, EFBIG, ERANGE, EPERM))
        << what << ": " << added.error().message();
  }
  EXPECT_TRUE(bring(*incoming, object)) << "and the good one is still wanted";
}

TEST_F(IncomingTest, RefusesMalformedDirectories) {
  auto incoming = target_->receive(checksum_, bytes_);
  ASSERT_TRUE(incoming);
  const auto wanted = incoming->missing(2);
  ASSERT_TRUE(wanted);
  for (const auto& object : *wanted) {
    ASSERT_NE(object.type, ObjectType::kFile);
    for (const std::string& bytes : {std::string(), std::string("x"), std::string(1000, '\0')}) {
      const auto fd = file_with(bytes);
      EXPECT_EQ(incoming->add(object, fd.get(), kMost).error().code, EBADMSG);
    }
  }
  const std::string text = "no directory";
  const auto fd = file_with(text);
  EXPECT_EQ(incoming->add({sha256_hex(text), ObjectType::kDirTree}, fd.get(), kMost).error().code,
            EPROTO);
}

TEST_F(IncomingTest, RefusesAFileThatIsTooLong) {
  auto incoming = target_->receive(checksum_, bytes_);
  ASSERT_TRUE(incoming);
  (void)a_file(*incoming);
  bool found = false;
  const auto wanted = incoming->missing(100);
  ASSERT_TRUE(wanted);
  for (const auto& object : *wanted) {
    const auto fd = source_->archive_object(object);
    ASSERT_TRUE(fd);
    const auto added = incoming->add(object, fd->get(), 99'999);
    if (added) continue;
    found = true;
    EXPECT_EQ(added.error().code, EFBIG);
    EXPECT_THAT(added.error().context, HasSubstr("100000 bytes"));
  }
  EXPECT_TRUE(found);
}

/// Directories that hold one another: a few objects, and a tree that no disk holds.
TEST_F(IncomingTest, RefusesATreeThatUnfoldsWithoutEnd) {
  const auto digest = [](const std::string& hex_text) {
    guchar* raw = ::ostree_checksum_to_bytes(hex_text.c_str());
    std::string bytes(reinterpret_cast<const char*>(raw), 32);
    ::g_free(raw);
    return bytes;
  };
  const auto blob = [](const std::string& bytes) {
    return ::g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, bytes.data(), bytes.size(), 1);
  };
  const auto unfolds = [&](int levels, int width) {
    const glib::Variant meta(::g_variant_ref_sink(
        ::g_variant_new("(uuu@a(ayay))", 0, 0, GUINT32_TO_BE(S_IFDIR | 0755),
                        ::g_variant_new_array(G_VARIANT_TYPE("(ayay)"), nullptr, 0))));
    const std::string meta_bytes = glib::bytes_of(meta.get());
    const std::string meta_sum = sha256_hex(meta_bytes);
    std::vector<std::string> trees;
    for (int level = 0; level < levels; ++level) {
      GVariantBuilder directories;
      ::g_variant_builder_init(&directories, G_VARIANT_TYPE("a(sayay)"));
      for (int i = 0; level > 0 && i < width; ++i)
        ::g_variant_builder_add(&directories, "(s@ay@ay)", ("d" + std::to_string(10 + i)).c_str(),
                                blob(digest(sha256_hex(trees.back()))), blob(digest(meta_sum)));
      const glib::Variant tree(::g_variant_ref_sink(::g_variant_new(
          "(@a(say)a(sayay))", ::g_variant_new_array(G_VARIANT_TYPE("(say)"), nullptr, 0),
          &directories)));
      trees.push_back(glib::bytes_of(tree.get()));
    }
    GVariantBuilder metadata;
    ::g_variant_builder_init(&metadata, G_VARIANT_TYPE("a{sv}"));
    ::g_variant_builder_add(&metadata, "{sv}", kManifestKey,
                            ::g_variant_new_string(print_manifest(manifest_of("2")).c_str()));
    const glib::Variant made(::g_variant_ref_sink(::g_variant_new(
        "(a{sv}@ay@a(say)sst@ay@ay)", &metadata, blob(""),
        ::g_variant_new_array(G_VARIANT_TYPE("(say)"), nullptr, 0), "", "", guint64{0},
        blob(digest(sha256_hex(trees.back()))), blob(digest(meta_sum)))));
    const std::string commit_bytes = glib::bytes_of(made.get());
    auto incoming = target_->receive(sha256_hex(commit_bytes), commit_bytes);
    EXPECT_TRUE(incoming) << incoming.error().message();
    const auto meta_fd = file_with(meta_bytes);
    EXPECT_TRUE(incoming->add({meta_sum, ObjectType::kDirMeta}, meta_fd.get(), kMost));
    for (const auto& tree : trees) {
      const auto fd = file_with(tree);
      EXPECT_TRUE(incoming->add({sha256_hex(tree), ObjectType::kDirTree}, fd.get(), kMost));
    }
    return incoming->finish();
  };
  const auto wide = unfolds(12, 50);
  ASSERT_FALSE(wide);
  EXPECT_EQ(wide.error().code, EPROTO);
  EXPECT_THAT(wide.error().context, HasSubstr("more than 4000000 files"));
  const auto deep = unfolds(2000, 1);
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().code, EPROTO);
  EXPECT_THAT(deep.error().context, HasSubstr("deeper than 64"));
  EXPECT_TRUE(unfolds(60, 1));
}

TEST_F(IncomingTest, AnotherCommitCannotTakeAVersionsName) {
  const auto ours = commit(*target_, "1", {{"ours", "ours"}});
  auto incoming = target_->receive(checksum_, bytes_);
  ASSERT_TRUE(incoming);
  ASSERT_TRUE(bring_all(*incoming));
  const auto done = incoming->finish();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, EEXIST);
  EXPECT_EQ(*target_->resolve("icewm", "1"), ours);
}

}  // namespace
}  // namespace panal::storage
