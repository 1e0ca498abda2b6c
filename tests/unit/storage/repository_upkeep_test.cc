#include "storage/repo/repository.h"
#include "tests/unit/storage/repo_fixture.h"

namespace panal::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(RepoTest, GcFreesWhatNoVersionNeeds) {
  auto repository = bare();
  const auto one = commit(repository, "1", {{"same", "same"}, {"only", std::string(9000, '1')}});
  const auto two = commit(repository, "2", {{"same", "same"}, {"only", std::string(9000, '2')}});
  const auto before = objects(repository).size();
  EXPECT_EQ(repository.gc()->objects, 0U);

  ASSERT_TRUE(repository.remove("icewm", "1"));
  ASSERT_TRUE(repository.remove("icewm", "1")) << "not there: nothing to do";
  const auto said = repository.garbage();
  ASSERT_TRUE(said) << said.error().message();
  EXPECT_EQ(objects(repository).size(), before) << "that was a look";
  const auto freed = repository.gc();
  ASSERT_TRUE(freed) << freed.error().message();
  EXPECT_EQ(said->objects, freed->objects);
  EXPECT_EQ(said->freed_bytes, freed->freed_bytes);
  EXPECT_EQ(repository.garbage()->objects, 0U);
  EXPECT_EQ(freed->objects, 3U) << "its commit, its root, its own file";
  EXPECT_GE(freed->freed_bytes, 9000U);
  EXPECT_EQ(objects(repository).size(), before - 3);
  EXPECT_EQ(repository.show(one).error().code, ENOENT);
  EXPECT_TRUE(*repository.has(two));
  ASSERT_TRUE(repository.checkout(two, at("two")));
  EXPECT_EQ(read(at("two/same")), "same");
}

TEST_F(RepoTest, GcTakesWhatTheDeadLeft) {
  auto repository = bare();
  fs::create_directories(repository.path() + "/tmp/checkout.XyZabc/root/etc");
  fs::create_directories(repository.path() + "/tmp/staging-boot-abcdef/ab");
  const auto report = repository.gc();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->leftovers, 2U);
  EXPECT_FALSE(fs::exists(repository.path() + "/tmp/checkout.XyZabc"));
}

TEST_F(RepoTest, GcDeletesNothingInADamagedRepository) {
  auto repository = bare();
  (void)commit(repository, "1", {{"a/b/c", "c"}});
  (void)commit(repository, "2", {{"x", "x"}});
  ASSERT_TRUE(repository.remove("icewm", "2"));
  flip_a_bit(objects(repository, ".dirtree").front());
  flip_a_bit(objects(repository, ".dirtree").back());
  const auto before = objects(repository);
  const auto freed = repository.gc();
  ASSERT_FALSE(freed);
  EXPECT_THAT(freed.error().context, HasSubstr("nothing was deleted"));
  EXPECT_EQ(objects(repository), before);
}

TEST_F(RepoTest, ADamagedDirectoryIsNotCheckedOut) {
  auto repository = bare();
  const auto one = commit(repository, "1", {{"a/b", "b"}, {"c", "c"}});
  for (const char* ending : {".dirtree", ".dirmeta", ".commit"}) {
    const std::string object = objects(repository, ending).front();
    const std::string good = read(object);
    flip_a_bit(object);
    const auto done = repository.checkout(one, at("out"));
    ASSERT_FALSE(done) << ending;
    EXPECT_EQ(done.error().code, EUCLEAN) << ending << ": " << done.error().message();
    EXPECT_FALSE(fs::exists(at("out")));
    write(object, good);
  }
  EXPECT_TRUE(repository.checkout(one, at("out")));
}

