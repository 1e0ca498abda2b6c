#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "engine/base/file_tree.h"
#include "storage/repo/repository.h"
#include "tests/support/test_files.h"

namespace panal::storage {

/// A scratch directory with trees to commit.
class RepoTest : public ::testing::Test, protected test::TestFiles {
 protected:
  /// Path below the root -> content; a path that ends with a slash is a directory, a content that
  /// begins with "->" is a link.
  using Files = std::map<std::string, std::string>;

  /// Made here and not in SetUp(): stores that are members of a test need the path.
  RepoTest() : dir_(::testing::TempDir() + "repo.XXXXXX") {
    EXPECT_NE(::mkdtemp(dir_.data()), nullptr);
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(dir_)); }

  [[nodiscard]] std::string at(const std::string& name) const { return dir_ + "/" + name; }

  static std::string make_tree(const std::string& root, const Files& files) {
    std::filesystem::create_directories(root);
    for (const auto& [path, content] : files) {
      const std::string full = root + "/" + path;
      if (path.ends_with('/')) {
        std::filesystem::create_directories(full);
        continue;
      }
      std::filesystem::create_directories(full.substr(0, full.rfind('/')));
      if (content.starts_with("->"))
        std::filesystem::create_symlink(content.substr(2), full);
      else
        write(full, content);
    }
    return root;
  }

  Repository bare(const std::string& name = "bare") {
    auto repository = Repository::open_or_create(at(name), RepositoryMode::kBare);
    EXPECT_TRUE(repository) << repository.error().message();
    return std::move(*repository);
  }

  Repository archive(const std::string& name = "archive") {
    auto repository = Repository::open_or_create(at(name), RepositoryMode::kArchive);
    EXPECT_TRUE(repository) << repository.error().message();
    return std::move(*repository);
  }

  static VersionManifest manifest_of(const std::string& version) {
    VersionManifest manifest;
    manifest.image = "icewm";
    manifest.version = version;
    manifest.created_unix_s = 1'700'000'000;
    manifest.session = {"icewm-session"};
    return manifest;
  }

  /// Commits a tree made for it and thrown away; returns the checksum.
  std::string commit(Repository& repository, const std::string& version, const Files& files) {
    CommitSpec spec;
    spec.root = make_tree(at("tree"), files);
    spec.manifest = manifest_of(version);
    const auto checksum = repository.commit(spec);
    EXPECT_TRUE(checksum) << checksum.error().message();
    EXPECT_TRUE(remove_tree(at("tree")));
    return checksum.value_or("");
  }

  static std::string file_of(const Repository& repository, const ObjectName& object) {
    return repository.path() + "/objects/" +
           loose_path(object, repository.mode() == RepositoryMode::kArchive);
  }

  /// Writes to an object as failing hardware would: not through libostree, into the same inode.
  static void flip_a_bit(const std::string& path) {
    ASSERT_EQ(::chmod(path.c_str(), 0644), 0) << path;
    std::string text = read(path);
    ASSERT_FALSE(text.empty()) << path;
    text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 4);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0) << path;
    ASSERT_EQ(::pwrite(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    ::close(fd);
  }

  /// Paths of all objects with this ending.
  static std::vector<std::string> objects(const Repository& repository,
                                          const std::string& ending = "") {
    std::vector<std::string> found;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(repository.path() + "/objects"))
      if (!entry.is_directory() && entry.path().string().ends_with(ending))
        found.push_back(entry.path().string());
    return found;
  }

  static Repository::Fetch fetch_from(const Repository& source) {
    return [&source](const ObjectName& object) { return source.archive_object(object); };
  }

  std::string dir_;
};

}  // namespace panal::storage
