/// Publishing: what a reader sees at every moment, and after a publisher was killed.

#include <thread>

#include "tests/system/storage/transfer_fixture.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Every version of the list is whole, and pulls.
void expect_whole(const std::string& dir, const PublicKey& key) {
  auto archive = Archive::open(dir);
  ASSERT_TRUE(archive) << archive.error().message();
  const auto list = archive->list(key);
  ASSERT_TRUE(list) << list.error().message();
  for (const auto& version : list->versions) {
    const auto has = archive->repository().has(version.commit);
    ASSERT_TRUE(has) << has.error().message();
    EXPECT_TRUE(*has) << version.version;
  }
  const auto verified = archive->repository().verify();
  ASSERT_TRUE(verified) << verified.error().message();
  EXPECT_THAT(verified->damages, IsEmpty());
}

TEST_F(TransferTest, PushListsAVersionOnceAndNeverAnotherUnderItsName) {
  const std::string before = read(archive_dir() + "/" + kListName);
  const auto again = archive_->push(*publisher_, first_.commit, *key_);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(read(archive_dir() + "/" + kListName), before) << "nothing is signed anew";

  // Another publisher's icewm 1.
  auto other = new_node("other");
  write(dir_ + "/tree/etc/motd", "other");
  CommitSpec spec;
  spec.root = dir_ + "/tree";
  spec.manifest.image = "icewm";
  spec.manifest.version = "1";
  const auto commit = other->commit(spec);
  ASSERT_TRUE(commit) << commit.error().message();
  EXPECT_EQ(archive_->push(*other, *commit, *key_).error().code, EEXIST);
  EXPECT_EQ(archive_->push(*publisher_, std::string(64, '0'), *key_).error().code, ENOENT);
  expect_whole(archive_dir(), key_->public_key());
}

TEST_F(TransferTest, AnArchiveIsForItsKeyAndForWebServers) {
  EXPECT_EQ(stat_of(archive_dir()).st_mode & 07777U, 0755U);
  EXPECT_EQ(stat_of(archive_dir() + "/" + kListName).st_mode & 07777U, 0644U);
  const auto stranger = SecretKey::generate();
  const auto refused = archive_->push(*publisher_, first_.commit, *stranger);
  EXPECT_EQ(refused.error().code, EKEYREJECTED);
  EXPECT_EQ(Archive::open_or_create(archive_dir(), *stranger).error().code, EKEYREJECTED);
  EXPECT_EQ(Archive::open(dir_ + "/none").error().code, ENOENT);
  EXPECT_EQ(Archive::open(dir_ + "/node").error().code, EINVAL) << "a node's own is none";
  // All of it can be read by somebody else.
  ASSERT_TRUE(walk_tree(archive_dir() + "/objects", [](const TreeEntry& entry) -> Result<void> {
    EXPECT_EQ(entry.info.st_mode & 0444U, 0444U) << entry.path;
    return {};
  }));
}

TEST_F(TransferTest, WebServersCanReadWhateverTheUmaskOfThePublisherIs) {
  const mode_t before = ::umask(077);
  auto archive = Archive::open_or_create(dir_ + "/private", *key_);
  ASSERT_TRUE(archive) << archive.error().message();
  const auto pushed = archive->push(*publisher_, first_.commit, *key_);
  (void)::umask(before);
  ASSERT_TRUE(pushed) << pushed.error().message();
  const std::string dir = dir_ + "/private";
  EXPECT_EQ(stat_of(dir).st_mode & 0755U, 0755U);
  EXPECT_EQ(stat_of(dir + "/objects").st_mode & 0755U, 0755U);
  EXPECT_EQ(stat_of(dir + "/" + kListName).st_mode & 0777U, 0644U);
  ASSERT_TRUE(walk_tree(dir + "/objects", [](const TreeEntry& entry) -> Result<void> {
    const unsigned wanted = S_ISDIR(entry.info.st_mode) ? 0755U : 0644U;
    EXPECT_EQ(entry.info.st_mode & wanted, wanted) << entry.path;
    return {};
  }));
}

