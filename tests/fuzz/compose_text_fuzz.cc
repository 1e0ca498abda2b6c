// What the kernel and LVM's programs say about roots: no text may crash a parser, and what is taken
// from it lies in it.
#include <cstdlib>
#include <string_view>

#include "storage/compose/btrfs/changes.h"
#include "storage/compose/facts.h"
#include "storage/compose/layer/template_key.h"
#include "storage/compose/lvm/volumes.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace panal::storage;
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'f':
      for (const auto& name : parse_filesystems(text))
        check(!name.empty() && text.find(name) != std::string_view::npos);
      break;
    case 'v':
      if (const auto volumes = parse_volumes(text))
        for (const auto& one : *volumes) {
          check(!one.name.empty() && text.find(one.name) != std::string_view::npos);
          for (const auto& tag : one.tags) check(!tag.empty());
        }
      break;
    case 's':
      // The second byte is how many items it is said to be.
      if (const auto page = parse_search_page(text.substr(1), data[1], 7))
        check(page->changed.inodes <= data[1]);
      break;
    case 'k': {
      const std::string key = template_key(text);
      check(key.size() <= 80 && key.front() != '.' && key.front() != '-' &&
            key.find('/') == std::string::npos && key.find('\0') == std::string::npos);
      break;
    }
    default: break;
  }
  return 0;
}
