#include "storage/import/import.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <csignal>
#include <thread>

#include "storage/import/export.h"
#include "storage/recipe/build_process.h"
#include "storage/unpack/unpack.h"
#include "tests/support/oci_maker.h"
#include "tests/support/patience.h"
#include "tests/support/tar_maker.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {
namespace {

namespace fs = std::filesystem;
using test::OciMaker;
using test::TarMaker;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class ImportTest : public StorageTest {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    if (IsSkipped()) return;
    spec_.image = "guest";
    spec_.session = {"startx"};
    spec_.unpacker = std::string(PANAL_BIN_DIR) + "/panal-unpack";
    images_ = dir_ + "/images";
  }

  Result<VersionManifest> import_source(const std::string& source) {
    spec_.source = source;
    ImageStore store(images_);
    auto done = import_image(
        spec_, store,
        [this](double part, const std::string& what) {
          EXPECT_GE(part, 0);
          EXPECT_LE(part, 1);
          words_.push_back(what);
        },
        &cancelled_);
    if (done) root_ = store.root_of(done->image, done->version);
    return done;
  }
  Result<VersionManifest> import_tar(const TarMaker& tar) {
    write(dir_ + "/source.tar", tar.text());
    return import_source(dir_ + "/source.tar");
  }
  /// Refused with this code and all of these words, and nothing is left.
  void expect_refused(const Result<VersionManifest>& done, int code,
                      const std::vector<std::string>& words) {
    ASSERT_FALSE(done) << "was taken: " << words.front();
    EXPECT_EQ(done.error().code, code) << done.error().context;
    for (const auto& word : words) EXPECT_THAT(done.error().context, HasSubstr(word));
    EXPECT_EQ(done.error().context.find('\n'), std::string::npos);
    EXPECT_FALSE(fs::exists(images_ + "/guest"));
    EXPECT_TRUE(!fs::exists(images_ + "/.staging") || fs::is_empty(images_ + "/.staging"));
  }

  ImportSpec spec_;
  std::string images_;
  std::string root_;
  std::vector<std::string> words_;
  std::atomic<bool> cancelled_{false};
};

