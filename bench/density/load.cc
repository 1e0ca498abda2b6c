#include "bench/density/load.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "bench/density/stopwatch.h"

namespace panal::bench {

Result<std::unique_ptr<Load>> Load::make(const BenchNode& node) {
  auto out = std::unique_ptr<Load>(new Load(node));
  PANAL_ASSIGN(const auto tree, Tree::open_system());
  PANAL_ASSIGN(auto root, kernel::CgroupRoot::open(tree));
  const char* lab = std::getenv("PANAL_LAB_CGROUP");
  PANAL_ASSIGN(auto group,
               kernel::Cgroup::create(root, std::string(lab == nullptr ? "" : lab) + "/load"));
  // The users' machines: what is short of memory is the node, and they are no part of it.
  Limits theirs;
  theirs.swapping = Swapping::kLast;
  PANAL_TRY(group.set_limits(theirs));
  out->root_ = std::make_unique<kernel::CgroupRoot>(std::move(root));
  out->group_ = std::make_unique<kernel::Cgroup>(std::move(group));
  return out;
}

Load::~Load() {
  disconnect_all();
  screens_.clear();
  watched_.reset();
  (void)group_->destroy(std::chrono::seconds(10));
}

Result<std::unique_ptr<Display>> Load::new_display() {
  return Display::start(next_display_++, node_.directory(),
                        [this](pid_t pid) { return group_->add(pid); });
}

Result<std::unique_ptr<Load::Screen>> Load::new_screen() {
  auto out = std::make_unique<Screen>();
  PANAL_ASSIGN(out->display, new_display());
  return out;
}

Result<Load::Screen*> Load::screen_with_room() {
  for (const auto& screen : screens_)
    if (screen->windows < Display::kMostWindows) return screen.get();
  PANAL_ASSIGN(auto screen, new_screen());
  screens_.push_back(std::move(screen));
  return screens_.back().get();
}

Result<Typist*> Load::typist_of(const Account& account) {
  const auto found = clients_.find(account.login);
  if (found == clients_.end()) return fail(ENOENT, "nobody connected " + account.login);
  Screen& screen = *found->second.screen;
  if (!screen.typist) {
    PANAL_ASSIGN(screen.typist, Typist::open(*screen.display));
  }
  return screen.typist.get();
}

Result<Typed> Load::answer(const Account& account, std::chrono::seconds patience) {
  PANAL_ASSIGN(Typist * typist, typist_of(account));
  const auto begin = Clock::now();
  while (true) {
    const auto typed = typist->type(account.desktop);
    if (typed || Clock::now() - begin > patience) return typed;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

Result<Typed> Load::answer_first(const Account& account, std::chrono::seconds patience) {
  PANAL_ASSIGN(Typist * typist, typist_of(account));
  const auto begin = Clock::now();
  while (true) {
    const auto typed = typist->type(account.desktop);
    if (typed || typed.error().code == ETIMEDOUT || Clock::now() - begin > patience) return typed;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

bool Load::runs(const Account& account) const {
  const auto found = clients_.find(account.login);
  return found != clients_.end() && found->second.process.running();
}

Result<void> Load::connect(const Account& account, bool watched) {
  if (watched && !watched_) {
    PANAL_ASSIGN(watched_, new_screen());
  }
  Screen* screen = watched_.get();
  if (!watched) {
    PANAL_ASSIGN(screen, screen_with_room());
  }
  CommandOptions options;
  options.environment = screen->display->environment();
  options.output_file = fmt::format("{}/client-{}.log", node_.directory(), account.login);
  options.place = [this](pid_t pid) { return group_->add(pid); };
  PANAL_ASSIGN(auto client,
               Child::start({config::program_dir() + "/panal-client", "--server",
                             fmt::format("127.0.0.1:{}", node_.config().port), "--user",
                             account.login, "--password-file", node_.password_file(),
                             "--known-servers", node_.known_servers(), "--geometry", "1000x700",
                             "--keyboard", "pc105/us", "--retry", "3", "connect", account.desktop},
                            options));
  ++screen->windows;
  clients_.insert_or_assign(account.login, Client{std::move(client), screen});
  return {};
}

std::size_t Load::running() const {
  return static_cast<std::size_t>(
      std::count_if(clients_.begin(), clients_.end(),
                    [](const auto& one) { return one.second.process.running(); }));
}

void Load::disconnect_all() {
  for (auto& [login, client] : clients_) client.process.signal(SIGTERM);
  for (auto& [login, client] : clients_) client.process.end(std::chrono::seconds(10));
  for (const auto& screen : screens_) screen->windows = 0;
  clients_.clear();
}

void Load::disconnect(const std::vector<Account>& accounts) {
  for (const Account& account : accounts)
    if (const auto found = clients_.find(account.login); found != clients_.end())
      found->second.process.signal(SIGTERM);
  for (const Account& account : accounts) {
    const auto found = clients_.find(account.login);
    if (found == clients_.end()) continue;
    found->second.process.end(std::chrono::seconds(10));
    --found->second.screen->windows;
    clients_.erase(found);
  }
}

}  // namespace panal::bench
