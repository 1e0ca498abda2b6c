/// The process that fetches is in touch with strangers: what a puller makes of one that lies.

#include <signal.h>
#include <sys/wait.h>

#include <chrono>

#include "storage/transfer/remote_source.h"
#include "storage/transfer/source.h"
#include "tests/support/patience.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {
namespace {

struct Evil {
  const char* how;
  int code;  ///< of the error; 0: none
};

class EvilHelper : public StorageTest, public ::testing::WithParamInterface<Evil> {
 protected:
  static std::ptrdiff_t open_files() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
  }

  Result<std::string> fetch(const std::string& how) {
    RemoteArchive archive;
    archive.url = "http://" + how;
    const FetchHelper helper{
        std::string(PANAL_SOURCE_DIR) + "/tests/system/storage/helper/evil_fetch.py",
        make_dir("scratch"), 1, 1};
    PullBudget budget;
    budget.quiet = std::chrono::milliseconds(1500) * patience();
    PANAL_ASSIGN(const auto source, start_remote_source(archive, helper, budget));
    PANAL_ASSIGN(const UniqueFd file, fetch_one(*source, "panal-images", 1000));
    return read_fetched(file.get(), 1000);
  }
};

TEST_P(EvilHelper, IsEndedAndNothingOfItStays) {
  const auto before = open_files();
  const auto text = fetch(GetParam().how);
  if (GetParam().code == 0) {
    ASSERT_TRUE(text) << text.error().message();
    EXPECT_EQ(*text, "hello");
  } else {
    ASSERT_FALSE(text) << *text;
    EXPECT_EQ(text.error().code, GetParam().code) << text.error().message();
    EXPECT_EQ(text.error().message().find('\x1b'), std::string::npos);
  }
  EXPECT_EQ(open_files(), before);
  EXPECT_TRUE(std::filesystem::is_empty(dir_ + "/scratch"));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "it was reaped";
}

INSTANTIATE_TEST_SUITE_P(
    All, EvilHelper,
    ::testing::Values(Evil{"honest", 0}, Evil{"gift", 0}, Evil{"exits", ECHILD}, Evil{"stops", EIO},
                      Evil{"deaf", ETIMEDOUT}, Evil{"silent", ETIMEDOUT}, Evil{"nonsense", EPROTO},
                      Evil{"nothing", EPROTO}, Evil{"long", EPROTO}, Evil{"stranger", EPROTO},
                      Evil{"flood", EPROTO}, Evil{"keeps", EPROTO}, Evil{"large", EFBIG}),
    [](const auto& evil) { return std::string(evil.param.how); });

}  // namespace
}  // namespace panal::storage
