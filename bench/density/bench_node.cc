#include "bench/density/bench_node.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>

#include "bench/density/command.h"
#include "bench/density/stored.h"
#include "runtime/control/message.h"
#include "runtime/control/statistics.h"

namespace panal::bench {
namespace {

using nlohmann::json;

/// It takes over every desktop before it answers.
constexpr std::chrono::seconds kPanaldPatience{180};

Result<void> own(const std::string& path, std::uint32_t uid, mode_t mode) {
  if (::chown(path.c_str(), uid, uid) != 0) return fail_errno("chown", path);
  if (::chmod(path.c_str(), mode) != 0) return fail_errno("chmod", path);
  return {};
}

Result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail_errno("make directory", path);
}

}  // namespace

Result<BenchNode> BenchNode::up(const Options& options) {
  const char* group = std::getenv("PANAL_LAB_CGROUP");
  if (group == nullptr) return fail(EINVAL, "a bench node wants a lab (scripts/lab)");
  BenchNode node;
  const char* temporary = std::getenv("TMPDIR");
  std::string directory = std::string(temporary == nullptr ? "/tmp" : temporary) + "/bench-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) return fail_errno("make directory", directory);
  node.directory_ = directory;
  if (::chmod(directory.c_str(), 0755) != 0) return fail_errno("chmod", directory);
  const char* cache = std::getenv("PANAL_TEST_CACHE");
  // No warming: its reads would fall into what is measured.
  std::string text = fmt::format(
      "[node]\nname = \"bench\"\n[paths]\nstate = \"{0}/state\"\nrun = \"/run/panal\"\n"
      "images = \"{1}/images\"\n[cgroup]\nparent = \"{2}/panal\"\n{4}[broker]\n"
      "address = \"127.0.0.1\"\nport = 18443\n[images]\nwarm = false\n[desktop]\nprewarm = {3}\n",
      directory, cache == nullptr ? "/var/cache/panal" : cache, group, options.prewarm,
      options.parent_memory_mib > 0
          ? fmt::format("memory_limit = \"{} MiB\"\n", options.parent_memory_mib)
          : "");
  if (options.desktop_memory_mib > 0)
    text += fmt::format("memory = \"{} MiB\"\n", options.desktop_memory_mib);
  if (options.parallel_starts > 0)
    text += fmt::format("parallel_starts = {}\n", options.parallel_starts);
  if (!options.compose.empty()) text += "[compose]\n" + options.compose;
  const bool tuned = options.profile != "off";
  if (!tuned) {
    // No optimiser at all, for comparison: a profile that asks for nothing.
    PANAL_TRY(write_file(directory + "/off.toml", "name = \"off\"\n[guest]\n" + options.guest));
  }
  text += fmt::format("[tuning]\nprofile = \"{}\"\n",
                      tuned ? options.profile : directory + "/off.toml");
  node.sections_ = std::move(text);
  PANAL_TRY(node.put_network(options.network));
  PANAL_TRY(write_file(node.password_file(), std::string(kBenchPassword) + "\n"));
  if (::chmod(node.password_file().c_str(), 0600) != 0)
    return fail_errno("chmod", node.password_file());
  if (tuned) PANAL_TRY(node.panal({"tune", "apply", options.profile}));
  node.tuned_ = tuned;
  if (const auto up = node.panal({"up"}); !up) {
    if (tuned) (void)node.panal({"tune", "revert"});
    (void)node.put_panald(false);
    return tl::make_unexpected(up.error());
  }
  return node;
}

Result<void> BenchNode::put_network(const BenchNetwork& network) {
  const std::string text =
      network.keys.empty() ? sections_ : sections_ + "[network]\n" + network.keys;
  PANAL_ASSIGN(config_, config::parse(text, "bench"));
  PANAL_TRY(write_file(directory_ + "/panal.toml", text));
  const std::string policies = directory_ + "/network.toml";
  if (!network.policies.empty())
    PANAL_TRY(write_file(policies, network.policies));
  else if (::unlink(policies.c_str()) != 0 && errno != ENOENT)
    return fail_errno("remove", policies);
  return put_panald(network.open);
}

