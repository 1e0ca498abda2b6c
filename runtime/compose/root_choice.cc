#include "runtime/compose/root_choice.h"

#include <sys/stat.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "runtime/space/space_plan.h"
#include "storage/compose/layer/layer_dir.h"
#include "storage/image/image_store.h"

namespace panal::compose {
namespace {

storage::BtrfsOptions btrfs_options(const config::Config& config) {
  return {config.btrfs_dir, config.state_dir + "/btrfs.img", config.btrfs_loop_bytes};
}

/// A wrong name is found when panald starts, not at some desktop's start.
Result<void> check_name(const std::string& key, const std::string& backend,
                        const storage::ComposeFacts& facts) {
  if (backend == storage::kAutoBackend) return {};
  if (const auto known = storage::why_not(backend, facts); !known)
    return prefixed(key + " in [compose]", known.error());
  return {};
}

}  // namespace

RootChoice::RootChoice(const config::Config& config, storage::ComposeFacts facts)
    : config_(config), facts_(std::move(facts)) {}

Result<RootChoice> RootChoice::open(const config::Config& config, const Tree& tree) {
  // What layers are on decides; who may not make it is told so by what comes next.
  const std::string any = config.desktop_state_dir(1);
  const std::string layers = any.substr(0, any.rfind('/'));
  std::error_code ignored;
  std::filesystem::create_directories(layers.substr(0, layers.rfind('/')), ignored);
  (void)::mkdir(layers.c_str(), 0711);
  PANAL_ASSIGN(auto facts,
               storage::probe_compose(
                   tree, {layers, config.btrfs_dir, config.btrfs_loop_bytes > 0, config.lvm_pool}));
  PANAL_TRY(check_name("backend", config.compose_backend, facts));
  for (const auto& [image, backend] : config.compose_images)
    PANAL_TRY(check_name("images: " + image, backend, facts));
  return RootChoice(config, std::move(facts));
}

storage::Wish RootChoice::wish_for(const std::string& image, bool persistent) const {
  storage::Wish wish;
  const auto named = config_.compose_images.find(image);
  wish.backend = named == config_.compose_images.end() ? config_.compose_backend : named->second;
  wish.persistent = persistent;
  wish.layers = !layers_of(image).empty();
  wish.limit =
      space::layers_want_probe(config_) || (!persistent && config_.uppers_volatile == "memory");
  return wish;
}

Result<storage::Choice> RootChoice::for_image(const std::string& image, bool persistent) const {
  return storage::choose_backend(wish_for(image, persistent), facts_);
}

Result<storage::Choice> RootChoice::for_desktop(const std::string& image, bool persistent,
                                                const std::string& upper_dir) const {
  storage::Wish wish = wish_for(image, persistent);
  if (persistent) wish.kept_by = storage::persistent_backend(upper_dir);
  return storage::choose_backend(wish, facts_);
}

std::vector<std::string> RootChoice::layers_of(const std::string& image) const {
  std::vector<std::string> out;
  const auto named = config_.compose_layers.find(image);
  if (named == config_.compose_layers.end()) return out;
  const storage::ImageStore images(config_.images_dir);
  for (const std::string& layer : named->second) {
    const auto slash = layer.find('/');
    out.push_back(slash == 0 ? layer
                             : images.root_of(layer.substr(0, slash), layer.substr(slash + 1)));
  }
  return out;
}

storage::ComposerOptions composer_options(const config::Config& config) {
  storage::ComposerOptions options;
  options.overlay = {config.volatile_metacopy, !config.volatile_synced};
  options.tmpfs = {config.tmpfs_bytes, config.tmpfs_inodes};
  options.btrfs = btrfs_options(config);
  options.lvm.pool = config.lvm_pool;
  return options;
}

}  // namespace panal::compose
