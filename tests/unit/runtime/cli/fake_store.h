#pragma once

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <utility>

#include "runtime/cli/cli.h"
#include "runtime/netpolicy/uplink_words.h"
#include "storage/image/trial_record.h"
#include "tests/support/fake_home_book.h"
#include "tests/unit/runtime/cli/fake_images.h"

namespace panal::cli {

/// What the database and panald hold, shared by all connections.
struct FakeFarm {
  std::vector<store::User> users;
  std::vector<store::Tenant> tenants{{"default", false}};
  std::vector<store::Image> images;
  std::vector<store::Version> versions;  ///< newest first
  std::map<std::pair<std::string, std::string>, std::string> tags;
  std::vector<store::TagMove> moves;
  std::vector<store::TagChange> changes;  ///< as move_tag() was asked
  std::vector<store::Removal> removals;
  std::function<void()> meanwhile;  ///< what somebody else does just before move_tag()
  std::map<DesktopId, store::Desktop> desktops;
  std::vector<store::NetAssignment> net;
  std::set<DesktopId> cannot_start;  ///< panald fails these, with evidence
  bool node_answers = true, database_answers = true;
  nlohmann::json node_answer = {{"ok", true}};
  Error node_refuses = {};  ///< with a code: this is panald's answer
  Result<netpolicy::UplinkWords> uplink = netpolicy::UplinkWords{"none", "", {"# no uplink"}};
  std::vector<nlohmann::json> requests;
  store::FakeHomeBook homes;
  std::set<std::string> do_not_start;  ///< versions whose trial start fails
  int trials = 0;                      ///< that panald was asked for

  [[nodiscard]] std::string at(const std::string& image, const std::string& tag) const {
    const auto found = tags.find({image, tag});
    return found == tags.end() ? "" : found->second;
  }
  /// What a desktop's next start takes.
  [[nodiscard]] std::string next_of(const store::Desktop& d) const {
    return d.version.empty() ? at(d.image, d.tag.empty() ? store::kDefaultTag : d.tag) : d.version;
  }
  void move(const std::string& image, const std::string& tag, const std::string& to,
            store::TagMoveKind kind = store::TagMoveKind::kTag, const std::string& actor = "t") {
    moves.push_back({"2026-11-26T10:00:00Z", actor, kind, image, tag, at(image, tag), to});
    if (to.empty())
      tags.erase({image, tag});
    else
      tags[{image, tag}] = to;
    for (auto& one : images) {
      if (one.name != image) continue;
      if (tag == store::kDefaultTag) one.default_version = to;
      if (tag == store::kHeadTag) one.head_version = to;
    }
  }

  /// One step of panald's reconcile loop.
  void step() {
    for (auto& [id, d] : desktops) {
      if (!node_answers) return;
      if (d.desired == store::Desired::kRunning && d.observed != store::Observed::kRunning &&
          d.claimed_generation < d.generation) {
        if (d.observed == store::Observed::kComposing) {
          d.claimed_generation = d.generation;
          const bool bad = cannot_start.contains(id);
          d.observed = bad ? store::Observed::kFailed : store::Observed::kRunning;
          d.reason = bad ? "compose: no space left\nlog: mount: ENOSPC \x1b[31m" : "";
        } else {
          d.observed = store::Observed::kComposing;
        }
      }
      if (d.desired == store::Desired::kStopped) d.observed = store::Observed::kStopped;
    }
  }
};

/// A store in memory that keeps the promises of store.h that the commands rely on.
class FakeStore final : public store::Store {
 public:
  explicit FakeStore(FakeFarm& farm) : farm_(farm) {}

