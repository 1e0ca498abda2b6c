#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bench/density/living.h"
#include "engine/base/result.h"
#include "runtime/config/config.h"

namespace panal::bench {

/// What panald says of one desktop that runs.
struct LiveDesktop {
  std::int64_t id = 0;
  pid_t init_pid = -1;
  bool agent = false;
  std::string session;
  std::uint64_t memory_bytes = 0;
  std::uint64_t anon_bytes = 0;
};

/// One of the bench's desktops and its user.
struct Account {
  std::string desktop;
  std::string login;
  std::uint32_t uid = 0;
  std::int64_t id = 0;
};

/// What a node's desktops are confined by; the default: as panald does it where it is told nothing.
struct BenchNetwork {
  std::string keys = {};      ///< [network]: its keys, as TOML
  std::string policies = {};  ///< network.toml; empty: there is none
  bool open = false;          ///< by panald-open, whose firewall lets everything through
  [[nodiscard]] bool operator==(const BenchNetwork&) const = default;
};

/// A node of its own inside the lab, with all roots in a directory that goes with the lab.
class BenchNode {
 public:
  struct Options {
    bool prewarm = false;
    std::uint32_t parallel_starts = 0;  ///< 0: the product's default
    std::string profile = "off";        ///< a tuning profile; the machine's settings are its too
    unsigned parent_memory_mib = 0;     ///< limit of all desktops together; 0: what the node thinks
    unsigned desktop_memory_mib = 0;    ///< limit of each; 0: the product's default
    std::string guest = {};             ///< [guest] of the profile "off": its keys, as TOML
    std::string compose = {};           ///< [compose]: its keys, as TOML
    BenchNetwork network = {};
  };

  /// `panal up`. Errors: what the command said.
  [[nodiscard]] static Result<BenchNode> up(const Options& options);

  /// panald's whole answer to `stats`. Errors: EPROTO.
  [[nodiscard]] Result<nlohmann::json> stats(std::int64_t only = 0) const;
  /// How panald's optimiser treats a desktop: "spared" (nothing is taken), or what it fetches when
  /// the user returns: "recorded", "drawing", "nothing". Errors: EPROTO with panald's words.
  [[nodiscard]] Result<void> treat(const Account& account, const std::string& how) const;
  /// Registers the image of a recipe of the product's or of bench/recipes. It must be in the cache:
  /// the lab has no network. Errors: ENOENT, with how it gets there.
  [[nodiscard]] Result<void> use_image(const std::string& image);
  /// One user and one desktop each, with a home in which a living session is planted.
  [[nodiscard]] Result<std::vector<Account>> make_desktops(const std::string& image,
                                                           std::size_t count);

  /// Puts files into a user's home; those that are there already are replaced.
  [[nodiscard]] Result<void> plant(const Account& account,
                                   const std::vector<HomeFile>& files) const;

  /// Kills panald, so that the next one begins with this; desktops go on. Errors: ETIMEDOUT when
  /// none answers.
  [[nodiscard]] Result<void> use_network(const BenchNetwork& network);

  /// Runs `panal` with these words; its output.
  [[nodiscard]] Result<std::string> panal(const std::vector<std::string>& words) const;
  /// What panald's statistics say, by desktop id.
  [[nodiscard]] Result<std::map<std::int64_t, LiveDesktop>> live(std::int64_t only = 0) const;
  /// Waits until `good` says yes of every one of these desktops.
  [[nodiscard]] Result<void> wait_for(const std::vector<Account>& accounts, const std::string& what,
                                      const std::function<bool(const LiveDesktop&)>& good,
                                      std::chrono::seconds patience) const;
  [[nodiscard]] Result<pid_t> panald_pid() const;
  /// `panal down`; error when anything is left.
  [[nodiscard]] Result<void> down();

  [[nodiscard]] const config::Config& config() const { return config_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::string password_file() const { return directory_ + "/password"; }
  [[nodiscard]] std::string known_servers() const { return directory_ + "/known_servers"; }

 private:
  BenchNode() = default;
  /// Writes the files, and puts the right panald in its place.
  [[nodiscard]] Result<void> put_network(const BenchNetwork& network);
  [[nodiscard]] Result<void> put_panald(bool open);

  std::string directory_;
  std::string sections_;  ///< of panal.toml, without [network]
  bool open_ = false;     ///< panald-open lies over panald
  bool tuned_ = false;    ///< the machine's settings are a profile's
  config::Config config_;
};

/// The password of every user of the bench; known to nobody outside of the lab.
inline constexpr const char* kBenchPassword = "correct horse 7";

}  // namespace panal::bench
