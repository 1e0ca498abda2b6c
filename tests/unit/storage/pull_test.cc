#include "storage/transfer/pull.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>

#include "storage/transfer/archive.h"
#include "storage/transfer/signed_list.h"
#include "storage/transfer/trust.h"
#include "tests/unit/storage/repo_fixture.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A directory's archive, until a test has it lie.
class LyingSource final : public Source {
 public:
  explicit LyingSource(const std::string& directory)
      : honest_(std::move(*open_local_source(directory))) {}

  Result<void> want(const std::string& path, std::uint64_t most_bytes) override {
    asked.push_back(path);
    return honest_->want(path, most_bytes);
  }
  Result<FetchedFile> next() override {
    auto fetched = honest_->next();
    if (fetched && lie) return lie(std::move(*fetched));
    return fetched;
  }
  [[nodiscard]] const std::string& where() const override { return honest_->where(); }

  std::vector<std::string> asked;
  std::function<Result<FetchedFile>(FetchedFile)> lie;

 private:
  std::unique_ptr<Source> honest_;
};

FetchedFile with_bytes(FetchedFile fetched, const std::string& bytes) {
  fetched.file = UniqueFd(::memfd_create("lie", MFD_CLOEXEC));
  EXPECT_EQ(::pwrite(fetched.file.get(), bytes.data(), bytes.size(), 0),
            static_cast<ssize_t>(bytes.size()));
  fetched.bytes = bytes.size();
  return fetched;
}

class PullTest : public RepoTest {
 protected:
  void SetUp() override {
    auto key = SecretKey::generate();
    ASSERT_TRUE(key);
    key_.emplace(std::move(*key));
    publisher_.emplace(bare("publisher"));
    listed_.commit = commit(*publisher_, "1", files_);
    listed_.image = "icewm";
    listed_.version = "1";
    auto archive = Archive::open_or_create(at("archive"), *key_);
    ASSERT_TRUE(archive) << archive.error().message();
    archive_.emplace(std::move(*archive));
    const auto pushed = archive_->push(*publisher_, listed_.commit, *key_);
    ASSERT_TRUE(pushed) << pushed.error().message();
    node_.emplace(bare("node"));
    source_.emplace(at("archive"));
    Trust trust;
    trust.key = key_->public_key();
    ASSERT_TRUE(write_trust(at("trust"), trust));
  }
  void TearDown() override {
    node_.reset();
    publisher_.reset();
    archive_.reset();
    RepoTest::TearDown();
  }

  /// From a new source each time: one that was left with something asked for is of no use.
  Result<PullReport> pull(const PullBudget& budget = {}, const Work& work = {}) {
    const auto lie = source_->lie;
    source_.emplace(at("archive"));
    source_->lie = lie;
    return pull_version(*node_, *source_, listed_, budget, work);
  }