  Result<store::User> add_user(store::User user) override {
    user.id = static_cast<std::int64_t>(farm_.users.size()) + 1;
    farm_.users.push_back(user);
    return user;
  }
  Result<void> set_password(const std::string&, const std::string& login,
                            const std::string& hash) override {
    for (auto& user : farm_.users) {
      if (user.login == login) user.password_hash = hash;
    }
    return {};
  }
  Result<void> set_blocked(const std::string&, const std::string&, bool) override { return {}; }
  Result<void> remove_user(const std::string& tenant, const std::string& login) override {
    std::erase_if(farm_.users,
                  [&](const auto& u) { return u.tenant == tenant && u.login == login; });
    return {};
  }
  Result<std::vector<store::User>> users() override { return farm_.users; }
  Result<std::optional<store::User>> find_user(const std::string& tenant,
                                               const std::string& login) override {
    for (const auto& user : farm_.users) {
      if (user.tenant == tenant && user.login == login) return user;
    }
    return std::nullopt;
  }
  Result<void> set_trust(const std::string& tenant, const std::string& login,
                         const std::string& trust) override {
    for (auto& user : farm_.users) {
      if (user.tenant == tenant && user.login == login) user.trust = trust;
    }
    return {};
  }
  Result<std::vector<store::Tenant>> tenants() override { return farm_.tenants; }
  Result<void> add_tenant(const std::string& name, const std::string&) override {
    farm_.tenants.push_back({name, false});
    return {};
  }
  Result<void> remove_tenant(const std::string& name, const std::string&) override {
    std::erase_if(farm_.tenants, [&](const auto& one) { return one.name == name; });
    return {};
  }
  Result<void> set_share_memory(const std::string& tenant, bool agreed,
                                const std::string&) override {
    for (auto& one : farm_.tenants) {
      if (one.name == tenant) one.share_memory = agreed;
    }
    return {};
  }
  Result<void> add_version(const store::Version& version, const std::string& text) override {
    const auto same = [&](const auto& one) {
      return one.image == version.image && one.version == version.version;
    };
    const auto there = std::find_if(farm_.versions.begin(), farm_.versions.end(), same);
    if (there == farm_.versions.end()) {
      farm_.versions.insert(farm_.versions.begin(), version);
    } else {
      if (!there->commit.empty() && !version.commit.empty() && there->commit != version.commit)
        return fail(EEXIST, version.image + " is registered with another commit");
      if (there->commit.empty()) there->commit = version.commit;
    }
    std::erase_if(farm_.removals, [&](const auto& one) {
      return one.image == version.image && one.version == version.version &&
             one.commit == version.commit;
    });
    const auto image = std::find_if(farm_.images.begin(), farm_.images.end(),
                                    [&](const auto& one) { return one.name == version.image; });
    if (image == farm_.images.end()) farm_.images.push_back({version.image, text, ""});
    farm_.move(version.image, store::kHeadTag, version.version, store::TagMoveKind::kCommit,
               version.author);
    if (farm_.at(version.image, store::kDefaultTag).empty() && !version.untried)
      farm_.move(version.image, store::kDefaultTag, version.version, store::TagMoveKind::kCommit,
                 version.author);
    return {};
  }
  Result<std::vector<store::Image>> images() override { return farm_.images; }
  Result<std::vector<store::Version>> versions() override { return farm_.versions; }
  Result<void> remove_version(const std::string& image, const std::string& version,
                              const std::string& actor) override {
    for (const auto& [id, d] : farm_.desktops) {
      if (d.image != image) continue;
      if (farm_.next_of(d) == version || d.running_version == version)
        return fail(EBUSY, image + " is used by desktop " + d.name);
    }
    const auto of_image = std::count_if(farm_.versions.begin(), farm_.versions.end(),
                                        [&](const auto& one) { return one.image == image; });
    if (of_image > 1 && farm_.at(image, store::kDefaultTag) == version)
      return fail(EBUSY, image + " " + version + " is what new starts take");
    std::string commit;
    for (const auto& one : farm_.versions)
      if (one.image == image && one.version == version) commit = one.commit;
    std::erase_if(farm_.versions,
                  [&](const auto& v) { return v.image == image && v.version == version; });
    farm_.removals.push_back({image, version, commit, actor, "2026-11-26T10:00:00Z", {}});
    return {};
  }
  Result<std::vector<store::Removal>> removals() override { return farm_.removals; }
  Result<void> finish_removal(const store::Removal& removal, const std::string& node) override {
    for (auto& one : farm_.removals)
      if (one.image == removal.image && one.version == removal.version) one.done_on.push_back(node);
    return {};
  }
  Result<std::vector<store::Tag>> tags() override {
    std::vector<store::Tag> out;
    for (const auto& [name, version] : farm_.tags)
      out.push_back({name.first, name.second, version, "2026-11-26T10:00:00Z"});
    return out;
  }
  Result<void> move_tag(const store::TagChange& change) override {
    if (farm_.meanwhile) std::exchange(farm_.meanwhile, nullptr)();
    if (farm_.at(change.image, change.tag) != change.expected)
      return fail(EBUSY, change.image + ":" + change.tag + " moved meanwhile");
    farm_.changes.push_back(change);
    farm_.move(change.image, change.tag, change.to, change.kind, change.actor);
    return {};
  }
  Result<std::vector<store::TagMove>> tag_moves(const std::string& image,
                                                const std::string& tag) override {
    std::vector<store::TagMove> out;
    for (const auto& one : farm_.moves)
      if (one.image == image && (tag.empty() || one.tag == tag)) out.push_back(one);
    return out;
  }
  Result<void> set_source(DesktopId id, const std::string& version, const std::string& tag,
                          const std::string&) override {
    farm_.desktops.at(id).version = version;
    farm_.desktops.at(id).tag = tag;
    return {};
  }
  Result<void> set_net_policy(const store::NetTarget& target, const std::string& policy,
                              const std::string&) override {
    std::erase_if(farm_.net, [&](const auto& one) {
      return one.target.scope == target.scope && one.target.name == target.name &&
             one.target.desktop == target.desktop;
    });
    if (policy.empty()) return {};
    std::string shown = target.name;
    if (target.scope == store::NetScope::kDesktop) {
      const auto& d = farm_.desktops.at(target.desktop);
      shown = d.tenant + "/" + d.name;
    }
    farm_.net.push_back({target, shown, policy});
    return {};
  }
  Result<std::vector<store::NetAssignment>> net_assignments() override { return farm_.net; }
  Result<std::vector<store::DesktopNetPolicy>> net_policies(const std::string& node) override {
    std::vector<store::DesktopNetPolicy> out;
    for (const auto& [id, d] : farm_.desktops) {
      if (!node.empty() && d.node != node) continue;
      store::DesktopNetPolicy one{id, d.name, d.tenant, d.image, d.node, "", ""};
      for (const store::NetScope scope :
           {store::NetScope::kTenant, store::NetScope::kImage, store::NetScope::kDesktop}) {
        for (const auto& given : farm_.net) {
          const std::string& name = scope == store::NetScope::kTenant ? d.tenant : d.image;
          if (given.target.scope != scope) continue;
          if (scope == store::NetScope::kDesktop ? given.target.desktop != id
                                                 : given.target.name != name)
            continue;
          one.policy = given.policy;
          one.given_by = store::to_string(scope);
        }
      }
      out.push_back(std::move(one));
    }
    return out;
  }
  Result<store::DesktopNetPolicy> net_policy(DesktopId) override {
    return fail(EACCES, "not the CLI's");
  }
  Result<store::Desktop> add_desktop(const store::Desktop& desktop) override {
    store::Desktop added = desktop;
    added.id = farm_.desktops.empty() ? 1 : farm_.desktops.rbegin()->first + 1;
    farm_.desktops[added.id] = added;
    return added;
  }
  Result<void> remove_desktop(DesktopId id) override {
    farm_.desktops.erase(id);
    return {};
  }
  Result<std::vector<store::Desktop>> desktops() override {
    std::vector<store::Desktop> out;
    for (const auto& [id, desktop] : farm_.desktops) {
      out.push_back(desktop);
      out.back().next_version = farm_.next_of(desktop);
    }
    return out;
  }
  Result<std::vector<store::Desktop>> desktops_of(const std::string& tenant,
                                                  const std::string& login) override {
    std::vector<store::Desktop> out;
    for (const auto& [id, d] : farm_.desktops) {
      if (d.tenant == tenant && d.login == login) out.push_back(d);
    }
    return out;
  }
  Result<store::Desktop> desktop(DesktopId id) override {
    const auto it = farm_.desktops.find(id);
    if (it == farm_.desktops.end()) return fail(ENOENT, "there is no such desktop");
    return it->second;
  }
  Result<void> set_desired(DesktopId id, store::Desired desired, const std::string&) override {
    auto& d = farm_.desktops.at(id);
    d.desired = desired;
    if (desired == store::Desired::kRunning) ++d.generation;
    return {};
  }
  Result<void> listen(const std::string&) override { return {}; }
  Result<std::vector<std::string>> wait_notifications(std::chrono::milliseconds) override {
    farm_.step();
    return std::vector<std::string>{};
  }
  void interrupt() override {}
  store::HomeBook& homes() override { return farm_.homes; }

