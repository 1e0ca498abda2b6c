/// Recipes come from operators, manifests and dpkg's status file out of images others made: any
/// bytes give a value or an error, and what is accepted cannot break out of the build's script. The
/// first byte says which it is (tests/fuzz/seeds): recipe, manifest, trial, or what a build prints.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "storage/image/image_store.h"
#include "storage/image/trial_record.h"
#include "storage/recipe/mmdebstrap.h"
#include "storage/recipe/recipe.h"

using namespace panal::storage;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0]) {
    case 'r':
      if (const auto recipe = parse_recipe(text, "fuzz.toml")) {
        if (digest(*recipe).size() != 64) std::abort();
        for (const auto& word : mmdebstrap::arguments(*recipe, {}))
          if (word.find('\0') != std::string::npos) std::abort();
        const std::string script = mmdebstrap::finalise_script(*recipe);
        if (script.find("PANAL_END\n") != script.rfind("PANAL_END\n") &&
            script.find("<<'PANAL_END'") == std::string::npos)
          std::abort();
      }
      break;
    case 'm':
      if (const auto manifest = parse_manifest(text, "manifest.json")) {
        const auto again = parse_manifest(print_manifest(*manifest), "again");
        if (!again) std::abort();
      }
      break;
    case 't':
      if (const auto record = parse_trial(text, "trial.json"))
        if (!parse_trial(print_trial(*record), "again")) std::abort();
      break;
    case 'b': {
      (void)mmdebstrap::parse_dpkg_status(text);
      mmdebstrap::Progress progress;
      std::size_t begin = 0;
      while (begin < text.size()) {
        const std::size_t end = text.find('\n', begin);
        progress.feed(std::string_view(text).substr(begin, end - begin));
        if (!(progress.fraction() >= 0 && progress.fraction() <= 1)) std::abort();
        if (end == std::string::npos) break;
        begin = end + 1;
      }
      break;
    }
    default: return -1;
  }
  return 0;
}