TEST_F(RepoTest, FindsAndMendsDamage) {
  auto node = bare();
  const std::string one = commit(node, "1", {{"usr/a", "aaaa"}, {"usr/b", "bbbb"}, {"e/x", "xx"}});
  const std::string two = commit(node, "2", {{"usr/a", "aaaa"}, {"usr/b", "cccc"}});
  auto published = archive();
  ASSERT_TRUE(published.copy_from(node, one));
  ASSERT_TRUE(published.copy_from(node, two));
  ASSERT_TRUE(node.checkout(one, at("one")));

  // The object of usr/a, by its inode; and one that is gone.
  std::string damaged;
  std::string gone;
  for (const auto& path : objects(node, ".file")) {
    if (stat_of(path).st_ino == stat_of(at("one/usr/a")).st_ino) damaged = path;
    if (stat_of(path).st_ino == stat_of(at("one/usr/b")).st_ino) gone = path;
  }
  ASSERT_FALSE(damaged.empty());
  flip_a_bit(damaged);
  fs::remove(gone);
  EXPECT_NE(read(at("one/usr/a")), "aaaa") << "a hard link shows it at once";
  EXPECT_FALSE(*node.has(one));

  const auto report = node.verify();
  ASSERT_TRUE(report) << report.error().message();
  ASSERT_THAT(report->damages, SizeIs(2));
  for (const auto& damage : report->damages) {
    const bool missing = damage.kind == Damage::Kind::kObjectMissing;
    if (missing) {
      EXPECT_THAT(damage.places, ElementsAre("icewm 1: /usr/b"));
      EXPECT_THAT(damage.versions, ElementsAre("icewm/1"));
    } else {
      EXPECT_EQ(damage.kind, Damage::Kind::kObjectCorrupt);
      EXPECT_THAT(damage.places, ElementsAre("icewm 1: /usr/a", "icewm 2: /usr/a"));
    }
  }
  const auto left = node.repair(report->damages, fetch_from(published));
  ASSERT_TRUE(left) << left.error().message();
  EXPECT_THAT(*left, IsEmpty());
  EXPECT_THAT(node.verify()->damages, IsEmpty());
  EXPECT_NE(read(at("one/usr/a")), "aaaa") << "the checkout has the old inode still";
  const auto faults = node.verify_checkout(one, at("one"));
  ASSERT_TRUE(faults);
  ASSERT_THAT(*faults, SizeIs(1));
  EXPECT_EQ((*faults)[0].path, "/usr/a");
  ASSERT_TRUE(node.mend_checkout(one, at("one")));
  EXPECT_EQ(read(at("one/usr/a")), "aaaa");
  EXPECT_THAT(*node.verify_checkout(one, at("one")), IsEmpty());
}

TEST_F(RepoTest, DamagedDirectoriesAndCommitsAreMendedToo) {
  auto node = bare();
  const std::string one = commit(node, "1", {{"usr/a", "aaaa"}});
  auto published = archive();
  ASSERT_TRUE(published.copy_from(node, one));
  for (const char* ending : {".dirtree", ".dirmeta", ".commit"}) {
    for (const auto& path : objects(node, ending)) flip_a_bit(path);
    const auto report = node.verify();
    ASSERT_TRUE(report) << ending;
    ASSERT_FALSE(report->damages.empty()) << ending;
    // What is below a damaged directory is seen once that is mended.
    auto damages = report->damages;
    for (int round = 0; round < 5 && !damages.empty(); ++round) {
      const auto left = node.repair(damages, fetch_from(published));
      ASSERT_TRUE(left) << left.error().message();
      ASSERT_THAT(*left, IsEmpty()) << left->front().what;
      damages = node.verify()->damages;
    }
    EXPECT_THAT(damages, IsEmpty()) << ending;
  }
  EXPECT_TRUE(*node.has(one));
}