  // A node's and a broker's part: the commands never call it.
  Result<void> register_node(const std::string&, const std::string&, std::int64_t) override {
    return fail(EACCES, "not the CLI's");
  }
  Result<std::vector<store::Desktop>> desktops_on(const std::string&) override {
    return fail(EACCES, "not the CLI's");
  }
  Result<std::optional<store::Desktop>> claim_start(DesktopId, const std::string&,
                                                    std::uint32_t) override {
    return fail(EACCES, "not the CLI's");
  }
  Result<void> observe(DesktopId, store::Observed, const std::string&) override {
    return fail(EACCES, "not the CLI's");
  }
  Result<void> observe_session(DesktopId, const std::string&, std::uint64_t) override {
    return fail(EACCES, "not the CLI's");
  }
  Result<std::int64_t> begin_session(DesktopId, const std::string&, const std::string&) override {
    return fail(EACCES, "not the CLI's");
  }
  Result<void> end_session(std::int64_t, std::uint64_t, std::uint64_t,
                           const std::string&) override {
    return fail(EACCES, "not the CLI's");
  }
  Result<void> audit(const std::string&, const std::string&, const std::string&,
                     const std::string&) override {
    return {};
  }
  Result<std::vector<store::AuditRow>> audit_rows(std::uint32_t) override {
    return std::vector<store::AuditRow>{};
  }

