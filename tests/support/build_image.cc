/// panal-build-image RECIPE IMAGES_DIR DEBS_DIR: builds the image of a recipe unless it is there,
/// for tests and benches, without anything else of Panal. Prints the version's tree.

#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "storage/image/image_store.h"
#include "storage/recipe/builder.h"
#include "storage/recipe/recipe.h"

namespace {

std::atomic<bool> cancelled{false};

panal::Result<int> run(const std::string& file, const std::string& images,
                       const std::string& debs) {
  std::ifstream in(file);
  if (!in) return panal::fail_errno("open", file);
  std::stringstream text;
  text << in.rdbuf();
  PANAL_ASSIGN(const auto recipe, panal::storage::parse_recipe(text.str(), file));
  panal::storage::ImageStore store(images);
  panal::storage::BuildOptions options;
  options.cache_dir = debs;
  options.log_file = "/tmp/panal-build-" + recipe.name + ".log";
  options.cancelled = &cancelled;
  int last = -1;
  PANAL_ASSIGN(const auto manifest,
               panal::storage::build_image(
                   recipe, store, options, [&last](double fraction, const std::string& what) {
                     const int percent = static_cast<int>(fraction * 100);
                     if (percent != last)
                       std::fprintf(stderr, "%3d %% %s\n", percent, what.c_str());
                     last = percent;
                   }));
  std::fprintf(stderr, "%s %s: %zu packages, %.0f MiB\n", manifest.image.c_str(),
               manifest.version.c_str(), manifest.packages.size(),
               static_cast<double>(manifest.size_bytes) / 1048576.0);
  std::printf("%s\n", store.root_of(manifest.image, manifest.version).c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s RECIPE IMAGES_DIR DEBS_DIR\n", argv[0]);
    return 2;
  }
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    std::signal(signal, [](int) { cancelled = true; });
  const auto result = run(argv[1], argv[2], argv[3]);
  if (result) return *result;
  std::fprintf(stderr, "panal-build-image: %s\n", result.error().message().c_str());
  return 1;
}
