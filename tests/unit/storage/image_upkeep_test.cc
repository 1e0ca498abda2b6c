/// What becomes of versions between their commit and their end: trees that are hard links, versions
/// from elsewhere, older ones that are adopted, damage, and whatever a killed process left.

#include <signal.h>
#include <sys/wait.h>

#include "engine/base/unique_fd.h"
#include "storage/image/image_store.h"
#include "storage/repo/incoming.h"
#include "tests/unit/storage/repo_fixture.h"

namespace panal::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ImageUpkeepTest : public RepoTest {
 protected:
  [[nodiscard]] std::string images() const { return at("images"); }

  static VersionManifest built(const std::string& message) {
    VersionManifest manifest;
    manifest.image = "icewm";
    manifest.session = {"icewm-session"};
    manifest.message = message;
    return manifest;
  }

  Result<VersionManifest> build(const Files& files, const std::string& message = "") {
    PANAL_ASSIGN(const std::string staging, store_.new_staging("icewm"));
    make_tree(staging + "/root", files);
    return store_.commit(staging, built(message));
  }

  /// A version as they were before there was a repository.
  std::string build_without_commit(const Files& files) {
    const std::string dir = images() + "/icewm/2026.01.01-1";
    make_tree(dir + "/root", files);
    VersionManifest manifest = built("");
    manifest.version = "2026.01.01-1";
    write(dir + "/manifest.json", print_manifest(manifest));
    return dir + "/root";
  }

  [[nodiscard]] std::size_t staged() const {
    const std::string dir = images() + "/.staging";
    if (!fs::exists(dir)) return 0;
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(dir), fs::directory_iterator()));
  }

  ImageStore store_{images()};
};

TEST_F(ImageUpkeepTest, AVersionIsACommitAndACheckout) {
  const auto one = build({{"usr/lib/big", "big"}, {"etc/a", "1"}}, "the first");
  ASSERT_TRUE(one) << one.error().message();
  EXPECT_TRUE(is_checksum(one->commit));
  const auto two = build({{"usr/lib/big", "big"}, {"etc/a", "2"}});
  ASSERT_TRUE(two);
  const auto root_one = store_.root_of("icewm", one->version);
  const auto root_two = store_.root_of("icewm", two->version);
  EXPECT_EQ(stat_of(root_one + "/usr/lib/big").st_ino, stat_of(root_two + "/usr/lib/big").st_ino);
  EXPECT_EQ(read(root_one + "/etc/a"), "1");
  EXPECT_EQ(store_.find("icewm", one->version)->commit, one->commit);
  const auto repository = store_.repository();
  ASSERT_TRUE(repository);
  EXPECT_EQ(*repository->resolve("icewm", one->version), one->commit);
  EXPECT_EQ(repository->show(one->commit)->message, "the first");
  EXPECT_EQ(print_manifest(*repository->show(one->commit)),
            print_manifest(*store_.find("icewm", one->version)));
  EXPECT_THAT(store_.verify()->damages, IsEmpty());

  const auto diff = store_.diff("icewm", one->version, two->version);
  ASSERT_TRUE(diff) << diff.error().message();
  ASSERT_THAT(diff->files, SizeIs(1));
  EXPECT_EQ(diff->files[0].path, "/etc/a");
  EXPECT_EQ(staged(), 0U);
}

TEST_F(ImageUpkeepTest, AManifestsOwnVersionIsKept) {
  const auto staging = store_.new_staging("icewm");
  make_tree(*staging + "/root", {{"a", "a"}});
  VersionManifest manifest = built("");
  manifest.version = "7.0";
  ASSERT_EQ(store_.commit(*staging, manifest)->version, "7.0");
  const auto again = store_.new_staging("icewm");
  make_tree(*again + "/root", {{"a", "b"}});
  const auto refused = store_.commit(*again, manifest);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EEXIST);
  EXPECT_TRUE(fs::exists(*again + "/root/a")) << "and its tree is not consumed";
}

