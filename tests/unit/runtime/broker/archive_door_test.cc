#include "runtime/broker/archive_door.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "broker_fixture.h"
#include "engine/base/file_tree.h"

namespace panal::broker {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kToken = "0123456789abcdef0123456789abcdef";
const std::string kObject = "objects/ab/" + std::string(62, '7') + ".filez";

/// A connection to a broker that publishes a small archive.
class ArchiveDoorTest : public BrokerTest {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "door.XXXXXX";
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
    std::filesystem::create_directories(dir_ + "/archive/objects/ab");
    write("archive/panal-images", "the list");
    write("archive/" + kObject, "object");
    write("archive/config", "[core]");
    write("secret", "secret");
    write("token", std::string(kToken) + "\n");
    config_.archive_dir = dir_ + "/archive";
    config_.archive_token_file = dir_ + "/token";
    auto archive = open_published_archive(config_);
    ASSERT_TRUE(archive) << archive.error().message();
    door_ = std::make_unique<ArchiveDoor>(std::move(*archive));
    services.archive = door_.get();
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(dir_)); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(dir_ + "/" + name) << text;
    ASSERT_EQ(::chmod((dir_ + "/" + name).c_str(), 0600), 0);
  }
  std::string fetch(const std::string& path) {
    return get("/images/" + path, std::string("Authorization: Bearer ") + kToken + "\r\n");
  }

  std::string dir_;
  config::Config config_;
  std::unique_ptr<ArchiveDoor> door_;
};

