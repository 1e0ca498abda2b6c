#include "storage/repo/repository.h"

#include <sys/xattr.h>

#include <functional>

#include "tests/unit/storage/repo_fixture.h"

namespace panal::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

TEST_F(RepoTest, IsMadeOnceAndOpenedAgain) {
  EXPECT_EQ(Repository::open(at("bare")).error().code, ENOENT);
  EXPECT_EQ(bare().mode(), RepositoryMode::kBare);
  EXPECT_EQ(bare().path(), at("bare"));
  EXPECT_EQ(archive().mode(), RepositoryMode::kArchive);
  const auto wrong = Repository::open_or_create(at("bare"), RepositoryMode::kArchive);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, EINVAL);
  EXPECT_THAT(wrong.error().context, HasSubstr("is a node's, not for publishing"));
  EXPECT_EQ(stat_of(at("bare")).st_mode & 0777U, 0700U);
}

TEST_F(RepoTest, RefusesADirectoryThatIsNone) {
  fs::create_directories(at("bare/refs"));
  const auto opened = Repository::open_or_create(at("bare"), RepositoryMode::kBare);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, EPROTO);
  EXPECT_THAT(opened.error().context, HasSubstr(at("bare") + " is no repository"));
}

TEST_F(RepoTest, WhatAKilledCreationLeftGoesWithTheNext) {
  fs::create_directories(at("bare.new.aBcDeF/objects"));
  (void)bare();
  EXPECT_FALSE(fs::exists(at("bare.new.aBcDeF")));
}

TEST_F(RepoTest, ACheckoutIsTheTreeInHardLinks) {
  auto repository = bare();
  make_tree(at("tree"), {{"usr/bin/xterm", "#!x"},
                         {"usr/bin/empty", ""},
                         {"bin", "->usr/bin"},
                         {"etc/deep/er/motd", "hello"},
                         {"tmp/", ""}});
  ASSERT_EQ(::chmod((at("tree") + "/usr/bin/xterm").c_str(), 0755), 0);
  ASSERT_EQ(::chmod((at("tree") + "/tmp").c_str(), 01777), 0);
  CommitSpec spec;
  spec.root = at("tree");
  spec.manifest = manifest_of("1");
  const auto checksum = repository.commit(spec);
  ASSERT_TRUE(checksum) << checksum.error().message();
  ASSERT_TRUE(is_checksum(*checksum));
  const auto done = repository.checkout(*checksum, at("out"));
  ASSERT_TRUE(done) << done.error().message();

  EXPECT_EQ(read(at("out/usr/bin/xterm")), "#!x");
  EXPECT_EQ(read(at("out/bin/xterm")), "#!x");
  EXPECT_EQ(fs::read_symlink(at("out/bin")), "usr/bin");
  EXPECT_EQ(read(at("out/etc/deep/er/motd")), "hello");
  EXPECT_TRUE(fs::exists(at("out/usr/bin/empty")));
  EXPECT_EQ(stat_of(at("out/usr/bin/xterm")).st_mode & 07777U, 0755U);
  EXPECT_EQ(stat_of(at("out/tmp")).st_mode & 07777U, 01777U);
  EXPECT_EQ(stat_of(at("out/usr/bin/xterm")).st_mtime, 0);
  EXPECT_EQ(stat_of(at("out/etc")).st_mtime, 0);
  EXPECT_EQ(read(at("tree/usr/bin/xterm")), "#!x") << "a tree that is not consumed stays";

  ASSERT_TRUE(repository.checkout(*checksum, at("again")));
  EXPECT_EQ(stat_of(at("out/usr/bin/xterm")).st_ino, stat_of(at("again/usr/bin/xterm")).st_ino);
  EXPECT_EQ(repository.checkout(*checksum, at("again")).error().code, EEXIST);
  EXPECT_EQ(repository.checkout(std::string(64, '0'), at("none")).error().code, ENOENT);
  EXPECT_FALSE(fs::exists(at("none")));
  EXPECT_THAT(*repository.verify_checkout(*checksum, at("out")), IsEmpty());
}