TEST_F(ImageUpkeepTest, RemovingAndGcGiveTheSpaceBack) {
  const auto one = build({{"a", std::string(50'000, 'a')}});
  const auto two = build({{"a", std::string(50'000, 'b')}});
  ASSERT_TRUE(two);
  ASSERT_TRUE(store_.remove("icewm", one->version));
  EXPECT_EQ(store_.repository()->resolve("icewm", one->version).error().code, ENOENT);
  const auto freed = store_.gc();
  ASSERT_TRUE(freed) << freed.error().message();
  EXPECT_GE(freed->freed_bytes, 50'000U);
  EXPECT_THAT(*store_.list(), SizeIs(1));
  EXPECT_THAT(store_.verify()->damages, IsEmpty());
  EXPECT_THAT(store_.sizes()->versions, SizeIs(1));
}

TEST_F(ImageUpkeepTest, CommitsGoOnWhileGcWaitsForAPull) {
  auto other = bare("other");
  const auto checksum = commit(other, "5", {{"usr/bin/x", "x"}});
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd begin(ends[0]);
  UniqueFd begins(ends[1]);
  // Before the pull begins, whose lock it would inherit.
  const pid_t collector = ::fork();
  if (collector == 0) {
    begins.reset();
    char byte = 0;
    if (::read(begin.get(), &byte, 1) != 1) ::_exit(2);
    ::_exit(ImageStore(images()).gc() ? 0 : 1);
  }
  {
    auto repository = store_.repository();
    ASSERT_TRUE(repository);
    const auto incoming = repository->receive(checksum, *other.commit_bytes(checksum));
    ASSERT_TRUE(incoming) << incoming.error().message();
    ASSERT_EQ(::write(begins.get(), "b", 1), 1);
    ::usleep(500'000);
    const auto made = build({{"a", "a"}});
    EXPECT_TRUE(made) << made.error().message();
  }
  int status = -1;
  ::waitpid(collector, &status, 0);
  EXPECT_EQ(status, 0) << "the commit waited until gc had given up";
  EXPECT_THAT(store_.verify()->damages, IsEmpty());
}

TEST_F(ImageUpkeepTest, CommitsGoOnWhileARepairFetches) {
  const auto one = build({{"a", "aaaa"}});
  ASSERT_TRUE(one);
  auto published = archive();
  ASSERT_TRUE(published.copy_from(*store_.repository(), one->commit));
  flip_a_bit(store_.root_of("icewm", one->version) + "/a");
  const auto report = store_.verify();
  ASSERT_THAT(report->damages, SizeIs(1));
  bool is_free = false;
  const auto left = store_.repair(report->damages, [&](const ObjectName& object) {
    const UniqueFd fd(::open((images() + "/.lock").c_str(), O_RDWR | O_CLOEXEC));
    struct flock asked{};
    asked.l_type = F_WRLCK;
    is_free = fd && ::fcntl(fd.get(), F_OFD_GETLK, &asked) == 0 && asked.l_type == F_UNLCK;
    return published.archive_object(object);
  });
  ASSERT_TRUE(left) << left.error().message();
  EXPECT_THAT(*left, IsEmpty());
  EXPECT_TRUE(is_free);
  EXPECT_EQ(read(store_.root_of("icewm", one->version) + "/a"), "aaaa");
}

TEST_F(ImageUpkeepTest, AVersionFromElsewhereGetsItsTree) {
  auto other = bare("other");
  const auto checksum = commit(other, "5", {{"usr/bin/x", "x"}});
  auto repository = store_.repository();
  ASSERT_TRUE(repository);
  EXPECT_EQ(store_.materialise(checksum).error().code, ENOENT);
  ASSERT_TRUE(repository->copy_from(other, checksum));
  const auto made = store_.materialise(checksum);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->version, "5");
  EXPECT_EQ(read(store_.root_of("icewm", "5") + "/usr/bin/x"), "x");
  EXPECT_TRUE(store_.materialise(checksum)) << "there already";
  EXPECT_EQ(store_.find("icewm", "5")->commit, checksum);
}

TEST_F(ImageUpkeepTest, AnOlderVersionIsAdopted) {
  const std::string root = build_without_commit({{"etc/motd", "old"}, {"bin/sh", "#"}});
  const auto before = stat_of(root + "/etc/motd").st_ino;
  EXPECT_TRUE(store_.find("icewm", "2026.01.01-1")->commit.empty());
  EXPECT_THAT(store_.verify()->damages, IsEmpty());
  const auto newer = build({{"etc/motd", "new"}});
  EXPECT_EQ(store_.diff("icewm", "2026.01.01-1", newer->version).error().code, ENODATA);

  const auto adopted = store_.adopt("icewm", "2026.01.01-1");
  ASSERT_TRUE(adopted) << adopted.error().message();
  EXPECT_TRUE(is_checksum(adopted->commit));
  EXPECT_EQ(read(root + "/etc/motd"), "old");
  EXPECT_NE(stat_of(root + "/etc/motd").st_ino, before) << "now it is the repository's";
  EXPECT_EQ(staged(), 0U);
  EXPECT_EQ(store_.adopt("icewm", "2026.01.01-1")->commit, adopted->commit) << "done already";
  EXPECT_TRUE(store_.diff("icewm", "2026.01.01-1", newer->version));
  EXPECT_THAT(store_.verify()->damages, IsEmpty());
  EXPECT_EQ(store_.adopt("icewm", "8").error().code, ENOENT);
}

TEST_F(ImageUpkeepTest, AVersionWithoutItsTreeGetsItBack) {
  const auto one = build({{"a", "a"}});
  ASSERT_TRUE(one);
  // As if killed between the commit and the rename.
  ASSERT_TRUE(remove_tree(images() + "/icewm"));
  ASSERT_TRUE(store_.recover());
  EXPECT_EQ(read(store_.root_of("icewm", one->version) + "/a"), "a");
  EXPECT_EQ(print_manifest(*store_.find("icewm", one->version)), print_manifest(*one));
}

TEST_F(ImageUpkeepTest, ARemovalThatWasKilledIsFinished) {
  const auto one = build({{"a", "a"}});
  ASSERT_TRUE(one);
  const pid_t child = ::fork();
  if (child == 0) {
    ImageStore theirs(images());
    const auto staging = theirs.new_staging("icewm");
    fs::rename(images() + "/icewm/" + one->version, *staging + "/removed");
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  ASSERT_TRUE(store_.recover());
  EXPECT_THAT(*store_.list(), IsEmpty()) << "it must not come back";
  EXPECT_EQ(store_.repository()->resolve("icewm", one->version).error().code, ENOENT);
  EXPECT_EQ(staged(), 0U);
}

TEST_F(ImageUpkeepTest, DamageIsNamedAndMendedInEveryTree) {
  const auto one = build({{"usr/a", "aaaa"}, {"usr/b", "bbbb"}});
  const auto two = build({{"usr/a", "aaaa"}});
  ASSERT_TRUE(two);
  auto published = archive();
  {
    const auto repository = store_.repository();
    ASSERT_TRUE(published.copy_from(*repository, one->commit));
  }
  const std::string root_one = store_.root_of("icewm", one->version);
  const std::string root_two = store_.root_of("icewm", two->version);
  flip_a_bit(root_one + "/usr/a");
  fs::remove(root_one + "/usr/b");
  write(root_two + "/intruder", "x");
  write(images() + "/icewm/" + two->version + "/manifest.json",
        print_manifest(*two).replace(print_manifest(*two).find("icewm-session"), 5, "evil!"));

  const auto report = store_.verify();
  ASSERT_TRUE(report) << report.error().message();
  std::vector<std::string> seen;
  for (const auto& damage : report->damages)
    for (const auto& place : damage.places) seen.push_back(place);
  const std::string v1 = "icewm " + one->version;
  const std::string v2 = "icewm " + two->version;
  EXPECT_THAT(seen,
              ::testing::UnorderedElementsAre(v1 + ": /usr/a", v2 + ": /usr/a", v1 + ": /usr/b",
                                              v2 + ": /intruder", v2 + ": manifest.json"));
  const auto left = store_.repair(report->damages, fetch_from(published));
  ASSERT_TRUE(left) << left.error().message();
  EXPECT_THAT(*left, IsEmpty());
  EXPECT_THAT(store_.verify()->damages, IsEmpty());
  EXPECT_EQ(read(root_one + "/usr/a"), "aaaa");
  EXPECT_EQ(read(root_two + "/usr/a"), "aaaa");
  EXPECT_EQ(read(root_one + "/usr/b"), "bbbb");
  EXPECT_EQ(stat_of(root_one + "/usr/a").st_ino, stat_of(root_two + "/usr/a").st_ino);
  EXPECT_FALSE(fs::exists(root_two + "/intruder"));
  EXPECT_EQ(store_.find("icewm", two->version)->session, two->session);
}

TEST_F(ImageUpkeepTest, ADamagedManifestIsNamedAndWrittenAnewFromItsCommit) {
  const auto one = build({{"a", "1"}}, "why");
  const auto two = build({{"a", "2"}});
  ASSERT_TRUE(one && two);
  const std::string file = images() + "/icewm/" + one->version + "/manifest.json";
  const std::string good = read(file);
  const auto with = [&good](const std::string& from, const std::string& to) {
    std::string bad = good;
    const auto at = bad.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return bad.replace(at, from.size(), to);
  };
  const std::string digit = one->commit[5] == '0' ? "1" : "0";
  const std::pair<const char*, std::string> table[] = {
      {"empty", ""},
      {"cut", good.substr(0, good.size() / 2)},
      {"no JSON", with("{", "z")},
      {"of a newer Panal", with("\"format\": 1", "\"format\": 9")},
      {"another's", with("\"icewm\"", "\"icewl\"")},
      {"another version's", with("\"version\"", "\"versioo\"")},
      {"no checksum", with(one->commit, "x" + one->commit.substr(1))},
      {"another commit",
       with(one->commit, one->commit.substr(0, 5) + digit + one->commit.substr(6))},
      {"no commit any more", with("\"commit\"", "\"commiu\"")},
      {"another message", with("\"why\"", "\"whx\"")},
      {"no message any more", with("\"message\"", "\"messagd\"")},
  };
  const auto nowhere = [](const ObjectName&) -> Result<UniqueFd> {
    return fail(ENOENT, "nothing is to be fetched");
  };
  const auto check = [&](const std::string& what) {
    const auto collected = store_.gc();
    ASSERT_TRUE(collected) << what << ": " << collected.error().message();
    EXPECT_EQ(collected->objects, 0U) << what;
    const auto report = store_.verify();
    ASSERT_TRUE(report) << what << ": " << report.error().message();
    ASSERT_THAT(report->damages, SizeIs(1)) << what;
    EXPECT_THAT(report->damages[0].places,
                ::testing::ElementsAre("icewm " + one->version + ": manifest.json"))
        << what;
    const auto left = store_.repair(report->damages, nowhere);
    ASSERT_TRUE(left) << what << ": " << left.error().message();
    EXPECT_THAT(*left, IsEmpty()) << what;
    EXPECT_EQ(read(file), good) << what;
    EXPECT_THAT(store_.verify()->damages, IsEmpty()) << what;
  };
  for (const auto& [what, text] : table) {
    write(file, text);
    check(what);
  }
  fs::remove(file);
  check("missing");
  EXPECT_EQ(read(store_.root_of("icewm", one->version) + "/a"), "1");
}

TEST_F(ImageUpkeepTest, ADamagedNameIsMendedFromTheVersionsManifest) {
  const auto one = build({{"a", "1"}});
  ASSERT_TRUE(one);
  const std::string file = store_.repository_dir() + "/refs/heads/icewm/" + one->version;
  const std::string good = read(file);
  std::string flipped = good;
  flipped[7] = flipped[7] == '0' ? '1' : '0';
  const auto nowhere = [](const ObjectName&) -> Result<UniqueFd> {
    return fail(ENOENT, "nothing is to be fetched");
  };
  for (const std::string& text : {std::string(), "\xff" + good.substr(1), flipped}) {
    write(file, text);
    EXPECT_FALSE(store_.gc()) << text;
    ASSERT_TRUE(build({{"a", text}})) << "others go on";
    const auto report = store_.verify();
    ASSERT_TRUE(report) << text << ": " << report.error().message();
    EXPECT_FALSE(report->damages.empty()) << text;
    const auto left = store_.repair(report->damages, nowhere);
    ASSERT_TRUE(left) << text << ": " << left.error().message();
    EXPECT_THAT(*left, IsEmpty()) << text;
    EXPECT_EQ(read(file), good) << text;
    EXPECT_THAT(store_.verify()->damages, IsEmpty()) << text;
    EXPECT_TRUE(store_.gc()) << text;
  }
  // One that is removed must not leave a name behind that stops gc for ever.
  for (const std::string& text : {std::string("x"), flipped}) {
    const auto doomed = build({{"a", "doomed"}});
    ASSERT_TRUE(doomed);
    write(store_.repository_dir() + "/refs/heads/icewm/" + doomed->version, text);
    ASSERT_TRUE(store_.remove("icewm", doomed->version)) << text;
    EXPECT_TRUE(store_.gc()) << text;
    EXPECT_THAT(store_.verify()->damages, IsEmpty()) << text;
  }
  // One without a tree: nothing says what it was.
  auto other = bare("other");
  const auto pulled = commit(other, "5", {{"x", "x"}});
  ASSERT_TRUE(store_.repository()->copy_from(other, pulled));
  write(store_.repository_dir() + "/refs/heads/icewm/5", "x");
  EXPECT_EQ(store_.gc().error().code, EUCLEAN);
  const auto report = store_.verify();
  ASSERT_TRUE(report) << report.error().message();
  ASSERT_THAT(report->damages, SizeIs(1));
  const auto left = store_.repair(report->damages, nowhere);
  ASSERT_TRUE(left) << left.error().message();
  ASSERT_THAT(*left, SizeIs(1));
  EXPECT_THAT((*left)[0].what, ::testing::HasSubstr("no version on disk says its commit"));
  ASSERT_TRUE(store_.remove("icewm", "5"));
  EXPECT_TRUE(store_.gc());
}

TEST_F(ImageUpkeepTest, AManifestIsMendedOnceItsCommitIs) {
  const auto one = build({{"a", "1"}});
  ASSERT_TRUE(one);
  auto published = archive();
  const auto repository = store_.repository();
  ASSERT_TRUE(published.copy_from(*repository, one->commit));
  const std::string file = images() + "/icewm/" + one->version + "/manifest.json";
  const std::string good = read(file);
  write(file, "{");
  fs::remove(file_of(*repository, {one->commit, ObjectType::kCommit}));
  const auto report = store_.verify();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_THAT(report->damages, SizeIs(2)) << "the commit, and the manifest that nothing says";
  const auto left = store_.repair(report->damages, fetch_from(published));
  ASSERT_TRUE(left) << left.error().message();
  EXPECT_THAT(*left, IsEmpty());
  EXPECT_EQ(read(file), good);
  EXPECT_THAT(store_.verify()->damages, IsEmpty());
}

TEST_F(ImageUpkeepTest, AManifestThatNothingSaysIsLeftAndNamed) {
  const std::string root = build_without_commit({{"a", "old"}});
  write(images() + "/icewm/2026.01.01-1/manifest.json", "{");
  const auto report = store_.verify();
  ASSERT_TRUE(report) << report.error().message();
  ASSERT_THAT(report->damages, SizeIs(1));
  EXPECT_THAT(report->damages[0].what, ::testing::HasSubstr("no commit says what it was"));
  const auto left = store_.repair(report->damages, [](const ObjectName&) -> Result<UniqueFd> {
    return fail(ENOENT, "nothing is to be fetched");
  });
  ASSERT_TRUE(left) << left.error().message();
  ASSERT_THAT(*left, SizeIs(1));
  EXPECT_EQ(read(root + "/a"), "old");
}

TEST_F(ImageUpkeepTest, ATreeWhoseCommitIsGoneIsDamage) {
  const auto one = build({{"a", "a"}});
  ASSERT_TRUE(one);
  ASSERT_TRUE(store_.repository()->remove("icewm", one->version));
  const auto report = store_.verify();
  ASSERT_THAT(report->damages, SizeIs(1));
  EXPECT_EQ(report->damages[0].kind, Damage::Kind::kObjectMissing);
  EXPECT_EQ(report->damages[0].object.checksum, one->commit);

  // Its objects are still there: no other copy is needed.
  const auto left = store_.repair(report->damages, [](const ObjectName&) -> Result<UniqueFd> {
    return fail(ENOENT, "nothing is to be fetched");
  });
  ASSERT_TRUE(left) << left.error().message();
  EXPECT_THAT(*left, IsEmpty());
  EXPECT_THAT(store_.verify()->damages, IsEmpty());
  EXPECT_EQ(store_.gc()->objects, 0U);
  EXPECT_EQ(read(store_.root_of("icewm", one->version) + "/a"), "a");
}

TEST_F(ImageUpkeepTest, TwoProcessesGetTwoNumbers) {
  constexpr int kWriters = 3;
  constexpr int kEach = 3;
  for (int i = 0; i < kWriters; ++i) {
    if (::fork() != 0) continue;
    ImageStore theirs(images());
    for (int n = 0; n < kEach; ++n) {
      const auto staging = theirs.new_staging("icewm");
      if (!staging) ::_exit(1);
      make_tree(*staging + "/root", {{"a", std::to_string(i) + "-" + std::to_string(n)}});
      if (!theirs.commit(*staging, built(""))) ::_exit(2);
    }
    ::_exit(0);
  }
  for (int i = 0; i < kWriters; ++i) {
    int status = -1;
    ::wait(&status);
    EXPECT_EQ(status, 0);
  }
  const auto all = store_.list();
  ASSERT_TRUE(all);
  EXPECT_THAT(*all, SizeIs(kWriters * kEach));
  EXPECT_THAT(all->front().version, EndsWith("-9"));
  EXPECT_THAT(store_.verify()->damages, IsEmpty());
}

TEST_F(ImageUpkeepTest, AKilledCommitIsFoundAndEnded) {
  const auto one = build({{"a", "a"}});
  ASSERT_TRUE(one);
  // At any moment by the clock; tests/system/storage/repo_crash_test.cc kills at each call.
  for (int round = 0; round < 6; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      ImageStore theirs(images());
      const auto staging = theirs.new_staging("icewm");
      Files files;
      for (int i = 0; i < 40; ++i)
        files["d" + std::to_string(i % 7) + "/f" + std::to_string(i)] =
            std::string(3000, static_cast<char>('a' + i % 26)) + std::to_string(round);
      make_tree(*staging + "/root", files);
      (void)theirs.commit(*staging, built(""));
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(2000 * (1 << round)));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);

    const auto all = store_.list();
    ASSERT_TRUE(all) << all.error().message();
    EXPECT_THAT(store_.verify()->damages, IsEmpty());
    const auto collected = store_.gc();
    ASSERT_TRUE(collected) << collected.error().message();
    EXPECT_EQ(staged(), 0U);
    EXPECT_EQ(store_.gc()->objects, 0U);
    EXPECT_THAT(store_.verify()->damages, IsEmpty());
    EXPECT_EQ(read(store_.root_of("icewm", one->version) + "/a"), "a");
  }
}

}  // namespace
}  // namespace panal::storage
