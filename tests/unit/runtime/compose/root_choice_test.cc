#include "runtime/compose/root_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace panal::compose {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

storage::ComposeFacts plain_host() {
  storage::ComposeFacts facts;
  facts.filesystems = {"ext4", "overlay", "tmpfs"};
  facts.kernel = "6.1";
  facts.upper_fs = "ext4";
  facts.idmapped_upper = true;
  return facts;
}

config::Config configured(const std::string& text) {
  auto config = config::parse(text, "p.toml");
  EXPECT_TRUE(config) << config.error().message();
  return config ? std::move(*config) : config::Config();
}

TEST(RootChoice, TakesAnImagesOwnWordBeforeTheNodes) {
  const RootChoice roots(configured("[compose]\nbackend = \"copy\"\n"
                                    "images = { xfce = \"tmpfs\", icewm = \"auto\" }\n"),
                         plain_host());
  const std::pair<const char*, const char*> cases[] = {
      {"xfce", "tmpfs"}, {"icewm", "overlay"}, {"other", "copy"}};
  for (const auto& [image, backend] : cases) {
    const auto choice = roots.for_image(image, false);
    ASSERT_TRUE(choice) << image;
    EXPECT_EQ(choice->backend, backend) << image;
  }
  const auto kept = roots.for_image("xfce", true);
  ASSERT_FALSE(kept);
  EXPECT_THAT(kept.error().context, HasSubstr("tmpfs: it keeps nothing"));
}

TEST(RootChoice, ALimitOfLayersRulesOutWhereItWouldNotHold) {
  auto host = plain_host();
  host.filesystems.insert("btrfs");
  host.btrfs_pool = true;
  const std::string compose = "[compose]\nbackend = \"btrfs\"\n";
  EXPECT_TRUE(RootChoice(configured(compose), host).for_image("icewm", false));
  const auto limited = RootChoice(configured(compose + "[uppers]\nlimit = \"1 GiB\"\n"), host)
                           .for_image("icewm", false);
  ASSERT_FALSE(limited);
  EXPECT_THAT(limited.error().context, HasSubstr("[uppers]"));
}

TEST(RootChoice, APersistentRootStaysWithItsBackend) {
  std::string dir = ::testing::TempDir() + "roots-XXXXXX";
  ASSERT_NE(::mkdtemp(dir.data()), nullptr);
  fs::create_directories(dir + "/upper/copy-persistent");
  const RootChoice roots(configured(""), plain_host());
  const auto kept = roots.for_desktop("icewm", true, dir + "/upper");
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->backend, "copy");
  const auto fresh = roots.for_desktop("icewm", true, dir + "/other");
  ASSERT_TRUE(fresh);
  EXPECT_EQ(fresh->backend, "overlay");
  const auto light = roots.for_desktop("icewm", false, dir + "/upper");
  ASSERT_TRUE(light);
  EXPECT_EQ(light->backend, "overlay");
  fs::remove_all(dir);
}

TEST(RootChoice, LayersAreDirectoriesOrVersions) {
  const RootChoice roots(
      configured("[paths]\nimages = \"/images\"\n[compose]\n"
                 "layers = { xfce = [\"office/2026.11.27-1\", \"/srv/site\"] }\n"),
      plain_host());
  EXPECT_THAT(roots.layers_of("xfce"),
              ElementsAre("/images/office/2026.11.27-1/root", "/srv/site"));
  EXPECT_THAT(roots.layers_of("icewm"), IsEmpty());
}

TEST(RootChoice, ABackendThatIsNoneIsFoundWhenTheNodeStarts) {
  std::string dir = ::testing::TempDir() + "roots-XXXXXX";
  ASSERT_NE(::mkdtemp(dir.data()), nullptr);
  const auto tree = Tree::open_system();
  ASSERT_TRUE(tree);
  config::Config config = configured("[paths]\nstate = \"" + dir +
                                     "/state\"\n[compose]\nimages = { xfce = \"overlayfs\" }\n");
  const auto wrong = RootChoice::open(config, *tree);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, EINVAL);
  EXPECT_THAT(wrong.error().context, HasSubstr("images: xfce in [compose]"));
  config.compose_images = {{"xfce", "aufs"}};
  EXPECT_TRUE(RootChoice::open(config, *tree)) << "its desktops fail, with the reason";
  EXPECT_TRUE(fs::is_directory(config.state_dir));
  fs::remove_all(dir);
}

TEST(RootChoice, TellsTheBackendsWhatIsConfigured) {
  const auto options = composer_options(configured(
      "[paths]\nstate = \"/s\"\n[compose]\ntmpfs_size = \"64 MiB\"\ntmpfs_inodes = 1000\n"
      "volatile_metacopy = false\nvolatile_synced = true\nbtrfs_loop_size = \"1 GiB\"\n"
      "lvm_pool = \"vg/pool\"\n"));
  EXPECT_EQ(options.tmpfs.bytes, std::uint64_t{64} << 20U);
  EXPECT_EQ(options.tmpfs.inodes, 1000U);
  EXPECT_FALSE(options.overlay.metacopy);
  EXPECT_FALSE(options.overlay.unsynced);
  EXPECT_EQ(options.btrfs.pool, "/s/btrfs");
  EXPECT_EQ(options.btrfs.loop_file, "/s/btrfs.img");
  EXPECT_EQ(options.btrfs.loop_bytes, std::uint64_t{1} << 30U);
  EXPECT_EQ(options.lvm.pool, "vg/pool");
  EXPECT_EQ(composer_options(configured("")).btrfs.pool, "") << "nobody asked for one";
}

}  // namespace
}  // namespace panal::compose