TEST_F(RepoTest, VersionsShareEqualFiles) {
  auto repository = bare();
  const auto one = commit(repository, "1", {{"a/same", "same"}, {"a/other", "one"}});
  const auto two = commit(repository, "2", {{"a/same", "same"}, {"a/other", "two"}});
  ASSERT_TRUE(repository.checkout(one, at("one")));
  ASSERT_TRUE(repository.checkout(two, at("two")));
  EXPECT_EQ(stat_of(at("one/a/same")).st_ino, stat_of(at("two/a/same")).st_ino);
  EXPECT_NE(stat_of(at("one/a/other")).st_ino, stat_of(at("two/a/other")).st_ino);
}

TEST_F(RepoTest, AConsumedTreeBecomesTheObjects) {
  const Files files{{"usr/lib/big", std::string(100'000, 'x')}, {"usr/lib/link", "->big"}};
  auto copying = bare("copying");
  const std::string copied = commit(copying, "1", files);

  auto repository = bare();
  CommitSpec spec;
  spec.root = make_tree(at("tree"), files);
  spec.manifest = manifest_of("1");
  spec.consume = true;
  const auto inode = stat_of(at("tree/usr/lib/big")).st_ino;
  const auto moved = repository.commit(spec);
  ASSERT_TRUE(moved) << moved.error().message();
  EXPECT_EQ(*moved, copied) << "how it was committed must not show";
  EXPECT_FALSE(fs::exists(at("tree")));
  ASSERT_TRUE(repository.checkout(*moved, at("out")));
  EXPECT_EQ(stat_of(at("out/usr/lib/big")).st_ino, inode);
  EXPECT_EQ(stat_of(at("out/usr/lib/big")).st_mtime, 0);
  EXPECT_THAT(repository.verify()->damages, IsEmpty());
}

TEST_F(RepoTest, ANewVersionIsNotMadeOfADamagedObject) {
  auto repository = bare();
  const Files files{{"a", std::string(100'000, 'a')}, {"b", "bbbb"}};
  const auto one = commit(repository, "1", files);
  ASSERT_TRUE(repository.checkout(one, at("one")));
  const auto inode_of_b = stat_of(at("one/b")).st_ino;
  const std::pair<const char*, std::function<void(const std::string&)>> table[] = {
      {"a flipped bit", [](const std::string& path) { flip_a_bit(path); }},
      {"cut", [](const std::string& path) { fs::resize_file(path, 99'999); }},
      {"longer", [](const std::string& path) { fs::resize_file(path, 100'001); }},
      {"another mode", [](const std::string& path) { ::chmod(path.c_str(), 0600); }},
  };
  int version = 1;
  for (const auto& [what, damage] : table) {
    // An object has the inode of what was checked out of it last.
    const std::string former = at(version == 1 ? "one" : std::to_string(version));
    damage(former + "/a");
    // As failing hardware would: no time tells of it.
    const timespec never[2] = {{0, 0}, {0, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (former + "/a").c_str(), never, 0), 0);
    ASSERT_THAT(repository.verify()->damages, SizeIs(1)) << what;

    ++version;
    CommitSpec spec;
    spec.root = make_tree(at("tree"), files);
    write(at("tree/new"), what);
    spec.manifest = manifest_of(std::to_string(version));
    spec.consume = true;
    const auto made = repository.commit(spec);
    ASSERT_TRUE(made) << what << ": " << made.error().message();
    EXPECT_THAT(repository.verify()->damages, IsEmpty()) << what;
    const std::string now = at(std::to_string(version));
    ASSERT_TRUE(repository.checkout(*made, now));
    EXPECT_EQ(read(now + "/a"), files.at("a")) << what;
    EXPECT_EQ(stat_of(now + "/b").st_ino, inode_of_b) << "sound objects are shared as ever";
    EXPECT_FALSE(fs::exists(repository.path() + "/tmp/mended." + std::to_string(::getpid())));
    const auto faults = repository.verify_checkout(one, at("one"));
    ASSERT_TRUE(faults);
    ASSERT_THAT(*faults, SizeIs(1)) << "a checkout keeps the damaged file";
    EXPECT_EQ((*faults)[0].path, "/a");
  }
  ASSERT_TRUE(repository.mend_checkout(one, at("one")));
  EXPECT_EQ(read(at("one/a")), files.at("a"));
}

TEST_F(RepoTest, AChangedCheckoutIsCommittedAgain) {
  auto repository = bare();
  const auto one = commit(repository, "1", {{"a/one", "1"}, {"a/two", "2"}, {"b/three", "3"}});
  ASSERT_TRUE(repository.checkout(one, at("work")));
  fs::remove(at("work/a/two"));
  write(at("work/a/two"), "changed");
  write(at("work/a/new"), "new");
  CommitSpec spec;
  spec.root = at("work");
  spec.manifest = manifest_of("2");
  spec.manifest.parent = one;
  spec.consume = true;
  const auto two = repository.commit(spec);
  ASSERT_TRUE(two) << two.error().message();
  ASSERT_TRUE(repository.checkout(one, at("one")));
  ASSERT_TRUE(repository.checkout(*two, at("two")));
  EXPECT_EQ(read(at("one/a/two")), "2");
  EXPECT_EQ(read(at("two/a/two")), "changed");
  EXPECT_EQ(read(at("two/b/three")), "3");
  EXPECT_EQ(repository.show(*two)->parent, one);
  EXPECT_THAT(repository.verify()->damages, IsEmpty());
}

TEST_F(RepoTest, RefusesWhatAnImageMustNotHold) {
  auto repository = bare();
  const auto refusal = [&] {
    CommitSpec spec;
    spec.root = at("tree");
    spec.manifest = manifest_of("1");
    spec.consume = true;
    const auto done = repository.commit(spec);
    EXPECT_FALSE(done);
    EXPECT_EQ(read(at("tree/etc/motd")), "hello") << "a refused tree is still whole";
    return done ? Error{} : done.error();
  };
  make_tree(at("tree"), {{"etc/motd", "hello"}});
  ASSERT_EQ(::mkfifo(at("tree/etc/fifo").c_str(), 0644), 0);
  EXPECT_EQ(refusal().context, "/etc/fifo is a FIFO, which an image must not hold");
  fs::remove(at("tree/etc/fifo"));

  write(at("tree/etc/\xff\xfe"), "");
  EXPECT_EQ(refusal().code, EILSEQ);
  fs::remove(at("tree/etc/\xff\xfe"));
  fs::create_symlink("\xff", at("tree/etc/link"));
  EXPECT_THAT(refusal().context, HasSubstr("/etc/link points to a name that is not UTF-8"));
  fs::remove(at("tree/etc/link"));

  if (::setxattr(at("tree/etc/motd").c_str(), "user.mark", "x", 1, 0) == 0) {
    EXPECT_THAT(refusal().context, HasSubstr("/etc/motd has the extended attribute user.mark"));
  }
  EXPECT_THAT(*repository.log(), IsEmpty());
}

TEST_F(RepoTest, RefusesBadNames) {
  auto repository = bare();
  CommitSpec spec;
  spec.root = make_tree(at("tree"), {{"a", "a"}});
  for (const char* name : {"", ".", "..", "a/b", "-x", "a b", "\xc3\xa9", "a\n"}) {
    spec.manifest = manifest_of("1");
    spec.manifest.image = name;
    EXPECT_EQ(repository.commit(spec).error().code, EINVAL) << name;
    spec.manifest = manifest_of(name);
    EXPECT_EQ(repository.commit(spec).error().code, EINVAL) << name;
    EXPECT_EQ(repository.resolve("icewm", name).error().code, ENOENT) << name;
  }
  spec.manifest = manifest_of("1");
  spec.manifest.parent = "1";
  EXPECT_EQ(repository.commit(spec).error().code, EINVAL);
  spec.manifest.parent.clear();
  spec.root = at("tree/a");
  EXPECT_EQ(repository.commit(spec).error().code, ENOTDIR);
  spec.root = at("none");
  EXPECT_EQ(repository.commit(spec).error().code, ENOENT);
}

TEST_F(RepoTest, OneNameIsGivenOnce) {
  auto repository = bare();
  const auto one = commit(repository, "1", {{"a", "a"}});
  CommitSpec spec;
  spec.root = make_tree(at("tree"), {{"a", "b"}});
  spec.manifest = manifest_of("1");
  const auto again = repository.commit(spec);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, EEXIST);
  EXPECT_EQ(*repository.resolve("icewm", "1"), one);
}

TEST_F(RepoTest, TellsWhatItHas) {
  auto repository = bare();
  VersionManifest manifest = manifest_of("2026.11.26-2");
  manifest.message = "newer \"icewm\"\nsecond line \xff";
  manifest.author = "ana";
  manifest.packages = {{"bash", "5.2"}};
  manifest.browser_sandbox = true;
  CommitSpec spec;
  spec.root = make_tree(at("tree"), {{"a", "a"}});
  spec.manifest = manifest;
  const auto newer = repository.commit(spec);
  ASSERT_TRUE(newer) << newer.error().message();
  (void)commit(repository, "2026.11.26-10", {{"a", "b"}});
  (void)commit(repository, "2026.11.25-1", {{"a", "c"}});

  const auto log = repository.log("icewm");
  ASSERT_TRUE(log) << log.error().message();
  ASSERT_THAT(*log, SizeIs(3));
  EXPECT_EQ((*log)[0].version, "2026.11.26-10");
  EXPECT_EQ((*log)[1].version, "2026.11.26-2");
  EXPECT_EQ((*log)[2].version, "2026.11.25-1");
  EXPECT_EQ((*log)[1].commit, *newer);
  EXPECT_EQ((*log)[1].author, "ana");
  EXPECT_THAT((*log)[1].message, StartsWith("newer \"icewm\"\nsecond line "));
  EXPECT_EQ((*log)[1].packages, manifest.packages);
  EXPECT_TRUE((*log)[1].browser_sandbox);
  EXPECT_THAT(*repository.log("xfce"), IsEmpty());
  EXPECT_THAT(*repository.log("ice"), IsEmpty());

  EXPECT_EQ(*repository.resolve("icewm", "2026.11.26-2"), *newer);
  EXPECT_EQ(repository.resolve("icewm", "3").error().context, "there is no version icewm 3");
  EXPECT_EQ(repository.show(std::string(64, 'a')).error().code, ENOENT);
  EXPECT_EQ(repository.show("abc").error().code, EINVAL);
}

TEST_F(RepoTest, ComparesPackagesAndFiles) {
  auto repository = bare();
  CommitSpec spec;
  spec.root = make_tree(at("one"), {{"etc/same", "same"},
                                    {"etc/changed", "1"},
                                    {"etc/gone", "gone"},
                                    {"old/file", "12345"},
                                    {"mode/", ""}});
  spec.manifest = manifest_of("1");
  spec.manifest.packages = {{"bash", "5.2"}, {"icewm", "3.3"}, {"xterm", "1"}};
  const auto one = repository.commit(spec);
  ASSERT_TRUE(one);
  spec.root = make_tree(
      at("two"),
      {{"etc/same", "same"}, {"etc/changed", "22"}, {"new/a/file", "123"}, {"mode/", ""}});
  ASSERT_EQ(::chmod(at("two/mode").c_str(), 0700), 0);
  spec.manifest = manifest_of("2");
  spec.manifest.packages = {{"bash", "5.2"}, {"icewm", "3.4"}, {"nano", "7"}};
  const auto two = repository.commit(spec);
  ASSERT_TRUE(two);

  const auto diff = repository.diff(*one, *two);
  ASSERT_TRUE(diff) << diff.error().message();
  std::vector<std::string> packages;
  for (const auto& change : diff->packages)
    packages.push_back(change.name + " " + change.from + " " + change.to);
  EXPECT_THAT(packages, ElementsAre("icewm 3.3 3.4", "nano  7", "xterm 1 "));
  std::vector<std::string> files;
  for (const auto& change : diff->files)
    files.push_back((change.change == Change::kAdded     ? "+"
                     : change.change == Change::kRemoved ? "-"
                                                         : "*") +
                    change.path + " " + std::to_string(change.from_bytes) + " " +
                    std::to_string(change.to_bytes));
  EXPECT_THAT(files,
              ElementsAre("*/etc/changed 1 2", "-/etc/gone 4 0", "*/mode/ 0 0", "+/new/ 0 0",
                          "+/new/a/ 0 0", "+/new/a/file 0 3", "-/old/ 0 0", "-/old/file 5 0"));
  EXPECT_THAT(repository.diff(*one, *one)->files, IsEmpty());
  EXPECT_EQ(repository.diff(*one, std::string(64, 'b')).error().code, ENOENT);
}

TEST_F(RepoTest, TellsWhatAVersionCosts) {
  auto repository = bare();
  (void)commit(repository, "1",
               {{"same", std::string(50'000, 's')}, {"a", std::string(9000, '1')}});
  (void)commit(repository, "2",
               {{"same", std::string(50'000, 's')}, {"a", std::string(9000, '2')}});
  const auto sizes = repository.sizes();
  ASSERT_TRUE(sizes) << sizes.error().message();
  ASSERT_THAT(sizes->versions, SizeIs(2));
  EXPECT_EQ(sizes->objects, objects(repository).size());
  EXPECT_GT(sizes->free_bytes, 0U);
  for (const auto& version : sizes->versions) {
    EXPECT_GE(version.own_bytes, 9000U);
    EXPECT_LT(version.own_bytes, 50'000U);
  }
  EXPECT_GE(sizes->bytes, 50'000U + 2 * 9000U);
}

TEST_F(RepoTest, ACancelledCommitLeavesNothing) {
  auto repository = bare();
  CommitSpec spec;
  spec.root = make_tree(at("tree"), {{"a", "a"}});
  spec.manifest = manifest_of("1");
  const std::atomic<bool> cancelled{true};
  Work work;
  work.cancelled = &cancelled;
  const auto done = repository.commit(spec, work);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ECANCELED) << done.error().message();
  EXPECT_THAT(*repository.log(), IsEmpty());
  EXPECT_THAT(objects(repository), IsEmpty());
  EXPECT_EQ(repository.gc()->leftovers, 0U);
  EXPECT_EQ(read(at("tree/a")), "a");
}

TEST_F(RepoTest, AVersionGoesThroughAnArchiveUnchanged) {
  auto node = bare();
  const Files files{{"usr/lib/big", std::string(200'000, 'b')},
                    {"usr/lib/link", "->big"},
                    {"etc/empty", ""},
                    {"tmp/", ""}};
  const std::string checksum = commit(node, "1", files);
  auto published = archive();
  const auto copied = published.copy_from(node, checksum);
  ASSERT_TRUE(copied) << copied.error().message();
  EXPECT_EQ(*published.resolve("icewm", "1"), checksum);
  EXPECT_EQ(*published.commit_bytes(checksum), *node.commit_bytes(checksum));
  EXPECT_THAT(published.verify()->damages, IsEmpty());
  EXPECT_EQ(published.checkout(checksum, at("none")).error().code, ENOTSUP);
  ASSERT_TRUE(published.copy_from(node, checksum)) << "there already";

  auto other = bare("other");
  ASSERT_TRUE(other.copy_from(published, checksum));
  EXPECT_TRUE(*other.has(checksum));
  ASSERT_TRUE(other.checkout(checksum, at("out")));
  EXPECT_EQ(read(at("out/usr/lib/big")), files.at("usr/lib/big"));
  EXPECT_EQ(fs::read_symlink(at("out/usr/lib/link")), "big");
  EXPECT_EQ(stat_of(at("out/usr/lib/big")).st_mtime, 0);
  EXPECT_THAT(other.verify()->damages, IsEmpty());
}

TEST(Packages, AreComparedByName) {
  EXPECT_THAT(diff_packages({}, {}), IsEmpty());
  const auto changes = diff_packages({{"a", "1"}}, {{"b", "2"}});
  ASSERT_THAT(changes, SizeIs(2));
  EXPECT_EQ(changes[0].change, Change::kRemoved);
  EXPECT_EQ(changes[1].change, Change::kAdded);
}

}  // namespace
}  // namespace panal::storage
