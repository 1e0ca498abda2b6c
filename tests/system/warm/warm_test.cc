// Hot pages on the real kernel: a start's pages are recorded, evicted ones are read again, and who
// pays for them is the group that panal-warm was put into.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "engine/base/file_tree.h"
#include "engine/kernel/cgroup.h"
#include "runtime/warm/process.h"
#include "storage/compose/overlay/overlay.h"
#include "storage/warm/hot_pages.h"
#include "storage/warm/record.h"
#include "storage/warm/residency.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::warm {
namespace {

using namespace std::chrono_literals;
using storage::PageRanges;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr const char* kProgram = PANAL_BIN_DIR "/panal-warm";

class WarmTest : public storage::StorageTest {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    if (IsSkipped()) return;
    const char* lab = std::getenv("PANAL_LAB_CGROUP");
    if (lab == nullptr) GTEST_SKIP() << "not in scripts/lab";
    if (::access(kProgram, X_OK) != 0) GTEST_SKIP() << "panal-warm is not built";
    lab_ = lab;
    version_ = make_dir("images/icewm/1");
    root_ = make_dir("images/icewm/1/root");
    make_dir("images/icewm/1/root/usr/lib");
    for (const char* name : {"/usr/lib/a.so", "/usr/lib/b.so"}) {
      write(root_ + name, std::string(4 * kMiB, 'x'));
      const UniqueFd fd(::open((root_ + name).c_str(), O_RDONLY | O_CLOEXEC));
      ASSERT_EQ(::fsync(fd.get()), 0);
    }
    cool();
    if (resident("/usr/lib/a.so") != 0)
      GTEST_SKIP() << dir_ << " is on a file system whose page cache cannot be let go";
    auto tree = Tree::open_system();
    ASSERT_TRUE(tree);
    tree_ = std::move(*tree);
    auto groups = kernel::CgroupRoot::open(tree_);
    ASSERT_TRUE(groups) << groups.error().message();
    groups_ = std::move(*groups);
  }

  void TearDown() override {
    for (const std::string& path : made_)
      if (auto group = kernel::Cgroup::open(groups_, path)) {
        const auto gone = group->destroy(10s);
        EXPECT_TRUE(gone) << gone.error().message();
      }
    StorageTest::TearDown();
  }

  void cool() const {
    const auto cooled = storage::cool_tree(root_, nullptr);
    ASSERT_TRUE(cooled) << cooled.error().message();
  }
  /// MiB of a file in the page cache, rounded.
  [[nodiscard]] std::size_t resident(const std::string& path) const {
    const UniqueFd fd(::open((root_ + path).c_str(), O_RDONLY | O_CLOEXEC));
    const auto pages = storage::resident_pages(fd.get(), 4 * kMiB);
    EXPECT_TRUE(pages) << pages.error().message();
    return (storage::page_count(*pages) * storage::kernel_page_bytes() + kMiB / 2) / kMiB;
  }
  [[nodiscard]] Order order(Verb verb) const {
    Order order;
    order.verb = verb;
    order.root = root_;
    order.record_dir = version_;
    order.most_bytes = 100 * kMiB;
    return order;
  }
  static Result<Answer> run(const Order& order, int stop = -1) {
    PANAL_ASSIGN(auto process, Process::start(kProgram, order));
    return process.finish(stop);
  }
  Answer done(const Order& order) {
    const auto answer = run(order);
    EXPECT_TRUE(answer) << answer.error().message();
    return answer.value_or(Answer{});
  }
  kernel::Cgroup group(const std::string& name) {
    made_.push_back(lab_ + "/" + name);
    auto group = kernel::Cgroup::create(groups_, made_.back());
    EXPECT_TRUE(group) << group.error().message();
    return std::move(*group);
  }
  /// Page cache in a group's charge, in MiB. Statistics lag behind by a flush.
  static std::size_t cache_of(const kernel::Cgroup& group, std::size_t at_least) {
    std::size_t mib = 0;
    for (int i = 0; i < 50; ++i) {
      const auto used = group.statistics();
      EXPECT_TRUE(used && used->memory);
      if (!used || !used->memory) return 0;
      mib = static_cast<std::size_t>(used->memory->file_bytes) / kMiB;
      if (mib >= at_least) break;
      std::this_thread::sleep_for(100ms);
    }
    return mib;
  }

  std::string lab_, version_, root_;
  Tree tree_;
  kernel::CgroupRoot groups_;
  std::vector<std::string> made_;
};

