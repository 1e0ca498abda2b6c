#include "storage/repo/under_way.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "engine/base/log.h"
#include "engine/base/tree.h"

namespace panal::storage {
namespace {

constexpr const char* kWordPrefix = "under-way.";
constexpr std::size_t kMostWordBytes = 512;

}  // namespace

UnderWay::UnderWay(const std::string& repository, const std::string& what)
    : file_(repository + "/tmp/" + kWordPrefix + "XXXXXX") {
  held_ = UniqueFd(::mkostemp(file_.data(), O_CLOEXEC));
  if (!held_) return;
  const std::string text = what.substr(0, kMostWordBytes);
  const bool said =
      ::write(held_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      ::flock(held_.get(), LOCK_EX | LOCK_NB) == 0;
  if (said) return;
  (void)::unlink(file_.c_str());
  held_.reset();
}

UnderWay::UnderWay(UnderWay&& other) noexcept
    : file_(std::move(other.file_)), held_(std::move(other.held_)) {}

UnderWay::~UnderWay() {
  if (held_) (void)::unlink(file_.c_str());
}

std::string work_under_way(const std::string& repository) {
  const auto tmp = Dir::open(repository + "/tmp");
  if (!tmp) return {};
  const auto names = tmp->list();
  if (!names) return {};
  for (const auto& name : *names) {
    if (!name.starts_with(kWordPrefix)) continue;
    const auto file = tmp->open_file(name, O_RDONLY | O_NOFOLLOW);
    // Who could be locked out has ended.
    if (!file || ::flock(file->get(), LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) continue;
    const auto text = tmp->read(name, kMostWordBytes);
    if (text && !text->empty()) return printable(*text, kMostWordBytes);
  }
  return {};
}

}  // namespace panal::storage