 private:
  FakeFarm& farm_;
};

class FakeBackends final : public Backends {
 public:
  Result<std::unique_ptr<store::Store>> store(const config::Config&) override {
    if (!farm.database_answers) return fail(ENOTCONN, "connect to PostgreSQL");
    return std::make_unique<FakeStore>(farm);
  }
  Result<nlohmann::json> ask_node(
      const config::Config& c, const nlohmann::json& request, std::chrono::milliseconds,
      const std::function<void(const std::string&)>& progress) override {
    if (!farm.node_answers) return fail(ECONNREFUSED, "connect to panald");
    farm.requests.push_back(request);
    if (farm.node_refuses.code != 0) return tl::make_unexpected(farm.node_refuses);
    if (request.value("op", "") == "trial") return try_version(c, request, progress);
    return farm.node_answer;
  }
  Result<netpolicy::UplinkWords> uplink(const config::Config&) override { return farm.uplink; }
  /// As panald does: what came of it is kept with the version.
  Result<nlohmann::json> try_version(const config::Config& c, const nlohmann::json& request,
                                     const std::function<void(const std::string&)>& progress) {
    const std::string image = request.value("image", "");
    const std::string version = request.value("version", "");
    ++farm.trials;
    if (!disk.has(image, version))
      return fail(ENOENT, "image " + image + " has no version " + version);
    if (progress) progress("starting a throw-away desktop");
    storage::TrialRecord record;
    for (const auto& copy : disk.copies)
      if (copy.image == image && copy.version == version) record.commit = copy.commit;
    record.began_unix_s = 1'795'737'600;
    record.took_ms = 3400;
    record.good = !farm.do_not_start.contains(version);
    if (!record.good) record.reason = "its session ended: no such program\x1b[31m";
    record.windows = 2;
    std::filesystem::create_directories(c.images_dir + "/" + image + "/" + version);
    PANAL_TRY(storage::write_trial(c.images_dir, image, version, record, "PNG"));
    record.pictured = true;
    return nlohmann::json{{"ok", true},
                          {"good", record.good},
                          {"kept", true},
                          {"record", storage::print_trial(record)}};
  }
  Result<MachinePlaces> machine() override {
    PANAL_ASSIGN(Tree tree, Tree::open_below(machine_root));
    return MachinePlaces{std::move(tree), machine_root + "/saved", machine_root + "/lock",
                         privileged, refusal};
  }
  Result<std::unique_ptr<LocalImages>> images(const config::Config&) override {
    return std::make_unique<FakeLocalImages>(disk);
  }
  Result<std::unique_ptr<ImageTransfer>> transfer(const config::Config&) override {
    return std::make_unique<FakeImageTransfer>(disk);
  }
  FakeFarm farm;
  FakeDisk disk;
  std::string machine_root = PANAL_SOURCE_DIR "/tests/fixtures/hybrid-6.18";
  bool privileged = false;
  std::string refusal;  ///< as in a lab
};

}  // namespace panal::cli