TEST_F(WarmTest, WhatADesktopHasReadIsRecordedAndReadAgain) {
  storage::OverlayBackend backend;
  storage::RootSpec desktop;
  desktop.version_root = root_;
  desktop.upper_dir = make_dir("d1") + "/upper";
  desktop.mount_point = make_mount_point("mounted");
  desktop.ids = {1'065'536, 65536};
  ASSERT_TRUE(backend.provision(desktop));
  {
    const UniqueFd fd(::open((desktop.mount_point + "/usr/lib/a.so").c_str(), O_RDONLY));
    ASSERT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_RANDOM), 0);
    std::string half(2 * kMiB, '\0');
    ASSERT_EQ(::pread(fd.get(), half.data(), half.size(), 0), static_cast<ssize_t>(half.size()));
  }
  ASSERT_TRUE(backend.destroy(desktop));

  Order record = order(Verb::kRecord);
  record.generation = 2;
  const Answer recorded = done(record);
  EXPECT_EQ(recorded.files, 1U);
  EXPECT_TRUE(recorded.complete);
  const auto pages = storage::read_hot_pages(version_);
  ASSERT_TRUE(pages) << pages.error().message();
  EXPECT_EQ(pages->generation, 2U);
  EXPECT_EQ(pages->files.at(0).path, "/usr/lib/a.so");
  EXPECT_GE(pages->bytes(), 2 * kMiB);
  EXPECT_LE(pages->bytes(), 3 * kMiB) << "the kernel read ahead";

  const Answer cooled = done(order(Verb::kCool));
  EXPECT_EQ(cooled.files, 1U);
  EXPECT_EQ(cooled.kept_files, 0U);
  EXPECT_EQ(resident("/usr/lib/a.so"), 0U);
  const Answer touched = done(order(Verb::kTouch));
  EXPECT_EQ(touched.read_bytes, pages->bytes());
  EXPECT_EQ(touched.resident_bytes, 0U);
  EXPECT_GE(resident("/usr/lib/a.so"), 2U);
  EXPECT_LE(resident("/usr/lib/a.so"), 3U) << "more than the record has was read";
  EXPECT_EQ(done(order(Verb::kTouch)).read_bytes, 0U);
}

TEST_F(WarmTest, WhatIsMappedIsNotLetGo) {
  const UniqueFd fd(::open((root_ + "/usr/lib/a.so").c_str(), O_RDONLY | O_CLOEXEC));
  void* map = ::mmap(nullptr, 4 * kMiB, PROT_READ, MAP_SHARED | MAP_POPULATE, fd.get(), 0);
  ASSERT_NE(map, MAP_FAILED);
  EXPECT_EQ(resident("/usr/lib/a.so"), 4U);
  const Answer cooled = done(order(Verb::kCool));
  EXPECT_EQ(cooled.kept_files, 1U);
  EXPECT_EQ(resident("/usr/lib/a.so"), 4U);
  ::munmap(map, 4 * kMiB);
}

TEST_F(WarmTest, TheHostsGroupPaysAndNotWhoReadsLater) {
  storage::HotPages pages;
  pages.page_bytes = static_cast<std::uint32_t>(storage::kernel_page_bytes());
  const std::uint64_t all = 4 * kMiB / pages.page_bytes;
  pages.files = {{"/usr/lib/a.so", 4 * kMiB, {{0, all}}}, {"/usr/lib/b.so", 4 * kMiB, {{0, all}}}};
  ASSERT_TRUE(storage::write_hot_pages(version_, pages));
  Order touch = order(Verb::kTouch);
  touch.group = lab_ + "/panal-warm";
  const kernel::Cgroup host = group("panal-warm");
  const kernel::Cgroup desktop = group("panal-desktop");
  EXPECT_EQ(done(touch).read_bytes, 8 * kMiB);
  EXPECT_GE(cache_of(host, 7), 7U);

  const pid_t reader = ::fork();
  if (reader == 0) {
    if (!desktop.add(::getpid())) ::_exit(1);
    std::string text(4 * kMiB, '\0');
    for (const char* name : {"/usr/lib/a.so", "/usr/lib/b.so"}) {
      const int fd = ::open((root_ + name).c_str(), O_RDONLY);
      if (::pread(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) ::_exit(2);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(reader, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_LE(cache_of(desktop, 1000), 1U) << "a desktop was charged for pages of the image";
  const auto left = host.pids();
  ASSERT_TRUE(left);
  EXPECT_TRUE(left->empty());
}

TEST_F(WarmTest, EndsWhenItIsTold) {
  storage::HotPages pages;
  pages.page_bytes = static_cast<std::uint32_t>(storage::kernel_page_bytes());
  pages.files = {{"/usr/lib/a.so", 4 * kMiB, {{0, 4 * kMiB / pages.page_bytes}}}};
  ASSERT_TRUE(storage::write_hot_pages(version_, pages));
  Order slow = order(Verb::kTouch);
  slow.bytes_per_second = 100'000;  // 40 s
  const UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  std::thread later([&stop] {
    std::this_thread::sleep_for(700ms);
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(stop.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  });
  const auto begin = std::chrono::steady_clock::now();
  const auto answer = run(slow, stop.get());
  later.join();
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_FALSE(answer->complete);
  EXPECT_GT(answer->read_bytes, 0U);
  EXPECT_LT(answer->read_bytes, kMiB);

  slow.most_seconds = 1;
  cool();
  const auto budget = run(slow);
  ASSERT_TRUE(budget);
  EXPECT_FALSE(budget->complete);
}

TEST_F(WarmTest, SaysWhatIsWrong) {
  const auto absent = run(order(Verb::kTouch));
  ASSERT_FALSE(absent);
  EXPECT_THAT(absent.error().context, ::testing::HasSubstr("hot-pages"));
  Order gone = order(Verb::kCool);
  gone.root = root_ + "/gone";
  EXPECT_THAT(run(gone).error().context, ::testing::HasSubstr("gone"));
  EXPECT_EQ(Process::start(std::string(kProgram) + "-gone", gone).error().code, ENOENT);
}

}  // namespace
}  // namespace panal::warm
