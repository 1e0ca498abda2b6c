#include "netconfine/qos/qos.h"

#include <linux/netlink.h>

#include <array>
#include <iterator>
#include <map>
#include <set>
#include <vector>

#include "netconfine/bridge/shard.h"
#include "netconfine/qos/shaper.h"

namespace panal::netconfine {
namespace {

class Trees : public Qos {
 public:
  Trees(NetlinkSocket socket, const LineLimits& line)
      : socket_(std::move(socket)),
        line_(line),
        shapers_{Shaper(Direction::kSend, line), Shaper(Direction::kReceive, line)} {}

  Result<void> make() {
    for (Shaper& shaper : shapers_) PANAL_TRY(shaper.ensure(socket_));
    PANAL_ASSIGN(queue_, shapers_[0].choose_queue(socket_));
    for (Shaper& shaper : shapers_) {
      shaper.set_queue(queue_);
      PANAL_TRY(carry_out(socket_, shaper.base_steps()));
    }
    return {};
  }

  Result<void> load(std::span<const ShapedDesktop> desktops) override {
    std::array<ShapePlan, 2> plans{ShapePlan(Direction::kSend, line_),
                                   ShapePlan(Direction::kReceive, line_)};
    std::map<std::string, ShapedDesktop> meant;
    for (const auto& desktop : desktops) {
      for (ShapePlan& plan : plans) {
        auto put = plan.put(desktop);
        if (!put) return tl::make_unexpected(std::move(put.error()));
      }
      meant[desktop.addresses.link] = desktop;
    }
    for (std::size_t i = 0; i < plans.size(); ++i) shapers_[i].plan() = std::move(plans[i]);
    meant_ = std::move(meant);
    auto repaired = repair();
    if (!repaired) return tl::make_unexpected(std::move(repaired.error()));
    return {};
  }

  Result<void> put(std::span<const ShapedDesktop> desktops) override {
    std::vector<Former> formers;
    Result<void> done;
    for (const auto& desktop : desktops) {
      formers.push_back(remember(desktop.addresses));
      done = put_one(desktop);
      if (!done) break;
    }
    if (done) return done;
    for (auto former = formers.rbegin(); former != formers.rend(); ++former) {
      // Best effort: what cannot be undone is found by the next audit.
      if (former->desktop) {
        (void)put_one(*former->desktop);
      } else {
        (void)remove(std::span(&former->addresses, 1));
      }
    }
    return done;
  }

  Result<void> remove(std::span<const Addresses> desktops) override {
    std::vector<Step> steps;
    for (const auto& addresses : desktops) {
      for (Shaper& shaper : shapers_) {
        auto more = shaper.steps(shaper.plan().remove(addresses));
        std::move(more.begin(), more.end(), std::back_inserter(steps));
      }
      meant_.erase(addresses.link);
    }
    return carry_out(socket_, std::move(steps));
  }

  Result<std::vector<ShapeUse>> use() override {
    std::map<Minor, std::string> names;
    for (const auto& [link, desktop] : meant_) {
      if (const auto minor = desktop_minor(desktop.addresses)) names[*minor] = link;
    }
    std::vector<ShapeUse> uses;
    for (Shaper& shaper : shapers_) {
      PANAL_ASSIGN(const auto classes, shaper.classes(socket_));
      for (const auto& found : classes) {
        const auto name = names.find(found.shape.minor);
        if (name == names.end()) continue;
        uses.push_back({name->second, shaper.plan().direction(), found.bytes, found.packets,
                        found.dropped, found.waiting_bytes});
      }
    }
    return uses;
  }

  Result<std::vector<Drift>> audit() override {
    Difference difference;
    for (Shaper& shaper : shapers_) {
      const auto link = find_link(socket_, shaper.name());
      if (link && link->index == shaper.index() && link->up) continue;
      if (!link && !link.error().is_gone()) return tl::make_unexpected(link.error());
      // Without it nothing below it can be asked.
      difference.drifts.push_back(
          {std::string("link ") + shaper.name(), link ? "is another, or down" : "is missing"});
    }
    if (difference.drifts.empty()) PANAL_TRY(compare(difference));
    return std::move(difference.drifts);
  }