Result<void> BenchNode::put_panald(bool open) {
  if (open == open_) return {};
  // In the lab's mount namespace alone: whoever starts panald by its name there gets the other one,
  // with all other programs beside it.
  const std::string panald = config::program_dir() + "/panald";
  const std::string other = config::program_dir() + "/panald-open";
  if (open && ::mount(other.c_str(), panald.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return fail_errno("mount over panald", other);
  if (!open && ::umount2(panald.c_str(), MNT_DETACH) != 0) return fail_errno("unmount", panald);
  open_ = open;
  return {};
}

Result<void> BenchNode::use_network(const BenchNetwork& network) {
  PANAL_ASSIGN(const pid_t before, panald_pid());
  PANAL_TRY(put_network(network));
  if (::kill(before, SIGKILL) != 0) return fail_errno("kill", "panald");
  const auto deadline = std::chrono::steady_clock::now() + kPanaldPatience;
  while (true) {
    const auto now = panald_pid();
    if (now && *now > 0 && *now != before) return {};
    if (std::chrono::steady_clock::now() > deadline)
      return fail(ETIMEDOUT, fmt::format("no other panald answers {} s after the last was killed",
                                         kPanaldPatience.count()));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

Result<std::string> BenchNode::panal(const std::vector<std::string>& words) const {
  std::vector<std::string> argv = {config::program_dir() + "/panal", "--config",
                                   directory_ + "/panal.toml"};
  argv.insert(argv.end(), words.begin(), words.end());
  return output_of(argv);
}

Result<void> BenchNode::use_image(const std::string& image) {
  // What is only compared with is no recipe of the product's.
  const std::string compared = std::string(PANAL_SOURCE_DIR) + "/bench/recipes/" + image + ".toml";
  const std::string recipe = ::access(compared.c_str(), R_OK) == 0 ? compared : image;
  PANAL_ASSIGN(const auto plan, panal({"image", "build", "--dry-run", recipe}));
  if (plan.starts_with("would build"))
    return fail(ENOENT, fmt::format("image {0} is not built, and a lab has no network; run "
                                    "scripts/test-image {0} as root, outside of the lab, and "
                                    "measure again",
                                    image));
  PANAL_TRY(panal({"image", "build", "--publish", recipe}));
  return {};
}

Result<std::vector<Account>> BenchNode::make_desktops(const std::string& image, std::size_t count) {
  std::vector<Account> accounts;
  for (std::size_t i = 1; i <= count; ++i) {
    Account account;
    account.login = fmt::format("user{:03}", i);
    account.desktop = fmt::format("desk{:03}", i);
    PANAL_TRY(panal({"user", "add", account.login, "--password-file", password_file()}));
    PANAL_TRY(
        panal({"desktop", "create", account.desktop, "--user", account.login, "--image", image}));
    accounts.push_back(std::move(account));
  }
  PANAL_ASSIGN(const auto users_text, panal({"user", "ls", "--json"}));
  PANAL_ASSIGN(const auto desktops_text, panal({"desktop", "ls", "--json"}));
  const json users = json::parse(users_text, nullptr, false);
  const json desktops = json::parse(desktops_text, nullptr, false);
  for (auto& account : accounts) {
    for (const auto& user : users)
      if (user.value("login", "") == account.login) account.uid = user.value("uid", 0U);
    for (const auto& desktop : desktops)
      if (desktop.value("name", "") == account.desktop) account.id = desktop.value("id", 0);
    if (account.uid == 0 || account.id == 0)
      return fail(EPROTO, "panal does not list " + account.desktop);
    PANAL_TRY(plant(account, living_session(account.login)));
  }
  // The certificate is pinned once, before many clients come at the same time.
  PANAL_TRY(
      output_of({config::program_dir() + "/panal-client", "--server",
                 fmt::format("127.0.0.1:{}", config_.port), "--user", accounts[0].login,
                 "--password-file", password_file(), "--known-servers", known_servers(), "list"}));
  return accounts;
}

Result<void> BenchNode::plant(const Account& account, const std::vector<HomeFile>& files) const {
  const std::string tenant = config_.homes_dir + "/default";
  const std::string home = tenant + "/" + account.login;
  PANAL_TRY(make_directory(config_.homes_dir));
  PANAL_TRY(make_directory(tenant));
  PANAL_TRY(make_directory(home));
  PANAL_TRY(own(home, account.uid, 0700));
  for (const auto& file : files) {
    std::string directory = home;
    const std::filesystem::path relative(file.path);
    for (const auto& part : relative.parent_path()) {
      directory += "/" + part.string();
      PANAL_TRY(make_directory(directory));
      PANAL_TRY(own(directory, account.uid, 0700));
    }
    PANAL_TRY(write_file(home + "/" + file.path, file.text));
    PANAL_TRY(own(home + "/" + file.path, account.uid, file.executable ? 0755 : 0644));
  }
  return {};
}

Result<json> BenchNode::stats(std::int64_t only) const {
  PANAL_ASSIGN(const auto connection, control::Connection::connect(config_.node_socket()));
  return control::ask_statistics(
      [&connection](const json& request) -> Result<json> {
        PANAL_TRY(connection.send(request));
        PANAL_ASSIGN(auto answer, connection.receive(std::chrono::seconds(30)));
        return std::move(answer.body);
      },
      {{"desktop", only}});
}

Result<void> BenchNode::treat(const Account& account, const std::string& how) const {
  const bool spared = how == "spared";
  PANAL_ASSIGN(const auto connection, control::Connection::connect(config_.node_socket()));
  PANAL_TRY(connection.send({{"op", "treat"},
                             {"desktop", account.id},
                             {"spared", spared},
                             {"prefetch", spared ? "recorded" : how}}));
  PANAL_ASSIGN(const auto answer, connection.receive(std::chrono::seconds(30)));
  if (answer.body.contains("error")) return fail(EPROTO, "treat: " + answer.body.dump());
  return {};
}

Result<std::map<std::int64_t, LiveDesktop>> BenchNode::live(std::int64_t only) const {
  PANAL_ASSIGN(const auto answer, stats(only));
  std::map<std::int64_t, LiveDesktop> out;
  for (const auto& one : answer["desktops"]) {
    LiveDesktop desktop;
    desktop.id = one.value("id", std::int64_t{0});
    desktop.init_pid = one.value("pid", -1);
    desktop.agent = one.value("agent", false);
    desktop.session = one.value("session", "");
    desktop.memory_bytes = one.value("memory_bytes", std::uint64_t{0});
    desktop.anon_bytes = one.value("anon_bytes", std::uint64_t{0});
    out[desktop.id] = desktop;
  }
  return out;
}

Result<void> BenchNode::wait_for(const std::vector<Account>& accounts, const std::string& what,
                                 const std::function<bool(const LiveDesktop&)>& good,
                                 std::chrono::seconds patience) const {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (true) {
    const auto now = live(accounts.size() == 1 ? accounts.front().id : 0);
    const Account* missing = nullptr;
    std::size_t count = 0;
    for (const auto& account : accounts) {
      const auto found =
          now ? now->find(account.id) : std::map<std::int64_t, LiveDesktop>::const_iterator{};
      if (now && found != now->end() && good(found->second)) continue;
      ++count;
      missing = &account;
    }
    if (missing == nullptr) return {};
    if (std::chrono::steady_clock::now() > deadline) {
      const auto shown = panal({"desktop", "show", missing->desktop});
      const auto log = run_command(
          {"sh", "-c",
           fmt::format("tail -n 40 {0}/client-{1}.log {2}/desktops/d{3}/log/console.log; "
                       "tail -n 15 {2}/log/panald.log {2}/log/panal-broker.log "
                       "{2}/desktops/d{3}/log/lxc.log",
                       directory_, missing->login, config_.state_dir, missing->id)});
      return fail(ETIMEDOUT,
                  fmt::format("waited {} s for {}: {} of {} missing, one is {}:\n{}\n{}",
                              patience.count(), what, count, accounts.size(), missing->desktop,
                              shown ? *shown : shown.error().message(), log ? log->output : ""));
    }
    // An answer costs panald ten files a desktop.
    std::this_thread::sleep_for(
        std::chrono::milliseconds(std::max<std::size_t>(100, now ? now->size() : 0)));
  }
}

Result<pid_t> BenchNode::panald_pid() const {
  PANAL_ASSIGN(const auto connection, control::Connection::connect(config_.node_socket()));
  PANAL_TRY(connection.send({{"op", "status"}}));
  PANAL_ASSIGN(const auto answer, connection.receive(std::chrono::seconds(30)));
  return answer.body.value("pid", -1);
}

Result<void> BenchNode::down() {
  const auto down = panal({"down"});
  const auto reverted = tuned_ ? panal({"tune", "revert"}) : Result<std::string>();
  const auto usual = put_panald(false);
  if (!down) return tl::make_unexpected(down.error());
  if (!reverted) return tl::make_unexpected(reverted.error());
  return usual;
}

}  // namespace panal::bench