  Files files_{
      {"usr/lib/big", std::string(100'000, 'b')}, {"etc/motd", "hello"}, {"usr/lib/l", "->big"}};
  std::optional<SecretKey> key_;
  std::optional<Repository> publisher_;
  std::optional<Archive> archive_;
  std::optional<Repository> node_;
  std::optional<LyingSource> source_;
  ListedVersion listed_;
};

TEST_F(PullTest, BringsAVersionAndThenNothingMore) {
  const auto report = pull();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_GE(report->objects, 6U);
  EXPECT_GT(report->stored_bytes, 100'000U);
  EXPECT_LT(report->sent_bytes, 10'000U);
  EXPECT_EQ(*node_->resolve("icewm", "1"), listed_.commit);
  source_->asked.clear();
  const auto again = pull();
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->objects, 0U);
  EXPECT_THAT(source_->asked, SizeIs(1)) << "the commit alone";
}

TEST_F(PullTest, ACommitUnderAnotherNameIsRefused) {
  listed_.version = "2";
  const auto report = pull();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, EPROTO);
  EXPECT_THAT(report.error().message(), HasSubstr("calls itself icewm 1"));
  EXPECT_THAT(*node_->log(), IsEmpty());
}

TEST_F(PullTest, WrongBytesAreNamedAndTheNextTryNeedsOnlyTheRest) {
  const auto wrong = [](const std::string& ending) {
    return [ending](FetchedFile fetched) -> Result<FetchedFile> {
      if (!fetched.path.ends_with(ending)) return fetched;
      return with_bytes(std::move(fetched), std::string(200, 'x'));
    };
  };
  for (const char* ending : {".commit", ".dirtree", ".dirmeta", ".filez"}) {
    source_->lie = wrong(ending);
    const auto report = pull();
    ASSERT_FALSE(report) << ending;
    EXPECT_EQ(report.error().code, EBADMSG) << report.error().message();
    EXPECT_THAT(report.error().message(), HasSubstr(at("archive") + ": objects/"));
    EXPECT_THAT(*node_->log(), IsEmpty());
  }
  source_->lie = nullptr;
  source_->asked.clear();
  ASSERT_TRUE(pull());
  for (const auto& path : source_->asked)
    EXPECT_FALSE(path.ends_with(".dirtree") || path.ends_with(".dirmeta")) << path;
}

TEST_F(PullTest, AnObjectInTheNameOfAnotherIsRefused) {
  std::string kept;
  source_->lie = [&kept](FetchedFile fetched) -> Result<FetchedFile> {
    if (!fetched.path.ends_with(".filez")) return fetched;
    const std::string bytes = read_fetched(fetched.file.get(), 1 << 20).value_or("");
    if (kept.empty()) kept = bytes;
    return with_bytes(std::move(fetched), kept);
  };
  EXPECT_EQ(pull().error().code, EBADMSG);
}

TEST_F(PullTest, WhatWasNotAskedForIsRefused) {
  source_->lie = [](FetchedFile fetched) -> Result<FetchedFile> {
    if (fetched.path.ends_with(".dirtree")) fetched.path = "objects/ab/cd.filez";
    return fetched;
  };
  EXPECT_EQ(pull().error().code, EPROTO);
}

TEST_F(PullTest, WhatFailsIsToldAsItIs) {
  source_->lie = [](FetchedFile fetched) -> Result<FetchedFile> {
    if (fetched.path.ends_with(".filez")) return fail(ETIMEDOUT, "slow");
    return fetched;
  };
  EXPECT_EQ(pull().error().code, ETIMEDOUT);
  source_->lie = nullptr;
  std::filesystem::remove_all(at("archive/objects"));
  EXPECT_EQ(pull().error().code, ENOENT);
}

TEST_F(PullTest, KeepsToItsBudget) {
  PullBudget budget;
  budget.object_bytes = 50'000;
  EXPECT_EQ(pull(budget).error().code, EFBIG);
  budget = {};
  budget.bytes = 50'000;
  EXPECT_EQ(pull(budget).error().code, EFBIG);
  EXPECT_THAT(*node_->log(), IsEmpty());
}

TEST_F(PullTest, CanBeCancelled) {
  std::atomic<bool> cancelled{true};
  Work work;
  work.cancelled = &cancelled;
  EXPECT_EQ(pull({}, work).error().code, ECANCELED);
  std::vector<double> fractions;
  cancelled = false;
  work.progress = [&](double fraction, const std::string&) { fractions.push_back(fraction); };
  ASSERT_TRUE(pull({}, work));
  EXPECT_GE(fractions.size(), 6U);
  for (const double fraction : fractions) EXPECT_TRUE(fraction >= 0 && fraction <= 1) << fraction;
}

TEST_F(PullTest, TheListIsCheckedAgainstWhatWasSeen) {
  const auto list = fetch_list(*source_, at("trust"), 0);
  ASSERT_TRUE(list) << list.error().message();
  EXPECT_EQ(read_trust(at("trust"))->serial, list->serial);
  EXPECT_TRUE(find_version(*list, "icewm", "1"));

  const std::string old = read(at("archive/panal-images"));
  const auto newer = archive_->sign_again(*key_, {});
  ASSERT_TRUE(newer);
  EXPECT_GT(newer->serial, list->serial);
  ASSERT_TRUE(fetch_list(*source_, at("trust"), 0));
  write(at("archive/panal-images"), old);
  EXPECT_EQ(fetch_list(*source_, at("trust"), 0).error().code, ESTALE);

  write(at("archive/panal-images"), "<html>");
  EXPECT_EQ(fetch_list(*source_, at("trust"), 0).error().code, EPROTO);
  std::filesystem::remove(at("archive/panal-images"));
  const auto none = fetch_list(*source_, at("trust"), 0);
  EXPECT_EQ(none.error().code, ENOENT);
  EXPECT_THAT(none.error().message(), HasSubstr("is no archive of images"));
  EXPECT_THAT(fetch_list(*source_, at("none"), 0).error().message(),
              HasSubstr("no key is trusted"));
}

TEST_F(PullTest, OnlyABelievedListChangesWhatIsTrusted) {
  ASSERT_TRUE(fetch_list(*source_, at("trust"), 0));
  const std::string before = read(at("trust"));
  const auto wrong = SecretKey::generate();
  ASSERT_TRUE(wrong);
  const auto refused = fetch_list_by_key(*source_, at("trust"), wrong->public_key(), true, 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EKEYREJECTED);
  EXPECT_EQ(read(at("trust")), before);

  EXPECT_TRUE(fetch_list_by_key(*source_, at("new"), key_->public_key(), false, 0));
  EXPECT_FALSE(std::filesystem::exists(at("new"))) << "a trial keeps nothing";
  const auto list = fetch_list_by_key(*source_, at("new"), key_->public_key(), true, 0);
  ASSERT_TRUE(list) << list.error().message();
  EXPECT_EQ(read_trust(at("new"))->serial, list->serial);
  EXPECT_TRUE(fetch_list(*source_, at("new"), 0));
}

TEST_F(PullTest, RepairHasItsObjectsFromAnArchive) {
  ASSERT_TRUE(pull());
  const auto files = objects(*node_, ".file");
  ASSERT_FALSE(files.empty());
  for (const auto& file : files)
    if (!std::filesystem::is_symlink(file)) std::filesystem::remove(file);
  const auto found = node_->verify();
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_THAT(found->damages, SizeIs(2));
  const auto left = node_->repair(found->damages, storage::fetch_from(*source_, {}));
  ASSERT_TRUE(left) << left.error().message();
  EXPECT_THAT(*left, IsEmpty());
  EXPECT_THAT(node_->verify()->damages, IsEmpty());
}

TEST_F(PullTest, AnArchiveIsReadWithItsList) {
  const auto sound = archive_->verify();
  ASSERT_TRUE(sound) << sound.error().message();
  EXPECT_THAT(sound->damages, IsEmpty());
  EXPECT_GE(sound->objects, 6U);

  // That of the link has no content that could be cut.
  const auto files = objects(archive_->repository(), ".filez");
  const std::string object =
      *std::max_element(files.begin(), files.end(), [](const auto& a, const auto& b) {
        return std::filesystem::file_size(a) < std::filesystem::file_size(b);
      });
  const std::string good = read(object);
  write(object, good.substr(0, good.size() - 1));
  const auto damaged = archive_->verify();
  ASSERT_TRUE(damaged);
  ASSERT_THAT(damaged->damages, SizeIs(1));
  EXPECT_THAT(damaged->damages[0].places, ::testing::Contains(HasSubstr("icewm 1: /")));
  write(object, good);

  const std::string list = at("archive/panal-images");
  const std::string text = read(list);
  for (const std::string& bad : {std::string("<html>"), text.substr(0, text.size() - 2),
                                 std::string(text).replace(text.size() - 4, 1, "x")}) {
    write(list, bad);
    const auto report = archive_->verify();
    ASSERT_TRUE(report);
    ASSERT_THAT(report->damages, SizeIs(1)) << bad;
    EXPECT_THAT(report->damages[0].places, ::testing::ElementsAre("panal-images"));
  }
  write(list, text);
  ASSERT_TRUE(archive_->repository().remove("icewm", "1"));
  const auto unnamed = archive_->verify();
  ASSERT_THAT(unnamed->damages, SizeIs(1));
  EXPECT_THAT(unnamed->damages[0].what, HasSubstr("icewm 1 is listed"));
}

TEST_F(PullTest, AnArchiveTakesTheFreePlaceOfAnEmptyDirectoryAndNoOther) {
  std::filesystem::create_directories(at("web/images"));
  EXPECT_TRUE(Archive::open_or_create(at("web/images/"), *key_));
  EXPECT_TRUE(Archive::open_or_create(at("new/below/images"), *key_));
  std::filesystem::create_directories(at("taken"));
  write(at("taken/index.html"), "hello");
  EXPECT_EQ(Archive::open_or_create(at("taken"), *key_).error().code, EPROTO);
  EXPECT_EQ(read(at("taken/index.html")), "hello");
  EXPECT_EQ(Archive::open_or_create(at("node"), *key_).error().code, EINVAL);
  EXPECT_FALSE(std::filesystem::exists(at("node/panal-images")));
}

}  // namespace
}  // namespace panal::storage
