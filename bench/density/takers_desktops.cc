#include <fmt/format.h>

#include <cstdlib>
#include <set>
#include <thread>

#include "bench/density/bench_node.h"
#include "bench/density/load.h"
#include "bench/density/say.h"
#include "bench/density/stored.h"
#include "bench/density/takers_subject.h"
#include "engine/kernel/ksm.h"

namespace panal::bench {
namespace {

/// `dense` with neither swap, which the bench sets up itself, nor a governor for KSM's pace.
Result<std::string> write_takers_profile() {
  const char* temporary = std::getenv("TMPDIR");
  const std::string file = fmt::format("{}/takers.toml", temporary == nullptr ? "/tmp" : temporary);
  PANAL_TRY(write_file(file,
                       "name = \"takers\"\nbased_on = \"dense\"\n[ksm]\ngovernor = false\n[zram]\n"
                       "enabled = false\n[zswap]\nenabled = false\n"));
  return file;
}

class DesktopsSubject final : public TakersSubject {
 public:
  DesktopsSubject(Tree tree, BenchNode node, KsmSettings tuned)
      : tree_(std::move(tree)), node_(std::move(node)), tuned_(tuned) {}
  ~DesktopsSubject() override {
    groups_.clear();
    // As the profile had them: `panal tune revert` goes back from there.
    if (const auto restored = kernel::write_ksm_settings(tree_, tuned_); !restored)
      say("KSM's settings: {}", restored.error().message());
    if (const auto down = node_.down(); !down) say("panal down: {}", down.error().message());
  }

  Result<void> start(const std::string& image, std::size_t count, unsigned settle_seconds) {
    PANAL_TRY(node_.use_image(image));
    PANAL_ASSIGN(accounts_, node_.make_desktops(image, count));
    PANAL_ASSIGN(const auto load, Load::make(node_));
    std::vector<std::string> words = {"desktop", "start"};
    for (const Account& account : accounts_) words.push_back(account.desktop);
    PANAL_TRY(node_.panal(words));
    for (const Account& account : accounts_) PANAL_TRY(load->connect(account));
    PANAL_TRY(node_.wait_for(
        accounts_, "all clients to be connected",
        [](const LiveDesktop& desktop) { return desktop.session == "connected"; },
        std::chrono::seconds(60 + 8 * count)));
    say("{} desktops run; they settle for {} s", count, settle_seconds);
    std::this_thread::sleep_for(std::chrono::seconds(settle_seconds / 2));
    load->disconnect_all();
    std::this_thread::sleep_for(std::chrono::seconds(settle_seconds - settle_seconds / 2));
    for (const Account& account : accounts_) {
      PANAL_ASSIGN(auto group,
                   kernel::Cgroup::open(
                       load->root(), node_.config().cgroup_parent + "/" + kernel_name(account.id)));
      groups_.push_back(std::move(group));
    }
    return {};
  }

  [[nodiscard]] const std::vector<kernel::Cgroup>& groups() const override { return groups_; }
  [[nodiscard]] Result<void> check() const override {
    return node_.wait_for(
        accounts_, "all desktops to live still",
        [](const LiveDesktop& desktop) { return desktop.agent; }, std::chrono::seconds(5));
  }

 private:
  Tree tree_;
  BenchNode node_;
  KsmSettings tuned_;
  std::vector<Account> accounts_;
  std::vector<kernel::Cgroup> groups_;
};

}  // namespace

Result<std::unique_ptr<TakersSubject>> make_desktops_subject(const std::string& image,
                                                             std::size_t count,
                                                             unsigned settle_seconds) {
  PANAL_ASSIGN(auto tree, Tree::open_system());
  PANAL_ASSIGN(const std::string profile, write_takers_profile());
  PANAL_ASSIGN(auto node, BenchNode::up({.profile = profile}));
  const auto tuned = kernel::read_ksm_settings(tree);
  if (!tuned) {
    (void)node.down();
    return tl::make_unexpected(tuned.error());
  }
  auto out = std::make_unique<DesktopsSubject>(std::move(tree), std::move(node), *tuned);
  PANAL_TRY(out->start(image, count, settle_seconds));
  return std::unique_ptr<TakersSubject>(std::move(out));
}

}  // namespace panal::bench