TEST_F(ArchiveDoorTest, ServesTheListAndObjectsOnOneConnection) {
  const std::string list = fetch("panal-images");
  EXPECT_THAT(list, StartsWith("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                               "Content-Length: 8\r\n"));
  EXPECT_TRUE(list.ends_with("\r\n\r\nthe list"));
  EXPECT_TRUE(fetch(kObject).ends_with("\r\n\r\nobject"));
  EXPECT_TRUE(is(fetch("objects/ab/" + std::string(62, '8') + ".filez"), 404));
  EXPECT_TRUE(fetch(kObject).ends_with("\r\n\r\nobject"));
}

TEST_F(ArchiveDoorTest, WithoutTheTokenNothingIsToldApart) {
  const std::string there = get("/images/panal-images", "");
  EXPECT_TRUE(is(there, 401)) << there;
  EXPECT_THAT(there, HasSubstr("WWW-Authenticate: Bearer"));
  EXPECT_EQ(there, get("/images/objects/none", ""));
  for (const std::string& value :
       {std::string("Bearer"), std::string("Bearer "), std::string("Bearer x"),
        std::string("bearer ") + kToken, std::string("Bearer ") + kToken + "0",
        std::string("Basic YWxpY2U6c2VjcmV0")})
    EXPECT_EQ(there, get("/images/panal-images", "Authorization: " + value + "\r\n")) << value;
}

TEST_F(ArchiveDoorTest, ServesNothingElse) {
  ASSERT_EQ(::symlink("../secret",
                      (dir_ + "/archive/objects/ab/" + std::string(62, 'a') + ".filez").c_str()),
            0);
  ASSERT_EQ(
      ::mkfifo((dir_ + "/archive/objects/ab/" + std::string(62, 'b') + ".filez").c_str(), 0600), 0);
  std::filesystem::create_directories(dir_ + "/archive/objects/ab/" + std::string(62, 'c') +
                                      ".filez");
  for (const std::string& path :
       {std::string("config"), std::string("../secret"), std::string("/etc/passwd"), std::string(),
        std::string("objects/"), std::string("objects/ab/../../config"),
        "objects/ab/" + std::string(62, 'a') + ".filez",
        "objects/ab/" + std::string(62, 'b') + ".filez",
        "objects/ab/" + std::string(62, 'c') + ".filez", "%6fbjects" + kObject.substr(7),
        kObject + "/", kObject + ".x"})
    EXPECT_TRUE(is(fetch(path), 404)) << path;
}

TEST_F(ArchiveDoorTest, HeadTellsTheSizeAlone) {
  send("HEAD /images/panal-images HTTP/1.1\r\nConnection: close\r\nAuthorization: Bearer " +
       std::string(kToken) + "\r\n\r\n");
  EXPECT_TRUE(wait_closed());
  EXPECT_THAT(received, HasSubstr("Content-Length: 8\r\n"));
  EXPECT_TRUE(received.ends_with("\r\n\r\n")) << received;
}

TEST_F(ArchiveDoorTest, LongFilesArriveWholeAndAShortenedOneEndsTheConnection) {
  std::string text;
  for (int line = 0; text.size() < 3'000'000; ++line) text += std::to_string(line) + "\n";
  write("archive/panal-images", text);
  EXPECT_TRUE(fetch("panal-images").ends_with("\r\n\r\n" + text));
  EXPECT_TRUE(fetch(kObject).ends_with("\r\n\r\nobject"));

  send("GET /images/panal-images HTTP/1.1\r\nAuthorization: Bearer " + std::string(kToken) +
       "\r\n\r\n");
  ASSERT_TRUE(wait_text("HTTP/1.1 200"));
  ASSERT_EQ(::truncate((dir_ + "/archive/panal-images").c_str(), 0), 0);
  EXPECT_TRUE(wait_closed());
  EXPECT_LT(received.size(), text.size());
}

TEST_F(ArchiveDoorTest, AClientThatDoesNotReadIsClosedAndHoldsOnePart) {
  services.timing.flush = std::chrono::milliseconds(200);
  write("archive/panal-images", std::string(8'000'000, 'x'));
  send("GET /images/panal-images HTTP/1.1\r\nAuthorization: Bearer " + std::string(kToken) +
       "\r\n\r\n");
  EXPECT_TRUE(wait([this] { return registry.count() == 0; }));
}

TEST_F(ArchiveDoorTest, IsOpenedOnlyWithATokenThatCannotBeGuessed) {
  write("token", "short\n");
  EXPECT_EQ(open_published_archive(config_).error().code, EINVAL);
  write("token", std::string(40, ' '));
  EXPECT_EQ(open_published_archive(config_).error().code, EINVAL);
  write("token", std::string(kToken) + "\n" + kToken + "\n");
  EXPECT_EQ(open_published_archive(config_).error().code, EINVAL);
  write("token", std::string(1000, 'x'));
  EXPECT_EQ(open_published_archive(config_).error().code, EINVAL);
  write("token", kToken);
  EXPECT_TRUE(open_published_archive(config_));
  ASSERT_EQ(::chmod(config_.archive_token_file.c_str(), 0644), 0);
  EXPECT_THAT(open_published_archive(config_).error().message(), HasSubstr("chmod 600"));
  ASSERT_EQ(::chmod(config_.archive_token_file.c_str(), 0600), 0);
  config_.archive_dir += "/none";
  EXPECT_EQ(open_published_archive(config_).error().code, ENOENT);
  EXPECT_FALSE(open_published_archive(config::Config())->directory);
}

TEST_F(ArchiveDoorTest, WhereNothingIsPublishedNothingIsThere) {
  const ArchiveDoor none{PublishedArchive()};
  services.archive = &none;
  EXPECT_TRUE(is(fetch("panal-images"), 404));
  services.archive = nullptr;
  EXPECT_TRUE(is(fetch("panal-images"), 404));
}

TEST(PublishedPath, Table) {
  const std::string digits(62, '0');
  for (const std::string& good :
       {std::string("panal-images"), "objects/00/" + digits + ".filez",
        "objects/ff/" + digits + ".commit", "objects/ff/" + digits + ".dirtree",
        "objects/ff/" + digits + ".dirmeta"})
    EXPECT_TRUE(is_published_path(good)) << good;
  for (const std::string& bad :
       {std::string(), std::string("panal-images/"), std::string("objects"), "objects/00/" + digits,
        "objects/00/" + digits + ".file", "objects/00/" + digits + ".",
        "objects/0/" + digits + "0.filez", "objects/000" + digits + ".filez",
        "objects/0G/" + digits + ".filez", "objects/00/" + digits.substr(1) + "/.filez",
        "objects/00/" + digits + "0.filez", "/objects/00/" + digits + ".filez",
        std::string("objects/00/") + '\0'})
    EXPECT_FALSE(is_published_path(bad)) << bad;
}

}  // namespace
}  // namespace panal::broker