TEST_F(ImportTest, ATarballBecomesAVersionWithCanonicalIds) {
  TarMaker tar;
  tar.root().directory("home").directory("home/anna", 0700);
  TarMaker::Entry file;
  file.name = "./home/anna/note";
  file.data = std::string(100'000, 'x');
  file.uid = 1000;
  file.gid = 65535;
  file.mode = 0640;
  tar.add(file);
  tar.file("usr/bin/su", "su", 04755).link("usr/bin/again", "usr/bin/su", '1');
  tar.link("bin", "usr/bin").link("etc/mtab", "/proc/mounts").file("bin/through-a-link", "y");
  tar.directory("var").directory("var/lib").directory("var/lib/dpkg");
  tar.file("var/lib/dpkg/status",
           "Package: bash\nStatus: install ok installed\nVersion: 5.2-1\n\nPackage: gone\nStatus: "
           "deinstall ok config-files\nVersion: 1\n");
  tar.file("etc/machine-id", "0123456789abcdef0123456789abcdef\n").link("etc/resolv.conf", "/x/y");
  const auto done = import_tar(tar);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->image, "guest");
  EXPECT_THAT(done->session, ElementsAre("startx"));
  EXPECT_THAT(done->packages, ElementsAre(Pair("bash", "5.2-1")));
  EXPECT_EQ(done->recipe_digest, "");
  EXPECT_THAT(done->message, HasSubstr("imported from source.tar, SHA-256 "));
  EXPECT_EQ(done->commit.size(), 64U);
  EXPECT_GT(done->size_bytes, 100'000U);

  const auto note = stat_of(root_ + "/home/anna/note");
  EXPECT_EQ(note.st_uid, 1000U);
  EXPECT_EQ(note.st_gid, 65535U);
  EXPECT_EQ(note.st_mode & 07777U, 0640U);
  EXPECT_EQ(note.st_size, 100'000);
  EXPECT_EQ(stat_of(root_ + "/home/anna").st_mode & 07777U, 0700U);
  EXPECT_EQ(stat_of(root_ + "/usr/bin/su").st_mode & 07777U, 04755U);
  EXPECT_EQ(stat_of(root_ + "/usr/bin/su").st_ino, stat_of(root_ + "/usr/bin/again").st_ino);
  EXPECT_EQ(read(root_ + "/usr/bin/through-a-link"), "y");
  EXPECT_EQ(stat_of(root_).st_mode & 07777U, 0755U);
  // What every desktop needs, and no identity.
  EXPECT_EQ(stat_of(root_ + "/.panal/panal-agent").st_mode & 07777U, 0755U);
  EXPECT_EQ(stat_of(root_ + "/tmp").st_mode & 07777U, 01777U);
  EXPECT_EQ(read(root_ + "/etc/machine-id"), "");
  EXPECT_TRUE(S_ISREG(stat_of(root_ + "/etc/resolv.conf").st_mode));
  EXPECT_EQ(fs::symlink_status(images_ + "/.staging").type(), fs::file_type::directory);
  EXPECT_TRUE(fs::is_empty(images_ + "/.staging"));
}

TEST_F(ImportTest, EntriesThatAreNoImagesAreRefusedByName) {
  struct Case {
    std::string name;
    char type;
    std::string target;
    std::string words;
  };
  const std::vector<Case> cases = {
      {"etc/../../escape", '0', "", "\"..\" in its path"},
      {"/etc/absolute", '0', "", "absolute"},
      {"usr/null", '3', "", "character device"},
      {"usr/disk", '4', "", "block device"},
      {"usr/pipe", '6', "", "FIFO"},
      {"usr/out", '2', "../../etc/passwd", "leads out"},
      {"usr/hard", '1', "../etc/shadow", "leads out"},
      {"usr/hard", '1', "/etc/shadow", "leads out"},
      {"usr/hard", '1', "usr/none", "usr/none"},
      {"usr/hard", '1', "usr", "the directory"},
  };
  for (const auto& one : cases) {
    TarMaker tar;
    tar.root();
    TarMaker::Entry entry;
    entry.name = one.name;
    entry.type = one.type;
    entry.target = one.target;
    tar.add(entry);
    const auto done = import_tar(tar);
    ASSERT_FALSE(done) << one.name;
    expect_refused(done, one.words == "usr/none" ? ENOENT : EPERM, {one.words});
  }
  TarMaker tar;
  TarMaker::Entry entry;
  entry.name = "usr/ping";
  entry.pax = {{"SCHILY.xattr.security.capability",
                std::string("\1\0\0\2\0 \0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20)}};
  tar.root().add(entry);
  expect_refused(import_tar(tar), EPERM, {"\"usr/ping\"", "file capabilities"});
  spec_.leave_out_special = true;
  TarMaker::Entry device;
  device.name = "usr/null";
  device.type = '3';
  tar.add(device);
  const auto left = import_tar(tar);
  ASSERT_TRUE(left) << left.error().message();
  EXPECT_EQ(::getxattr((root_ + "/usr/ping").c_str(), "security.capability", nullptr, 0), -1);
  EXPECT_FALSE(fs::exists(root_ + "/usr/null"));
  EXPECT_THAT(words_, Contains("done; 2 special entries left out"));
}

TEST_F(ImportTest, NothingIsWrittenThroughALinkThatLeadsOut) {
  const std::string outside = make_dir("outside");
  ASSERT_EQ(::chmod(outside.c_str(), 0777), 0);
  for (const std::string& target :
       {outside, std::string("../../../../../../tmp"), std::string("/etc")}) {
    TarMaker tar;
    tar.root().link("usr/trap", target).file("usr/trap/planted", "x");
    expect_refused(import_tar(tar), EPERM, {"usr/trap/planted", "link that leads out"});
  }
  EXPECT_TRUE(fs::is_empty(outside));
}

TEST_F(ImportTest, BudgetsAndDamageEndIt) {
  TarMaker tar;
  tar.root().file("usr/big", std::string(std::size_t{4} << 20, '\0'));
  spec_.limits.bytes = std::uint64_t{1} << 20;
  expect_refused(import_tar(tar), EFBIG, {"1048576"});
  spec_.limits = {};
  spec_.limits.entries = 3;
  expect_refused(import_tar(tar), EFBIG, {"more than 3 entries"});
  spec_.limits = {};
  write(dir_ + "/cut.tar", tar.text().substr(0, 100'000));
  expect_refused(import_source(dir_ + "/cut.tar"), EPROTO, {"sound tarball"});
  write(dir_ + "/text.tar", std::string(4000, 'a'));
  expect_refused(import_source(dir_ + "/text.tar"), EPROTO, {"tarball"});
  write(dir_ + "/empty.tar", "");
  expect_refused(import_source(dir_ + "/empty.tar"), EPROTO, {"empty"});
  TarMaker no_root;
  no_root.file("README", "x");
  expect_refused(import_tar(no_root), EPROTO, {"no root file system", "README"});
  expect_refused(import_source(dir_ + "/none.tar"), ENOENT, {"none.tar"});
  TarMaker foreign;
  TarMaker::Entry entry;
  entry.name = "usr/foreign";
  entry.uid = 100'000;
  foreign.root().add(entry);
  expect_refused(import_tar(foreign), EPERM, {"\"usr/foreign\"", "100000"});
}

TEST_F(ImportTest, AQvdImageLosesWhatIsBesideItsRoot) {
  TarMaker tar;
  tar.directory("hooks").file("hooks/prestart", "#!/bin/sh\ntouch /tmp/ran\n", 0755);
  tar.directory("rootfs").directory("rootfs/etc").directory("rootfs/sbin");
  tar.file("rootfs/sbin/init", "x", 0755).link("rootfs/sbin/halt", "rootfs/sbin/init", '1');
  const auto done = import_tar(tar);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_FALSE(fs::exists(root_ + "/hooks"));
  EXPECT_FALSE(fs::exists(root_ + "/rootfs"));
  EXPECT_EQ(stat_of(root_ + "/sbin/init").st_ino, stat_of(root_ + "/sbin/halt").st_ino);
  EXPECT_TRUE(fs::exists(root_ + "/.panal/panal-agent"));
  EXPECT_THAT(done->packages, ::testing::IsEmpty());
  TarMaker out;
  out.directory("hooks").directory("rootfs").directory("rootfs/sbin");
  out.link("rootfs/sbin/out", "../../hooks/prestart");
  fs::remove_all(images_);
  expect_refused(import_tar(out), EPERM, {"\"sbin/out\"", "leads out"});
}

TEST_F(ImportTest, ADirectoryComesThroughAndIsExportedAsItWas) {
  const std::string tree = make_dir("tree");
  for (const char* part : {"/usr/bin", "/etc", "/var/lib"}) fs::create_directories(tree + part);
  write(tree + "/usr/bin/tool", std::string(3'000'000, 't'));
  ASSERT_EQ(::chown((tree + "/usr/bin/tool").c_str(), 5, 60), 0);
  ASSERT_EQ(::chmod((tree + "/usr/bin/tool").c_str(), 02755), 0);
  fs::create_hard_link(tree + "/usr/bin/tool", tree + "/usr/bin/other");
  fs::create_symlink("tool", tree + "/usr/bin/name");
  write(tree + "/etc/" + std::string(200, 'n'), "long name");
  write(tree + "/etc/F\xc5\x91", "composed UTF-8");
  const auto first = import_source(tree);
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_EQ(stat_of(root_ + "/usr/bin/tool").st_gid, 60U);
  EXPECT_EQ(stat_of(root_ + "/usr/bin/tool").st_mode & 07777U, 02755U);
  EXPECT_EQ(stat_of(root_ + "/usr/bin/tool").st_ino, stat_of(root_ + "/usr/bin/other").st_ino);
  EXPECT_EQ(fs::read_symlink(root_ + "/usr/bin/name"), "tool");

  // The same bytes from the tree and from what is imported of its tarball, however compressed.
  ExportSpec wanted;
  wanted.root = root_;
  wanted.file = dir_ + "/first.tar";
  ASSERT_TRUE(export_tar(wanted, nullptr, nullptr));
  const auto refused = export_tar(wanted, nullptr, nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EEXIST);
  const std::string bytes = read(wanted.file);
  for (const char* name : {"/again.tar.gz", "/again.tar.zst", "/again.tar.xz"}) {
    wanted.root = root_;
    wanted.file = dir_ + name;
    wanted.compression = *compression_of_name(name);
    ASSERT_TRUE(export_tar(wanted, nullptr, nullptr)) << name;
    const auto again = import_source(wanted.file);
    ASSERT_TRUE(again) << name << ": " << again.error().message();
    wanted.root = root_;
    wanted.file += ".plain";
    wanted.compression = TarCompression::kNone;
    ASSERT_TRUE(export_tar(wanted, nullptr, nullptr));
    EXPECT_TRUE(read(wanted.file) == bytes) << name;
  }

  fs::remove_all(images_);
  ASSERT_EQ(::mknod((tree + "/usr/null").c_str(), S_IFCHR | 0666, ::makedev(1, 3)), 0);
  expect_refused(import_source(tree), EPERM, {"\"usr/null\"", "character device"});
  spec_.leave_out_special = true;
  EXPECT_TRUE(import_source(tree));
}

TEST_F(ImportTest, NamesComeThroughAsTheyAre) {
  const std::string tree = make_dir("tree");
  fs::create_directories(tree + "/usr");
  // Composed and decomposed UTF-8, and what a terminal would take for something else.
  const std::vector<std::string> names = {"F\xc5\x91", "e\xcc\x81", " ", "a\nb", "\x1b[2J"};
  for (const auto& name : names) write(tree + "/usr/" + name, name);
  fs::create_symlink("e\xcc\x81", tree + "/usr/link");
  const auto done = import_source(tree);
  ASSERT_TRUE(done) << done.error().message();
  for (const auto& name : names) EXPECT_EQ(read(root_ + "/usr/" + name), name);
  EXPECT_EQ(fs::read_symlink(root_ + "/usr/link"), "e\xcc\x81");

  fs::remove_all(images_);
  write(tree + "/usr/latin-\xe9", "x");
  expect_refused(import_source(tree), EPERM, {"\"usr/latin-\\xe9\"", "UTF-8"});
  fs::remove(tree + "/usr/latin-\xe9");
  fs::create_symlink("latin-\xe9", tree + "/usr/link-to-latin");
  expect_refused(import_source(tree), EPERM, {"\"usr/link-to-latin\"", "UTF-8"});
}

TEST_F(ImportTest, LayersOfAnOciLayoutAreAppliedInOrder) {
  const OciMaker oci(make_dir("layout"));
  TarMaker low;
  low.root().file("usr/kept", "low").file("usr/changed", "low").file("usr/hidden", "low");
  low.directory("usr/opaque").file("usr/opaque/low", "x").directory("usr/opaque/deep");
  low.file("usr/opaque/deep/low", "x").link("bin", "usr/bin").file("usr/becomes-dir", "x");
  TarMaker high;
  // Whiteouts hide what is below only, whatever their order in the layer.
  high.file("usr/opaque/new", "high").file("usr/opaque/.wh..wh..opq", "");
  high.file("usr/opaque/deep/new", "high").file("usr/.wh.hidden", "").file("usr/.wh.never", "");
  high.file("usr/changed", "high").directory("usr/becomes-dir").file("usr/becomes-dir/in", "x");
  high.file("bin/tool", "through a link", 0755).file("usr/.wh.changed", "");
  const OciMaker::Packing packings[] = {
      {}, {"+gzip", ::archive_write_add_filter_gzip}, {"+zstd", ::archive_write_add_filter_zstd}};
  for (const auto& packing : packings) {
    oci.index({oci.image({low.text(), high.text()}, {"startxfce4", "--session"}, packing,
                         unpack::oci::host_architecture())});
    spec_.session.clear();
    const auto done = import_source(dir_ + "/layout");
    ASSERT_TRUE(done) << packing.suffix << ": " << done.error().message();
    EXPECT_THAT(done->session, ElementsAre("startxfce4", "--session"));
    EXPECT_EQ(read(root_ + "/usr/kept"), "low");
    EXPECT_EQ(read(root_ + "/usr/changed"), "high");
    EXPECT_FALSE(fs::exists(root_ + "/usr/hidden"));
    EXPECT_FALSE(fs::exists(root_ + "/usr/.wh.hidden"));
    EXPECT_FALSE(fs::exists(root_ + "/usr/opaque/low"));
    EXPECT_FALSE(fs::exists(root_ + "/usr/opaque/deep/low"));
    EXPECT_EQ(read(root_ + "/usr/opaque/new"), "high");
    EXPECT_EQ(read(root_ + "/usr/opaque/deep/new"), "high");
    EXPECT_EQ(read(root_ + "/usr/becomes-dir/in"), "x");
    EXPECT_EQ(read(root_ + "/usr/bin/tool"), "through a link");
  }
  fs::remove_all(images_);
  oci.index({oci.image({low.text()}, {"x"}, {}, "another")});
  expect_refused(import_source(dir_ + "/layout"), EPROTO, {"linux/another"});
}

TEST_F(ImportTest, EveryByteOfALayoutIsCheckedAgainstItsDigest) {
  const OciMaker oci(make_dir("layout"));
  TarMaker layer;
  layer.root();
  const auto image = oci.image({layer.text()}, {"x"});
  oci.index({image});
  ASSERT_TRUE(import_source(dir_ + "/layout"));
  fs::remove_all(images_);
  std::vector<fs::path> blobs;
  for (const auto& entry : fs::directory_iterator(dir_ + "/layout/blobs/sha256"))
    blobs.push_back(entry.path());
  for (const auto& blob : blobs) {
    const std::string good = read(blob);
    std::string bad = good;
    bad[bad.size() - 1] = static_cast<char>(bad.back() ^ 1);  // of a layer: past its end
    write(blob, bad);
    expect_refused(import_source(dir_ + "/layout"), EPROTO, {"damaged", blob.filename()});
    write(blob, good + " ");
    expect_refused(import_source(dir_ + "/layout"), EPROTO, {"bytes, not"});
    fs::remove(blob);
    expect_refused(import_source(dir_ + "/layout"), ENOENT, {blob.filename()});
    write(blob, good);
  }
  auto other = oci.image({layer.text()}, {"y"});
  auto named = image;
  other["annotations"] = {{"org.opencontainers.image.ref.name", "other"}};
  named["annotations"] = {{"org.opencontainers.image.ref.name", "first"}};
  oci.index({named, other});
  expect_refused(import_source(dir_ + "/layout"), EINVAL, {"first", "other", "--reference"});
  spec_.reference = "none";
  expect_refused(import_source(dir_ + "/layout"), ENOENT, {"first", "other"});
  spec_.reference = "other";
  spec_.session.clear();
  const auto chosen = import_source(dir_ + "/layout");
  ASSERT_TRUE(chosen) << chosen.error().message();
  EXPECT_THAT(chosen->session, ElementsAre("y"));
}

TEST_F(ImportTest, ALayoutInATarballIsKnownByItsEntries) {
  const std::string layout = make_dir("layout");
  const OciMaker oci(layout);
  TarMaker layer;
  layer.root();
  oci.index({oci.image({layer.text()}, {"x"})});
  ExportSpec wanted;
  wanted.root = layout;
  wanted.file = dir_ + "/layout.tar.gz";
  wanted.compression = TarCompression::kGzip;
  ASSERT_TRUE(export_tar(wanted, nullptr, nullptr));
  spec_.session.clear();
  const auto done = import_source(wanted.file);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(fs::exists(root_ + "/usr/bin/sh"));
  TarMaker plain;
  plain.root();
  fs::remove_all(images_);
  expect_refused(import_tar(plain), EINVAL, {"--session"});
}

/// The first line of a text that begins with `key`, without it.
std::string line_of(const std::string& text, const std::string& key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.compare(0, key.size(), key) == 0) return line.substr(key.size());
  return "";
}

TEST_F(ImportTest, TheUnpackerIsConfined) {
  auto names = UserNamespace::create(70'000'000, 65536);
  ASSERT_TRUE(names);
  BuildCommand command;
  command.user_namespace = names->fd();
  command.offline = true;
  std::vector<UniqueFd> trees;
  for (const char* name : {unpack::kTreeDir, unpack::kLayoutDir}) {
    auto tree = mount::clone_tree(make_dir(name));
    ASSERT_TRUE(tree && mount::set_attributes(tree->get(), 0, names->fd()));
    command.mounts.emplace_back(tree->get(), std::string(unpack::kBuildDir) + "/" + name);
    trees.push_back(std::move(*tree));
  }
  auto program = mount::clone_tree(PANAL_BIN_DIR);
  ASSERT_TRUE(program);
  const std::string program_dir = std::string(unpack::kBuildDir) + "/" + unpack::kProgramDir;
  command.mounts.emplace_back(program->get(), program_dir);
  unpack::UnpackOptions options;
  options.limit_bytes = options.limit_entries = 1000;
  command.argv = {program_dir + "/panal-unpack"};
  for (const auto& word : unpack::print_options(options)) command.argv.push_back(word);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  command.input = read_end.get();
  auto process = BuildProcess::start(command);
  ASSERT_TRUE(process) << process.error().message();
  read_end.reset();

  // It waits for its archive, confined.
  std::string proc;
  std::string status;
  for (int i = 0; i < 500 * patience(); ++i) {
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string text = read(entry.path().string() + "/status");
      if (line_of(text, "Name:\t") != "panal-unpack") continue;
      proc = entry.path();
      status = text;
    }
    if (line_of(status, "CapEff:\t") == "000000000000001b") break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(line_of(status, "CapEff:\t"), "000000000000001b") << status;
  EXPECT_EQ(line_of(status, "CapPrm:\t"), "000000000000001b");
  EXPECT_EQ(line_of(status, "NoNewPrivs:\t"), "1");
  EXPECT_THAT(line_of(status, "Uid:\t"), ::testing::StartsWith("70000000\t"));
  std::vector<std::string> seen;
  for (const auto& entry : fs::directory_iterator(proc + "/root"))
    seen.push_back(entry.path().filename());
  EXPECT_THAT(seen, ::testing::UnorderedElementsAre(unpack::kTreeDir, unpack::kLayoutDir,
                                                    unpack::kProgramDir));
  const std::string links = read(proc + "/net/dev");
  EXPECT_EQ(std::count(links.begin(), links.end(), ':'), 1) << links;
  EXPECT_THAT(links, HasSubstr("lo:"));

  write_end.reset();
  std::string said;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(process->output(), buffer, sizeof buffer)) > 0;)
    said.append(buffer, static_cast<std::size_t>(got));
  EXPECT_EQ(process->wait().value_or(-1), 1);
  EXPECT_THAT(said, HasSubstr("is empty")) << "no other process held the pipe's other end";
}

TEST_F(ImportTest, IsCancelledAndLeavesNothing) {
  TarMaker tar;
  tar.root();
  for (int i = 0; i < 400; ++i)
    tar.file("usr/f" + std::to_string(i), std::string(std::size_t{256} << 10, 'z'));
  write(dir_ + "/source.tar", tar.text());
  std::thread later([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    cancelled_ = true;
  });
  const auto done = import_source(dir_ + "/source.tar");
  later.join();
  expect_refused(done, ECANCELED, {"cancelled"});
}

}  // namespace
}  // namespace panal::storage
