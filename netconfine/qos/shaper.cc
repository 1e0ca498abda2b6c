#include "netconfine/qos/shaper.h"

#include <fmt/format.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <optional>

#include "netconfine/link/route_messages.h"
#include "netconfine/netlink/dump.h"
#include "netconfine/qos/qos.h"
#include "netconfine/qos/shape_diff.h"

namespace panal::netconfine {
namespace {

constexpr std::uint32_t kTreeHandle = std::uint32_t{kShaperMajor} << 16;

// Asks for a list and parses each message; the first that does not parse is the error.
template <typename T, typename Parse>
Result<std::vector<T>> list(NetlinkSocket& socket, const Message& question, std::uint16_t type,
                            const Parse& parse) {
  std::vector<T> found;
  Result<void> parsed;
  PANAL_TRY(dump(
      socket, question, [&] { found.clear(); },
      [&](const nlmsghdr* message) {
        if (message->nlmsg_type != type) return;
        auto one = parse(payload_of(message));
        if (!one) {
          if (parsed) parsed = tl::make_unexpected(std::move(one.error()));
        } else if (*one) {
          found.push_back(std::move(**one));
        }
      }));
  PANAL_TRY(std::move(parsed));
  return found;
}

Step step(Message message, std::vector<int> fine = {}) {
  return Step{std::move(message), std::move(fine)};
}

std::string class_name(Minor minor) { return fmt::format("class {:x}:{:x}", kShaperMajor, minor); }

}  // namespace

Result<std::vector<FoundQdisc>> all_qdiscs(NetlinkSocket& socket) {
  return list<FoundQdisc>(
      socket, list_qdiscs(), RTM_NEWQDISC,
      [](std::span<const std::byte> payload) -> Result<std::optional<FoundQdisc>> {
        PANAL_ASSIGN(auto found, parse_qdisc(payload));
        return std::optional(std::move(found));
      });
}

Shaper::Shaper(Direction direction, const LineLimits& line) : plan_(direction, line) {}

const char* Shaper::name() const {
  return plan_.direction() == Direction::kSend ? kSendShaper : kReceiveShaper;
}

Result<bool> Shaper::ensure(NetlinkSocket& socket) {
  bool made = false;
  auto link = find_link(socket, name());
  if (!link && link.error().is_gone()) {
    std::vector<Message> messages;
    messages.push_back(add_ifb(name()));
    PANAL_TRY(socket.transact(std::move(messages)));
    link = find_link(socket, name());
    made = true;
  }
  if (!link) return tl::make_unexpected(std::move(link.error()));
  if (link->kind != "ifb") {
    return fail(EEXIST, fmt::format("link {} is a {}, not an ifb: rename or remove it", name(),
                                    link->kind.empty() ? "card" : link->kind));
  }
  index_ = link->index;
  PANAL_ASSIGN(const auto qdiscs, all_qdiscs(socket));
  const bool has_tree = std::any_of(qdiscs.begin(), qdiscs.end(), [&](const FoundQdisc& qdisc) {
    return qdisc.index == index_ && qdisc.handle == kTreeHandle && qdisc.kind == "htb";
  });
  std::vector<Message> messages;
  if (!has_tree) {
    messages.push_back(add_shaper(index_));
    made = true;
  }
  if (!link->up) messages.push_back(link_up(index_));
  if (!messages.empty()) PANAL_TRY(socket.transact(std::move(messages)));
  return made;
}

std::vector<Step> Shaper::base_steps() const {
  std::vector<Step> steps;
  put_steps(plan_.classes().at(kRootMinor), steps);
  put_steps(plan_.classes().at(kStrayMinor), steps);
  // A stranger's filter in its place is for compare() to find.
  steps.push_back(step(add_classifier(index_, plan_.direction()), {EEXIST, EINVAL}));
  return steps;
}

Result<LeafQueue> Shaper::choose_queue(NetlinkSocket& socket) {
  const auto& stray = plan_.classes().at(kStrayMinor);
  std::vector<Step> steps;
  steps.push_back(step(put_class(index_, plan_.classes().at(kRootMinor))));
  steps.push_back(step(put_class(index_, stray)));
  PANAL_TRY(carry_out(socket, std::move(steps)));
  std::vector<Message> attempt;
  attempt.push_back(put_queue(index_, stray, LeafQueue::kFqCodel));
  const auto taken = socket.transact(std::move(attempt));
  if (taken) return LeafQueue::kFqCodel;
  // ENOENT: "Specified qdisc kind is unknown"; EINVAL: the other kind is there since a time when
  // this kernel had no better one, and stays.
  if (taken.error().code != ENOENT && taken.error().code != EINVAL) {
    return tl::make_unexpected(taken.error());
  }
  return LeafQueue::kFifo;
}

void Shaper::put_steps(const ShapeClass& shape, std::vector<Step>& steps) const {
  steps.push_back(step(put_class(index_, shape)));
  if (shape.queue_bytes != 0) steps.push_back(step(put_queue(index_, shape, queue_)));
}

std::vector<Step> Shaper::steps(const ShapePlan::Changes& changes) const {
  std::vector<Step> steps;
  for (const auto& shape : changes.gone) {
    steps.push_back(step(delete_class(index_, shape.minor), {ENOENT}));
  }
  for (const auto& shape : changes.put) put_steps(shape, steps);
  return steps;
}

std::vector<Step> Shaper::redirect_steps(int link, const Addresses& addresses) const {
  std::vector<Step> steps;
  if (plan_.shapes(addresses)) {
    steps.push_back(step(add_clsact(link), {EEXIST}));
    steps.push_back(step(add_redirect(link, plan_.direction(), addresses.mac, index_),
                         {EEXIST, ENOSPC}));  // the node is taken: it is there
  } else {
    steps.push_back(step(delete_redirect(link, plan_.direction()), {ENOENT, EINVAL}));
  }
  return steps;
}

Result<std::vector<FoundClass>> Shaper::classes(NetlinkSocket& socket) const {
  return list<FoundClass>(socket, list_classes(index_), RTM_NEWTCLASS, parse_class);
}

Result<std::vector<FoundFilter>> Shaper::filters(NetlinkSocket& socket, int link,
                                                 std::uint32_t parent) const {
  return list<FoundFilter>(socket, list_filters(link, parent), RTM_NEWTFILTER, parse_filter);
}

Result<void> Shaper::compare(NetlinkSocket& socket, const std::vector<FoundQdisc>& qdiscs,
                             Difference& difference) const {
  const auto drift = [&](const std::string& where, const std::string& what) {
    difference.drifts.push_back({fmt::format("{} on {}", where, name()), what});
  };
  PANAL_ASSIGN(const auto found, classes(socket));
  const auto tree = compare_trees(plan_.classes(), found);
  for (const Minor minor : tree.gone) {
    drift(class_name(minor),
          plan_.classes().contains(minor) ? "has another parent" : "is not ours");
    difference.steps.push_back(step(delete_class(index_, minor), {ENOENT}));
  }
  for (const auto& shape : tree.put) {
    const bool there = std::any_of(found.begin(), found.end(), [&](const FoundClass& one) {
      return one.shape.minor == shape.minor;
    });
    drift(class_name(shape.minor), there ? "has other values" : "is missing");
    put_steps(shape, difference.steps);
  }
  std::map<std::uint32_t, const FoundQdisc*> queues;  // by parent
  for (const auto& qdisc : qdiscs) {
    if (qdisc.index == index_) queues[qdisc.parent] = &qdisc;
  }
  for (const auto& [minor, shape] : plan_.classes()) {
    if (shape.queue_bytes == 0) continue;
    const auto queue = queues.find(kTreeHandle | minor);
    if (queue != queues.end() && same_queue(shape, queue_, *queue->second)) continue;
    const bool with_class =
        std::any_of(tree.put.begin(), tree.put.end(),
                    [&](const ShapeClass& one) { return one.minor == shape.minor; });
    if (with_class) continue;  // its queue comes along
    drift(class_name(minor), "has another queue");
    difference.steps.push_back(step(put_queue(index_, shape, queue_)));
  }
  PANAL_ASSIGN(const auto classifiers, filters(socket, index_, kTreeHandle));
  const auto program = classifier_program(plan_.direction());
  const bool right = classifiers.size() == 1 &&
                     std::equal(program.begin(), program.end(), classifiers[0].program.begin(),
                                classifiers[0].program.end());
  if (!right) {
    drift("the classifier", classifiers.empty() ? "is missing" : "is another");
    if (!classifiers.empty()) {
      difference.steps.push_back(step(delete_filters(index_, kTreeHandle), {ENOENT}));
    }
    difference.steps.push_back(step(add_classifier(index_, plan_.direction())));
  }
  return {};
}

Result<void> Shaper::compare_link(NetlinkSocket& socket, const FoundLink& link, bool has_clsact,
                                  const Addresses* meant, Difference& difference) const {
  const std::uint32_t parent = redirect_parent(plan_.direction());
  std::vector<FoundFilter> found;
  if (has_clsact) {
    auto listed = filters(socket, link.index, parent);
    if (!listed && listed.error().is_gone()) return {};  // the link has just gone
    if (!listed) return tl::make_unexpected(std::move(listed.error()));
    found = std::move(*listed);
  }
  const bool wanted = meant != nullptr && plan_.shapes(*meant);
  if (!wanted && found.empty()) return {};
  if (wanted) {
    const auto matches = redirect_matches(plan_.direction(), meant->mac);
    if (found.size() == 1 && found[0].redirects_to == index_ &&
        std::equal(matches.begin(), matches.end(), found[0].matches.begin(),
                   found[0].matches.end())) {
      return {};
    }
  }
  difference.drifts.push_back(
      {fmt::format("filter {} {}", plan_.direction() == Direction::kSend ? "in" : "out", link.name),
       found.empty() ? "is missing" : (wanted ? "is another" : "is not ours")});
  // A link that goes meanwhile is not an error.
  if (!found.empty()) {
    difference.steps.push_back(step(delete_filters(link.index, parent), {ENOENT, EINVAL, ENODEV}));
  }
  if (wanted) {
    difference.steps.push_back(step(add_clsact(link.index), {EEXIST, ENODEV}));
    difference.steps.push_back(
        step(add_redirect(link.index, plan_.direction(), meant->mac, index_), {ENODEV}));
  }
  return {};
}

}  // namespace panal::netconfine