TEST_F(RepoTest, ADamagedNameIsFoundAndGivenAnew) {
  auto repository = bare();
  const std::string one = commit(repository, "1", {{"a", "aaaa"}});
  const std::string two = commit(repository, "2", {{"a", "bbbb"}});
  const std::string file = repository.path() + "/refs/heads/icewm/1";
  const std::string good = read(file);
  std::string flipped = good;
  flipped[7] = flipped[7] == '0' ? '1' : '0';
  const auto before = objects(repository);
  for (const std::string& text : {std::string(), std::string("x\n"), good.substr(0, 40),
                                  "\xff" + good.substr(1), good + "\n", flipped}) {
    write(file, text);
    const auto report = repository.verify();
    ASSERT_TRUE(report) << text << ": " << report.error().message();
    ASSERT_THAT(report->damages, SizeIs(1)) << text;
    EXPECT_THAT(report->damages[0].versions, ElementsAre("icewm/1")) << text;
    EXPECT_THAT(report->damages[0].places, ElementsAre("icewm 1: /")) << text;
    const auto collected = repository.gc();
    ASSERT_FALSE(collected) << text;
    EXPECT_THAT(collected.error().context, HasSubstr("nothing was deleted")) << text;
    EXPECT_EQ(objects(repository), before) << text;
    const auto named = repository.name(one);
    ASSERT_TRUE(named) << text << ": " << named.error().message();
    EXPECT_EQ(read(file), good);
    EXPECT_THAT(repository.verify()->damages, IsEmpty());
  }
  write(file, two + "\n");
  EXPECT_EQ(repository.name(one).error().code, EEXIST) << "it leads to a commit that is here";
  write(file, "x");
  EXPECT_EQ(repository.resolve("icewm", "1").error().code, EUCLEAN);
  ASSERT_TRUE(repository.remove("icewm", "1"));
  EXPECT_TRUE(repository.gc()) << "and a damaged name can be taken away";
}

TEST_F(RepoTest, ABadCopyMendsNothing) {
  auto node = bare();
  const std::string one = commit(node, "1", {{"a", "aaaa"}});
  auto published = archive();
  ASSERT_TRUE(published.copy_from(node, one));
  flip_a_bit(objects(node, ".file").front());
  flip_a_bit(objects(published, ".filez").front());
  const auto report = node.verify();
  ASSERT_THAT(report->damages, SizeIs(1));
  const auto left = node.repair(report->damages, fetch_from(published));
  ASSERT_TRUE(left) << left.error().message();
  ASSERT_THAT(*left, SizeIs(1));
  EXPECT_THAT(left->front().what, HasSubstr("not mended"));
  EXPECT_THAT(node.verify()->damages, SizeIs(1)) << "the damaged one is still in its place";
}

TEST_F(RepoTest, MendsATreeThatSomebodyChanged) {
  auto node = bare();
  const std::string one =
      commit(node, "1", {{"a/file", "file"}, {"a/link", "->file"}, {"b/c/deep", "d"}, {"e/", ""}});
  ASSERT_TRUE(node.checkout(one, at("out")));
  fs::remove(at("out/a/file"));
  fs::remove(at("out/a/link"));
  fs::create_directories(at("out/a/link/not/a/link"));
  fs::remove_all(at("out/b"));
  write(at("out/b"), "a file where a directory was");
  write(at("out/a/more"), "more");
  ASSERT_EQ(::chmod(at("out/e").c_str(), 0700), 0);
  std::vector<std::string> seen;
  const auto faults = node.verify_checkout(one, at("out"));
  ASSERT_TRUE(faults) << faults.error().message();
  for (const auto& fault : *faults) seen.push_back(fault.path + " " + fault.what);
  EXPECT_THAT(seen, ElementsAre("/a/more is not in the repository", "/a/file is missing",
                                "/a/link is not the repository's file", "/b/ is no directory",
                                "/e/ has another owner or other permissions than in the "
                                "repository"));
  const auto mended = node.mend_checkout(one, at("out"));
  ASSERT_TRUE(mended) << mended.error().message();
  EXPECT_THAT(*node.verify_checkout(one, at("out")), IsEmpty());
  EXPECT_EQ(read(at("out/b/c/deep")), "d");
  EXPECT_EQ(fs::read_symlink(at("out/a/link")), "file");
  EXPECT_FALSE(fs::exists(at("out/a/more")));
}

}  // namespace
}  // namespace panal::storage
