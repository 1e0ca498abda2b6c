/// What must be so whatever happened.
#include <unistd.h>

#include "bench/faults/fault_node.h"
#include "bench/faults/fault_tree.h"
#include "engine/base/file_tree.h"
#include "storage/transfer/trust.h"

namespace panal::bench {
namespace {

using storage::ImageStore;
using storage::RootSpec;

constexpr std::size_t kMostNamed = 4;

/// Names of one list that are not in the other, some of them.
void tell_difference(const std::set<std::string>& now, const std::set<std::string>& before,
                     const char* what, std::vector<std::string>& found) {
  std::size_t named = 0;
  for (const auto& name : now)
    if (!before.contains(name) && ++named <= kMostNamed) found.push_back(what + (": " + name));
}

}  // namespace

std::vector<std::string> FaultNode::check(const std::map<std::string, std::string>& more) const {
  std::vector<std::string> found;
  const ImageStore images = store();
  const auto report = images.verify();
  if (!report)
    found.push_back("verify: " + report.error().message());
  else
    for (const auto& damage : report->damages) found.push_back("damaged: " + damage.what);
  const auto listed = images.list();
  if (!listed) {
    found.push_back("list: " + listed.error().message());
    return found;
  }
  std::set<std::string> there;
  for (const auto& version : *listed) {
    there.insert(version.version);
    const auto& known = versions_.contains(version.version) ? versions_ : more;
    auto expected = known.find(version.version);
    if (expected == known.end()) expected = known.find(kAnyVersion);
    if (expected == known.end()) {
      found.push_back("there is a version " + version.version + " that nobody made");
      continue;
    }
    const auto sum = sum_of_tree(images.root_of(kImage, version.version));
    if (!sum || *sum != expected->second)
      found.push_back("the files of version " + version.version + " are not what they were");
  }
  for (const auto& [version, sum] : versions_)
    if (!there.contains(version)) found.push_back("lost: version " + version);
  const auto repository = images.repository();
  const auto log = repository ? repository->log() : tl::make_unexpected(repository.error());
  if (!log) {
    found.push_back("log: " + log.error().message());
  } else {
    std::set<std::string> named;
    for (const auto& version : *log) named.insert(version.version);
    if (named != there) found.push_back("the repository's names and the trees are not the same");
  }
  const auto letter = read_text(homes_dir() + "/t/alice/letter");
  if (!letter || *letter != kKept) found.push_back("lost: a file of the home");
  if (const auto trust = storage::read_trust(trust_file()); !trust)
    found.push_back("trust: " + trust.error().message());
  return found;
}

std::vector<std::string> FaultNode::check_readable() const {
  std::vector<std::string> found;
  const auto report = store().verify();
  if (!report) return {"verify on a full disk: " + report.error().message()};
  for (const auto& damage : report->damages)
    found.push_back("damaged on a full disk: " + damage.what);
  return found;
}

std::vector<std::string> FaultNode::check_garbage() const {
  std::vector<std::string> found;
  ImageStore images = store();
  const auto listed = images.list();
  if (!listed) return {"list: " + listed.error().message()};
  (void)remove_tree(incoming() + "/tree");  // ours: it had not been given to a build yet
  for (const auto& version : *listed) {
    if (versions_.contains(version.version)) continue;
    if (const auto removed = images.remove(kImage, version.version); !removed)
      found.push_back("remove: " + removed.error().message());
  }
  if (const auto done = images.gc(); !done) found.push_back("gc: " + done.error().message());
  const auto again = images.gc();
  if (!again) {
    found.push_back("gc: " + again.error().message());
  } else if (again->objects + again->leftovers != 0) {
    found.push_back("a second gc still finds something");
  }
  const auto now = everything();
  if (!now) return {"list all files: " + now.error().message()};
  tell_difference(*now, everything_, "garbage", found);
  tell_difference(everything_, *now, "lost", found);
  return found;
}

std::vector<std::string> FaultNode::check_roots(const std::string& backend) const {
  std::vector<std::string> found;
  storage::Composer composer = this->composer();
  const auto nothing = composer.recover(scope());
  if (!nothing)
    found.push_back("recover roots: " + nothing.error().message());
  else if (nothing->unmounted + nothing->removed != 0)
    found.push_back("a second recovery of roots still finds something");
  for (const bool persistent : {true, false}) {
    if (persistent && !keeps(backend)) continue;
    const RootSpec spec = root(backend, persistent);
    if (const auto made = composer.provision(spec); !made) {
      found.push_back("provision: " + made.error().message());
      continue;
    }
    const auto sum = sum_of_tree(spec.mount_point);
    const auto expected = roots_.find(backend);
    if (persistent && (!sum || expected == roots_.end() || *sum != expected->second))
      found.push_back("the persistent root of " + backend + " is not what it was");
    if (!persistent && ::access((spec.mount_point + "/etc/stale").c_str(), F_OK) == 0)
      found.push_back("a new volatile root shows what an old one held");
    if (const auto gone = composer.destroy(spec); !gone)
      found.push_back("destroy: " + gone.error().message());
  }
  storage::HomeStore all = homes();
  if (const auto opened = all.attach(home()); !opened)
    found.push_back("home: " + opened.error().message());
  const auto letter = read_text(home().mount_point + "/letter");
  if (!letter || *letter != kKept) found.push_back("the home does not show its file");
  if (const auto closed = all.detach(home()); !closed)
    found.push_back("home: " + closed.error().message());
  return found;
}

}  // namespace panal::bench
