#include "runtime/compose/layer_use.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace panal::compose {
namespace {

namespace fs = std::filesystem;

/// A node whose images/office has a version 1 with a tree; xfce has one layer.
class LayerUseTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "layers-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    config_.images_dir = dir_ + "/images";
    fs::create_directories(dir_ + "/images/office/1/root/opt");
  }
  void TearDown() override { fs::remove_all(dir_); }

  /// The image that has version 1 of office as a layer, when this is the only one there is.
  std::string user(const std::string& layer) {
    config_.compose_layers = {{"icewm", {}}, {"xfce", {"/srv/other", layer}}};
    const auto use = layer_use(config_, "office", "1");
    if (!use) return "";
    EXPECT_EQ(use->layer, layer);
    return use->image;
  }

  std::string dir_;
  config::Config config_;
};

TEST_F(LayerUseTest, IsFoundByNameAndByPath) {
  const std::string tree = dir_ + "/images/office/1";
  for (const std::string& layer : {std::string("office/1"), tree, tree + "/", tree + "/root",
                                   tree + "/root/opt", dir_ + "/images/../images/office/1/root"})
    EXPECT_EQ(user(layer), "xfce") << layer;
}

TEST_F(LayerUseTest, IsFoundThroughALink) {
  fs::create_directory_symlink(dir_ + "/images/office/1/root", dir_ + "/site");
  EXPECT_EQ(user(dir_ + "/site"), "xfce");
  fs::create_directory_symlink(dir_ + "/images", dir_ + "/linked");
  config_.images_dir = dir_ + "/linked";
  EXPECT_EQ(user(dir_ + "/images/office/1/root"), "xfce");
}

TEST_F(LayerUseTest, OthersAreNot) {
  for (const std::string& layer :
       {std::string("office/11"), std::string("office/2"), std::string("offices/1"),
        dir_ + "/images/office/11/root", dir_ + "/images/office/2", dir_ + "/elsewhere/office/1"})
    EXPECT_EQ(user(layer), "") << layer;
  config_.compose_layers.clear();
  EXPECT_FALSE(layer_use(config_, "office", "1"));
}

TEST_F(LayerUseTest, AVersionThatIsNotThereAnyMoreIsFoundToo) {
  fs::remove_all(dir_ + "/images/office");
  EXPECT_EQ(user("office/1"), "xfce");
  EXPECT_EQ(user(dir_ + "/images/office/1/root"), "xfce");
}

}  // namespace
}  // namespace panal::compose
