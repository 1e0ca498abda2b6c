#include "runtime/optimiser/zram_writer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "engine/policy/units.h"
#include "tests/unit/runtime/optimiser/fake_node.h"

namespace panal::optimiser {
namespace {

using policy::kSecond;
using std::chrono::seconds;

constexpr const char* kPlace = "/var/panal.swap";

/// A zram of plain files.
class ZramWriting : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"idle", "writeback", "writeback_limit", "writeback_limit_enable"})
      put(name, "");
    put("initstate", "1\n");
    put("backing_dev", std::string(kPlace) + "\n");
    put("bd_stat", "0 0 0\n");
  }
  void put(const std::string& name, const std::string& text) const {
    files_.write("sys/block/zram1/" + name, text);
  }
  std::string take(const std::string& name) const {
    const std::string text = files_.read("sys/block/zram1/" + name);
    put(name, "");
    return text;
  }

  kernel::FixtureTree files_{{}};
  Tree tree_ = files_.tree();
};

TEST_F(ZramWriting, MarksWaitsWritesWhatDoesNotCompressAndThenWhatIsIdle) {
  ZramWriter writer({tree_, kPlace, seconds(3600), 0, Logger::silent()});
  EXPECT_EQ(writer.step(10 * kSecond), seconds(3600));
  EXPECT_EQ(take("idle"), "all");
  EXPECT_EQ(writer.step(1010 * kSecond), seconds(2600)) << "woken too soon";
  EXPECT_EQ(take("writeback"), "");
  EXPECT_EQ(writer.step(3610 * kSecond), ZramWriter::kRest);
  EXPECT_EQ(take("writeback"), "huge");
  EXPECT_EQ(take("writeback_limit"), "16384") << "a portion";
  EXPECT_EQ(writer.step(3612 * kSecond), ZramWriter::kRest);
  EXPECT_EQ(take("writeback"), "idle");
  EXPECT_EQ(take("idle"), "");
  EXPECT_EQ(writer.step(3614 * kSecond), seconds(3600));
  EXPECT_EQ(take("idle"), "all") << "and anew";
  EXPECT_EQ(writer.written_bytes(), 0U);
}

TEST_F(ZramWriting, OnlyOfTheDeviceThatIsOurs) {
  ZramWriter writer({tree_, kPlace, seconds(3600), 0, Logger::silent()});
  put("backing_dev", "/somebody/else\n");
  EXPECT_EQ(writer.step(kSecond), seconds(300));
  EXPECT_EQ(take("idle"), "");
  put("backing_dev", std::string(kPlace) + "\n");
  put("initstate", "0\n");
  EXPECT_EQ(writer.step(kSecond), seconds(300)) << "it is not in use";
  put("initstate", "1\n");
  EXPECT_EQ(writer.step(kSecond), seconds(3600));
  EXPECT_EQ(take("idle"), "all");
  // Taken down and set up again: what was marked is gone.
  put("initstate", "0\n");
  EXPECT_EQ(writer.step(4000 * kSecond), seconds(300));
  put("initstate", "1\n");
  EXPECT_EQ(writer.step(8000 * kSecond), seconds(3600));
  EXPECT_EQ(take("writeback"), "");
}

TEST_F(ZramWriting, ErrorsWaitAndAreTriedAgain) {
  ZramWriter writer({tree_, kPlace, seconds(60), 0, Logger::silent()});
  EXPECT_EQ(writer.step(kSecond), seconds(60));
  std::filesystem::remove(files_.path() + "/sys/block/zram1/writeback");
  EXPECT_EQ(writer.step(61 * kSecond), seconds(300));
  put("writeback", "");
  EXPECT_EQ(writer.step(361 * kSecond), seconds(60)) << "marked anew";
  EXPECT_EQ(writer.step(421 * kSecond), ZramWriter::kRest);
}

/// Each read of bd_stat gets the next text: the file is a pipe.
class CountedZramWriting : public ZramWriting {
 protected:
  /// At the next two reads.
  void counts(std::uint64_t before_pages, std::uint64_t after_pages) {
    std::filesystem::remove(path());
    ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
    teller_ = std::thread([this, before_pages, after_pages] {
      for (const std::uint64_t pages : {before_pages, after_pages}) {
        // Opening waits for the reader, and the reader for the end.
        std::ofstream(path()) << "0 0 " << pages << "\n";
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    });
  }
  void told() {
    teller_.join();
    std::filesystem::remove(path());
  }
  std::string path() const { return files_.path() + "/sys/block/zram1/bd_stat"; }

  std::thread teller_;
};

TEST_F(CountedZramWriting, StopsAtTheDaysLimitAndGoesOnTheNextDay) {
  constexpr std::uint64_t kMib = 1 << 20;
  ZramWriter writer({tree_, kPlace, seconds(60), 65 * kMib, Logger::silent()});
  EXPECT_EQ(writer.step(kSecond), seconds(60));
  counts(100, 100 + 16384);
  EXPECT_EQ(writer.step(61 * kSecond), ZramWriter::kRest);
  told();
  EXPECT_EQ(take("writeback_limit"), "16384");
  EXPECT_EQ(writer.written_bytes(), 64 * kMib);
  counts(16484, 16484 + 256);
  EXPECT_EQ(writer.step(63 * kSecond), ZramWriter::kRest);
  told();
  EXPECT_EQ(take("writeback_limit"), "256") << "what is left of the day";
  EXPECT_EQ(take("writeback"), "huge") << "a full portion: there may be more";
  EXPECT_EQ(writer.step(65 * kSecond), seconds(24 * 3600 - 4)) << "since the first write";
  put("bd_stat", "0 0 0\n");
  EXPECT_EQ(writer.step((24 * 3600 + 61) * kSecond), seconds(60)) << "marked anew";
  EXPECT_EQ(writer.step((24 * 3600 + 121) * kSecond), ZramWriter::kRest);
  EXPECT_EQ(take("writeback_limit"), "16384") << "another day";
  EXPECT_EQ(writer.written_bytes(), 65 * kMib);
}

TEST_F(ZramWriting, ItsThreadEndsAtOnce) {
  ZramWriter writer({tree_, kPlace, seconds(3600), 0, Logger::silent()});
  writer.begin();
  EXPECT_TRUE(eventually([&] { return files_.read("sys/block/zram1/idle") == "all"; }));
}

}  // namespace
}  // namespace panal::optimiser