  Result<std::vector<Drift>> repair() override {
    Difference difference;
    for (Shaper& shaper : shapers_) {
      PANAL_ASSIGN(const bool made, shaper.ensure(socket_));
      if (made) difference.drifts.push_back({std::string("link ") + shaper.name(), "was missing"});
    }
    PANAL_TRY(compare(difference));
    PANAL_TRY(carry_out(socket_, std::move(difference.steps)));
    return std::move(difference.drifts);
  }

  [[nodiscard]] bool fair_queues() const override { return queue_ == LeafQueue::kFqCodel; }

 private:
  struct Former {
    Addresses addresses;
    std::optional<ShapedDesktop> desktop;  ///< none: it was not there
  };

  Former remember(const Addresses& addresses) const {
    const auto was = meant_.find(addresses.link);
    return {addresses, was != meant_.end() ? std::optional(was->second) : std::nullopt};
  }

  // All of a desktop's that are there, its routed link first.
  Result<std::vector<int>> links_of(const ShapedDesktop& desktop) {
    PANAL_ASSIGN(const auto routed, find_link(socket_, desktop.addresses.link));
    std::vector<int> links = {routed.index};
    if (!desktop.bridged) return links;
    const auto port = find_link(socket_, member_name(id_of_link(desktop.addresses.link)));
    if (port) links.push_back(port->index);
    if (!port && !port.error().is_gone()) return tl::make_unexpected(port.error());
    return links;
  }

  Result<void> put_one(const ShapedDesktop& desktop) {
    PANAL_ASSIGN(const auto links, links_of(desktop));
    meant_[desktop.addresses.link] = desktop;
    std::vector<Step> steps;
    for (Shaper& shaper : shapers_) {
      PANAL_ASSIGN(const auto changes, shaper.plan().put(desktop));
      std::vector<Step> redirect;
      for (const int link : links) {
        auto one = shaper.redirect_steps(link, desktop.addresses);
        std::move(one.begin(), one.end(), std::back_inserter(redirect));
      }
      auto classes = shaper.steps(changes);
      // No packet comes to a class before it is there, nor after it is gone.
      const bool shapes = shaper.plan().shapes(desktop.addresses);
      auto& first = shapes ? classes : redirect;
      auto& second = shapes ? redirect : classes;
      std::move(first.begin(), first.end(), std::back_inserter(steps));
      std::move(second.begin(), second.end(), std::back_inserter(steps));
    }
    return carry_out(socket_, std::move(steps));
  }

  Result<void> compare(Difference& difference) {
    PANAL_ASSIGN(const auto qdiscs, all_qdiscs(socket_));
    std::set<int> with_clsact;
    for (const auto& qdisc : qdiscs) {
      if (qdisc.kind == "clsact") with_clsact.insert(qdisc.index);
    }
    for (Shaper& shaper : shapers_) PANAL_TRY(shaper.compare(socket_, qdiscs, difference));
    PANAL_ASSIGN(const auto links, all_links(socket_));
    for (const auto& link : links) {
      const DesktopId port_of = id_of_member(link.name);
      if (id_of_link(link.name) == 0 && port_of == 0) continue;
      const auto meant = meant_.find(port_of == 0 ? link.name : link_name(port_of));
      const Addresses* addresses = meant != meant_.end() ? &meant->second.addresses : nullptr;
      for (Shaper& shaper : shapers_) {
        PANAL_TRY(shaper.compare_link(socket_, link, with_clsact.contains(link.index), addresses,
                                      difference));
      }
    }
    return {};
  }

  NetlinkSocket socket_;
  LineLimits line_;
  std::array<Shaper, 2> shapers_;
  std::map<std::string, ShapedDesktop> meant_;  ///< by link
  LeafQueue queue_ = LeafQueue::kFifo;
};

}  // namespace

Result<std::unique_ptr<Qos>> Qos::open(const LineLimits& line) {
  PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
  auto trees = std::make_unique<Trees>(std::move(socket), line);
  auto made = trees->make();
  if (!made) return prefixed("shape what desktops send and receive", std::move(made.error()));
  return trees;
}

}  // namespace panal::netconfine
