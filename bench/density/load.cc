#include "bench/density/load.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>

namespace panal::bench {

Result<std::unique_ptr<Load>> Load::make(const BenchNode& node) {
  auto out = std::unique_ptr<Load>(new Load(node));
  PANAL_ASSIGN(const auto tree, Tree::open_system());
  PANAL_ASSIGN(auto root, kernel::CgroupRoot::open(tree));
  const char* lab = std::getenv("PANAL_LAB_CGROUP");
  PANAL_ASSIGN(auto group,
               kernel::Cgroup::create(root, std::string(lab == nullptr ? "" : lab) + "/load"));
  out->root_ = std::make_unique<kernel::CgroupRoot>(std::move(root));
  out->group_ = std::make_unique<kernel::Cgroup>(std::move(group));
  return out;
}

Load::~Load() {
  disconnect_all();
  displays_.clear();
  watched_.reset();
  (void)group_->destroy(std::chrono::seconds(10));
}

Result<std::unique_ptr<Display>> Load::new_display() {
  return Display::start(next_display_++, node_.directory(),
                        [this](pid_t pid) { return group_->add(pid); });
}

Result<void> Load::connect(const Account& account, bool watched) {
  if (watched && !watched_) {
    PANAL_ASSIGN(watched_, new_display());
  }
  if (!watched && unwatched_ >= displays_.size() * Display::kMostWindows) {
    PANAL_ASSIGN(auto display, new_display());
    displays_.push_back(std::move(display));
  }
  CommandOptions options;
  options.environment = (watched ? watched_ : displays_.back())->environment();
  options.output_file = fmt::format("{}/client-{}.log", node_.directory(), account.login);
  options.place = [this](pid_t pid) { return group_->add(pid); };
  PANAL_ASSIGN(auto client,
               Child::start({config::program_dir() + "/panal-client", "--server",
                             fmt::format("127.0.0.1:{}", node_.config().port), "--user",
                             account.login, "--password-file", node_.password_file(),
                             "--known-servers", node_.known_servers(), "--geometry", "1000x700",
                             "--keyboard", "pc105/us", "--retry", "3", "connect", account.desktop},
                            options));
  clients_[account.login] = std::move(client);
  if (!watched) ++unwatched_;
  return {};
}

std::size_t Load::running() const {
  return static_cast<std::size_t>(std::count_if(
      clients_.begin(), clients_.end(), [](const auto& one) { return one.second.running(); }));
}

void Load::disconnect_all() {
  for (auto& [login, client] : clients_) client.signal(SIGTERM);
  for (auto& [login, client] : clients_) client.end(std::chrono::seconds(10));
  clients_.clear();
}

void Load::disconnect(const std::vector<Account>& accounts) {
  for (const Account& account : accounts)
    if (const auto found = clients_.find(account.login); found != clients_.end())
      found->second.signal(SIGTERM);
  for (const Account& account : accounts) {
    const auto found = clients_.find(account.login);
    if (found == clients_.end()) continue;
    found->second.end(std::chrono::seconds(10));
    clients_.erase(found);
  }
}

}  // namespace panal::bench
