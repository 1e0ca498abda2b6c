/// Pulling from real web servers, good and hostile, with the real helper.

#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <thread>

#include "bench/faults/fault_point.h"
#include "tests/support/patience.h"
#include "tests/system/storage/transfer_fixture.h"

namespace panal::storage {
namespace {

using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(TransferTest, AVersionComesOverHttpAndIsTheSame) {
  const ArchiveServer server(archive_dir(), log_file());
  const auto report = pull_from(at(server.url("good")));
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_GT(report->objects, 25U);
  EXPECT_GT(report->stored_bytes, 400'000U);
  EXPECT_LT(report->sent_bytes, 100'000U) << "it is compressed";
  EXPECT_TRUE(*node_->has(first_.commit));
  EXPECT_EQ(*node_->resolve("icewm", "1"), first_.commit);
  ASSERT_TRUE(node_->checkout(first_.commit, dir_ + "/out"));
  EXPECT_EQ(read(dir_ + "/out/etc/motd"), "first");
  EXPECT_EQ(read(dir_ + "/out/usr/bin/link"), "1" + std::string(20'000, 'p'));
  EXPECT_THAT(helpers(), IsEmpty());
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/scratch"));
}

TEST_F(TransferTest, OnlyWhatIsMissingTravels) {
  const ArchiveServer server(archive_dir(), log_file());
  ASSERT_TRUE(pull_from(at(server.url("good"))));
  const std::size_t before = requests(".filez");
  const auto again = pull_from(at(server.url("good")));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->objects, 0U);
  EXPECT_EQ(requests(".filez"), before);

  write(dir_ + "/tree/etc/motd", "second");
  publish("2");
  const auto next = pull_from(at(server.url("good")), "2");
  ASSERT_TRUE(next) << next.error().message();
  EXPECT_EQ(requests(".filez"), before + 1);
  EXPECT_EQ(next->objects, 3U) << "a file, its directory, the root";
}

TEST_F(TransferTest, FromADirectoryOfThisMachine) {
  auto source = open_local_source(archive_dir());
  ASSERT_TRUE(source) << source.error().message();
  const auto report = pull(*node_, **source);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_TRUE(*node_->has(first_.commit));
}

TEST_F(TransferTest, ARedirectIsFollowed) {
  const ArchiveServer server(archive_dir(), log_file());
  const auto report = pull_from(at(server.url("elsewhere")));
  EXPECT_TRUE(report) << report.error().message();
}

struct Hostile {
  const char* how;
  std::vector<int> codes;  ///< one of them
};

std::string name_of_hostile(const ::testing::TestParamInfo<Hostile>& hostile) {
  std::string name = hostile.param.how;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class HostileServer : public TransferTest, public ::testing::WithParamInterface<Hostile> {};

TEST_P(HostileServer, IsGivenUpWithAReasonAndLeavesNothing) {
  const ArchiveServer server(archive_dir(), log_file());
  const auto before = steady_clock::now();
  PullBudget impatient = small_budget();
  impatient.quiet = std::chrono::seconds(2) * patience();
  const auto report = pull_from(at(server.url(GetParam().how)), "1", impatient);
  ASSERT_FALSE(report);
  EXPECT_THAT(GetParam().codes, ::testing::Contains(report.error().code))
      << report.error().message();
  EXPECT_THAT(report.error().message(), HasSubstr("127.0.0.1")) << "which server it was";
  EXPECT_LT(steady_clock::now() - before, std::chrono::seconds(20) * patience());
  EXPECT_FALSE(node_->resolve("icewm", "1"));
  EXPECT_THAT(helpers(), IsEmpty());
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/scratch"));
  // And a good one can be had from the same node right after.
  const auto good = pull_from(at(server.url("good")));
  EXPECT_TRUE(good) << good.error().message();
}

INSTANTIATE_TEST_SUITE_P(
    OfObjects, HostileServer,
    ::testing::Values(Hostile{"endless", {EFBIG}}, Hostile{"huge", {EFBIG}},
                      Hostile{"short", {EIO}}, Hostile{"wrong", {EBADMSG, EPERM}},
                      Hostile{"empty", {EBADMSG}}, Hostile{"html", {EBADMSG}},
                      Hostile{"bomb", {EBADMSG, EFBIG}}, Hostile{"gone", {ENOENT}},
                      Hostile{"error", {EIO}}, Hostile{"loop", {EIO}}, Hostile{"file", {EIO}},
                      Hostile{"silent", {ETIMEDOUT}}, Hostile{"slow", {ETIMEDOUT}},
                      Hostile{"headers", {EIO, ETIMEDOUT, ECHILD}},
                      Hostile{"header-line", {EIO, ETIMEDOUT, ECHILD}}, Hostile{"rubbish", {EIO}}),
    name_of_hostile);

INSTANTIATE_TEST_SUITE_P(
    OfTheList, HostileServer,
    ::testing::Values(Hostile{"endless-list", {EFBIG}}, Hostile{"huge-list", {EFBIG}},
                      Hostile{"wrong-list", {EKEYREJECTED, EPROTO}},
                      Hostile{"empty-list", {EPROTO}}, Hostile{"html-list", {EPROTO}},
                      Hostile{"gone-list", {ENOENT}}, Hostile{"silent-list", {ETIMEDOUT}},
                      Hostile{"loop-list", {EIO}}, Hostile{"rubbish-list", {EIO}}),
    name_of_hostile);

TEST_F(TransferTest, MoreThanWasSaidIsNotTaken) {
  const ArchiveServer server(archive_dir(), log_file());
  // What follows a whole answer is no part of it; whether the pull succeeds is not the point.
  const auto report = pull_from(at(server.url("lying")));
  if (report) {
    EXPECT_TRUE(*node_->has(first_.commit));
  }
  EXPECT_THAT(helpers(), IsEmpty());
}

TEST_F(TransferTest, APullThatNeedsMoreThanItMayIsGivenUp) {
  const ArchiveServer server(archive_dir(), log_file());
  PullBudget budget = small_budget();
  budget.bytes = 200'000;  // compressed it is less, and on disk it is more
  EXPECT_EQ(pull_from(at(server.url("good")), "1", budget).error().code, EFBIG);
  budget = small_budget();
  budget.object_bytes = 10'000;
  EXPECT_EQ(pull_from(at(server.url("good")), "1", budget).error().code, EFBIG);
}

TEST_F(TransferTest, AnOlderListIsRefusedAndANewKeyFollowed) {
  const ArchiveServer server(archive_dir(), log_file());
  const std::string old = read(archive_dir() + "/" + kListName);
  publish("2");
  ASSERT_TRUE(pull_from(at(server.url("good")), "2"));
  const std::string newer = read(archive_dir() + "/" + kListName);
  write(archive_dir() + "/" + kListName, old);
  const auto replayed = pull_from(at(server.url("good")));
  EXPECT_EQ(replayed.error().code, ESTALE) << replayed.error().message();
  write(archive_dir() + "/" + kListName, newer);

  const auto key = rotate_key(dir_ + "/key", {archive_dir()});
  ASSERT_TRUE(key) << key.error().message();
  EXPECT_FALSE(*key == key_->public_key());
  EXPECT_EQ(SecretKey::load(dir_ + "/key")->public_key(), *key);
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/key.next"));
  ASSERT_TRUE(pull_from(at(server.url("good"))));
  EXPECT_EQ(read_trust(trust_file())->key, *key);
  // What the old key signs is nobody's word any more: not for the archive, and not for nodes.
  EXPECT_EQ(Archive::open_or_create(archive_dir(), *key_).error().code, EKEYREJECTED);
  const auto forged = seal(print_list(ImageList{~std::uint64_t{0} >> 1U, 0, 0, {}}), {}, *key_);
  write(archive_dir() + "/" + kListName, *forged);
  EXPECT_EQ(pull_from(at(server.url("good"))).error().code, EKEYREJECTED);
}

TEST_F(TransferTest, AChangeOfKeyGoesOnWhereItWasInterrupted) {
  // Killed after the new key was made, and after one of two archives had it.
  auto other = Archive::open_or_create(dir_ + "/other", *key_);
  ASSERT_TRUE(other);
  auto next = SecretKey::generate();
  ASSERT_TRUE(next->save(dir_ + "/key.next"));
  EXPECT_EQ(rotate_key(dir_ + "/key", {archive_dir(), dir_ + "/none"}).error().code, ENOENT);
  EXPECT_EQ(SecretKey::load(dir_ + "/key")->public_key(), key_->public_key()) << "not yet";
  const auto key = rotate_key(dir_ + "/key", {archive_dir(), dir_ + "/other"});
  ASSERT_TRUE(key) << key.error().message();
  EXPECT_EQ(*key, next->public_key());
  for (const char* name : {"/archive", "/other"}) {
    auto archive = Archive::open(dir_ + name);
    ASSERT_TRUE(archive);
    EXPECT_TRUE(archive->list(*key)) << name;
  }
}

TEST_F(TransferTest, AnExpiredListIsRefusedUntilItIsSignedAgain) {
  auto source = open_local_source(archive_dir());
  ASSERT_TRUE(archive_->sign_again(*key_, {1}));
  const auto later = ::time(nullptr) + 5;
  EXPECT_EQ(fetch_list(**source, trust_file(), later).error().code, EKEYEXPIRED);
  ASSERT_TRUE(archive_->sign_again(*key_, {3600}));
  const auto list = fetch_list(**source, trust_file(), later);
  ASSERT_TRUE(list) << list.error().message();
  EXPECT_EQ(list->expires_unix_s - list->created_unix_s, 3600);
  // What is pushed later lives as long, until somebody says otherwise.
  publish("2");
  ASSERT_TRUE(rotate_key(dir_ + "/key", {archive_dir()}));
  const auto next = fetch_list(**source, trust_file(), later);
  ASSERT_TRUE(next) << next.error().message();
  EXPECT_EQ(next->expires_unix_s - next->created_unix_s, 3600);
  const auto key = SecretKey::load(dir_ + "/key");
  ASSERT_TRUE(key);
  EXPECT_EQ(archive_->sign_again(*key, {-1})->expires_unix_s, 0);
}

TEST_F(TransferTest, TheHelperHasNoRights) {
  // Whoever started this may have been given capabilities to pass on.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  ASSERT_EQ(::syscall(SYS_capget, &header, sets), 0);
  sets[0].inheritable = 1U << CAP_CHOWN;
  ASSERT_EQ(::syscall(SYS_capset, &header, sets), 0);
  const ArchiveServer server(archive_dir(), log_file());
  std::atomic<bool> cancelled{false};
  Work work;
  work.cancelled = &cancelled;
  std::thread puller([&] {
    PullBudget patient = small_budget();
    patient.quiet = std::chrono::minutes(2);
    const auto report = pull_from(at(server.url("silent")), "1", patient, work);
    EXPECT_EQ(report.error().code, ECANCELED) << report.error().message();
  });
  // It has asked for objects: rights are long given up.
  EXPECT_TRUE(wait_for_requests(".filez", 1));
  const auto running = helpers();
  EXPECT_THAT(running, SizeIs(1));
  if (!running.empty()) {
    const std::string proc = "/proc/" + std::to_string(*running.begin());
    const std::string status = read(proc + "/status");
    const std::string id = std::to_string(kNobodysId);
    EXPECT_THAT(status, HasSubstr("Uid:\t" + id + "\t" + id + "\t" + id + "\t" + id + "\n"));
    EXPECT_THAT(status, HasSubstr("Gid:\t" + id + "\t" + id + "\t" + id + "\t" + id + "\n"));
    EXPECT_THAT(status, HasSubstr("Groups:\t \n"));
    EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1\n"));
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
      EXPECT_THAT(status, HasSubstr(std::string(set) + ":\t0000000000000000\n"));
    EXPECT_THAT(read(proc + "/cmdline"), ::testing::Not(HasSubstr("127.0.0.1")));
    const std::string maps = read(proc + "/maps");
    EXPECT_THAT(maps, HasSubstr("/libcurl.so"));
    EXPECT_THAT(maps, ::testing::Not(HasSubstr("ostree")));
    // Nothing of the repository is open in it: a socket, files without a name, what libcurl needs.
    for (const auto& entry : std::filesystem::directory_iterator(proc + "/fd")) {
      std::error_code gone;
      const std::string target = std::filesystem::read_symlink(entry.path(), gone);
      EXPECT_TRUE(!target.starts_with(dir_) || target.ends_with(" (deleted)")) << target;
    }
  }
  cancelled = true;
  puller.join();
  EXPECT_THAT(helpers(), IsEmpty());
  sets[0].inheritable = 0;
  EXPECT_EQ(::syscall(SYS_capset, &header, sets), 0);
}

TEST_F(TransferTest, AKilledPullIsGoneOnWithAndItsHelperEnds) {
  const ArchiveServer server(archive_dir(), log_file());
  const pid_t child = ::fork();
  if (child == 0) {
    const auto report = pull_from(at(server.url("delayed")));
    ::_exit(report ? 0 : 1);
  }
  EXPECT_TRUE(wait_for_requests(".filez", 8));
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(node_->resolve("icewm", "1"));
  const auto report = pull_from(at(server.url("good")));
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_TRUE(*node_->has(first_.commit));
  // The orphan: its socket has ended, and it with it.
  const auto until = steady_clock::now() + std::chrono::seconds(5) * patience();
  bool alive = true;
  while (alive && steady_clock::now() < until) {
    alive = false;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string process = entry.path().string();
      // One that waits to be reaped has no command line any more.
      alive = alive ||
              (read(process + "/comm") == "panal-fetch\n" && !read(process + "/cmdline").empty());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_FALSE(alive);
}

TEST_F(TransferTest, APullThatIsKilledAnywhereLeavesNoFileInScratch) {
  const ArchiveServer server(archive_dir(), log_file());
  // As far as the list, which is the first file to come, and some of the objects.
  for (unsigned nth = 1; nth <= 40; ++nth) {
    const auto run =
        bench::run_killed_before(nth, [&] { return pull_from(at(server.url("good"))) ? 0 : 1; });
    if (!run.reached) break;
    EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/scratch"))
        << "killed before call " << run.call << ", the " << nth << ". change";
  }
}

TEST_F(TransferTest, AFullDiskIsToldInWords) {
  make_mount_point("small");
  ASSERT_EQ(::mount("small", (dir_ + "/small").c_str(), "tmpfs", 0, "size=64k"), 0);
  // Not compressible: its object is as large as the file.
  std::ifstream random("/dev/urandom", std::ios::binary);
  std::string bytes(300'000, '\0');
  random.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  write(dir_ + "/tree/usr/bin/large", bytes);
  publish("2");
  const ArchiveServer server(archive_dir(), log_file());
  FetchHelper small = helper();
  small.scratch = dir_ + "/small";
  auto source = start_remote_source(at(server.url("good")), small, small_budget());
  ASSERT_TRUE(source) << source.error().message();
  const auto report = pull(*node_, **source, "2");
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message(), HasSubstr("No space left on device"));
}

TEST_F(TransferTest, TlsNeedsACertificateThatIsBelieved) {
  make_dir("tls");
  const ArchiveServer server(archive_dir(), log_file(), dir_ + "/tls");
  const std::string url = server.url("good", "https");
  const auto unknown = pull_from(at(url));
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message(), HasSubstr("certificate"));
  std::string wrong = server.pin();
  wrong[10] = wrong[10] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(pull_from(RemoteArchive{url, "", wrong, ""}));
  EXPECT_EQ(requests(""), 0U) << "not a byte was asked for";
  const auto pinned = pull_from(RemoteArchive{url, "", server.pin(), ""});
  EXPECT_TRUE(pinned) << pinned.error().message();
  ASSERT_EQ(::chmod((dir_ + "/tls").c_str(), 0755), 0);
  const auto known = pull_from(RemoteArchive{url, dir_ + "/tls/cert.pem", "", ""});
  EXPECT_TRUE(known) << known.error().message();
}

TEST_F(TransferTest, AServerThatIsNotThereIsToldWithItsName) {
  const auto report = pull_from(at("http://user:word@127.0.0.1:1/images"));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, EIO);
  EXPECT_THAT(report.error().message(), HasSubstr("http://127.0.0.1:1/images"));
  EXPECT_THAT(report.error().message(), ::testing::Not(HasSubstr("word")));
}

TEST_F(TransferTest, ADamagedNodeIsRepairedFromTheArchive) {
  auto source = open_local_source(archive_dir());
  ASSERT_TRUE(pull(*node_, **source));
  // A bit of a program's object, and the motd's, which is gone.
  std::string program;
  std::string motd;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_ + "/node/objects")) {
    if (entry.path().extension() != ".file" || !entry.is_regular_file()) continue;
    (entry.file_size() > 20'000 ? program : motd) = entry.path().string();
  }
  std::string bytes = read(program);
  bytes.at(100) = static_cast<char>(bytes.at(100) ^ 1);
  write(program, bytes);
  ASSERT_EQ(::unlink(motd.c_str()), 0);
  const auto found = node_->verify();
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_THAT(found->damages, SizeIs(2));
  const auto left = node_->repair(found->damages, fetch_from(**source, small_budget()));
  ASSERT_TRUE(left) << left.error().message();
  EXPECT_THAT(*left, IsEmpty());
  EXPECT_THAT(node_->verify()->damages, IsEmpty());
}

}  // namespace
}  // namespace panal::storage