TEST_F(TransferTest, WithdrawnVersionsAreGoneFromListAndDisk) {
  write(dir_ + "/tree/etc/motd", "second");
  const ListedVersion second = publish("2");
  EXPECT_EQ(archive_->withdraw("icewm", {"1", "3"}, *key_).error().code, ENOENT);
  EXPECT_THAT(archive_->list(key_->public_key())->versions, SizeIs(2)) << "nothing was changed";
  ASSERT_TRUE(archive_->withdraw("icewm", {"1"}, *key_));
  const auto report = archive_->repository().gc();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_GT(report->objects, 0U);
  const auto list = archive_->list(key_->public_key());
  ASSERT_THAT(list->versions, SizeIs(1));
  EXPECT_EQ(list->versions[0].commit, second.commit);
  expect_whole(archive_dir(), key_->public_key());
}

TEST_F(TransferTest, AReaderSeesASignedListAtEveryMoment) {
  std::atomic<bool> done{false};
  std::size_t looks = 0;
  std::uint64_t newest = 0;
  std::thread reader([&] {
    Trust trust;
    trust.key = key_->public_key();
    while (!done) {
      const auto accepted = accept_list(read(archive_dir() + "/" + kListName), "list", trust, 0);
      EXPECT_TRUE(accepted) << accepted.error().message();
      if (!accepted) return;
      trust = accepted->trust;
      newest = trust.serial;
      ++looks;
    }
  });
  std::uint64_t last = 0;
  for (int turn = 0; turn < 100; ++turn) last = archive_->sign_again(*key_, {})->serial;
  done = true;
  reader.join();
  EXPECT_GT(looks, 10U);
  EXPECT_LE(newest, last);
  EXPECT_GE(last, static_cast<std::uint64_t>(::time(nullptr)) - 100);
}

TEST_F(TransferTest, TwoPublishersBothGetTheirVersionListed) {
  auto other = new_node("other");
  CommitSpec spec;
  spec.root = dir_ + "/tree";
  spec.manifest.image = "xfce";
  std::vector<std::string> commits;
  for (int version = 0; version < 10; ++version) {
    spec.manifest.version = std::to_string(version);
    commits.push_back(other->commit(spec).value_or(""));
  }
  const pid_t child = ::fork();
  if (child == 0) {
    auto archive = Archive::open(archive_dir());
    bool fine = archive.has_value();
    for (int version = 0; fine && version < 5; ++version)
      fine = archive->push(*other, commits[static_cast<std::size_t>(version)], *key_).has_value();
    ::_exit(fine ? 0 : 1);
  }
  for (std::size_t version = 5; version < 10; ++version) {
    const auto pushed = archive_->push(*other, commits[version], *key_);
    EXPECT_TRUE(pushed) << pushed.error().message();
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_THAT(archive_->list(key_->public_key())->versions, SizeIs(11));
  expect_whole(archive_dir(), key_->public_key());
}

TEST_F(TransferTest, AKilledPublisherLeavesAValidArchive) {
  for (int turn = 0; turn < 20; ++turn) {
    write(dir_ + "/tree/etc/motd", "turn " + std::to_string(turn));
    CommitSpec spec;
    spec.root = dir_ + "/tree";
    spec.manifest.image = "icewm";
    spec.manifest.version = "k" + std::to_string(turn);
    const auto commit = publisher_->commit(spec);
    ASSERT_TRUE(commit) << commit.error().message();
    const pid_t child = ::fork();
    if (child == 0) {
      auto archive = Archive::open(archive_dir());
      ::_exit(archive && archive->push(*publisher_, *commit, *key_) ? 0 : 1);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(1500 * turn));
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    expect_whole(archive_dir(), key_->public_key());
    const auto pushed = archive_->push(*publisher_, *commit, *key_);
    ASSERT_TRUE(pushed) << pushed.error().message();
  }
  EXPECT_THAT(archive_->list(key_->public_key())->versions, SizeIs(21));
  expect_whole(archive_dir(), key_->public_key());
}

TEST_F(TransferTest, AnArchiveWhoseListWasLostGoesOnAboveWhatNodesHaveSeen) {
  auto source = open_local_source(archive_dir());
  const auto list = fetch_list(**source, trust_file(), ::time(nullptr));
  ASSERT_TRUE(list) << list.error().message();
  ASSERT_EQ(::unlink((archive_dir() + "/" + kListName).c_str()), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));  // no serial is below the time
  ASSERT_TRUE(archive_->push(*publisher_, first_.commit, *key_));
  const auto again = fetch_list(**source, trust_file(), ::time(nullptr));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_GT(again->serial, list->serial);
  EXPECT_THAT(again->versions, SizeIs(1));
}

}  // namespace
}  // namespace panal::storage
