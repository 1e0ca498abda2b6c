#include "netconfine/firewall/nft/kernel_state.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "netconfine/firewall/nft/events.h"

namespace panal::netconfine {
namespace {

// A listing that a change has disturbed is asked for again.
constexpr int kAttempts = 10;

}  // namespace

Result<NftKernel> NftKernel::open() {
  PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_NETFILTER));
  PANAL_ASSIGN(auto events, open_nft_events());
  return NftKernel(std::move(socket), std::move(events));
}

Result<void> NftKernel::list(const Message& question,
                             const std::function<void(const nlmsghdr*)>& each) {
  return socket_.query(question, each);
}

Result<std::uint32_t> NftKernel::generation() {
  std::uint32_t generation = 0;
  PANAL_TRY(list(ask_generation(),
                 [&](const nlmsghdr* message) { generation = parse_generation(message); }));
  if (generation == 0) return fail(EPROTO, "nftables: a generation without its number");
  return generation;
}

Result<NftSnapshot> NftKernel::snapshot(std::uint32_t* generation_out) {
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    NftSnapshot snapshot;
    PANAL_ASSIGN(const auto before, generation());
    Result<void> read;
    for (const int type :
         {NFT_MSG_GETTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETSET, NFT_MSG_GETOBJ, NFT_MSG_GETRULE}) {
      const auto listed = list(list_all(type), [&](const nlmsghdr* message) {
        auto added = add_to_snapshot(message, snapshot);
        if (!added && read) read = std::move(added);
      });
      if (!listed && read) read = listed;
    }
    for (const auto& set : static_sets(snapshot)) {
      if (!read) break;
      auto listed = elements(set);
      if (listed) {
        snapshot.elements[set].insert(listed->begin(), listed->end());
      } else {
        read = tl::make_unexpected(std::move(listed.error()));
      }
    }
    PANAL_ASSIGN(const auto after, generation());
    if (before != after) continue;
    if (!read && read.error().code == EINTR) continue;
    if (!read) return tl::make_unexpected(std::move(read.error()));
    if (generation_out != nullptr) *generation_out = after;
    return snapshot;
  }
  return fail(EAGAIN, "nftables: the rules change faster than they can be read");
}

Result<std::vector<NftElement>> NftKernel::elements(const NftSetId& set) {
  PANAL_ASSIGN(const auto question, list_elements(set.family, set.name));
  for (int attempt = 1;; ++attempt) {
    std::vector<NftElement> all;
    auto listed = list(question, [&](const nlmsghdr* message) {
      auto some = parse_elements(message);
      std::move(some.begin(), some.end(), std::back_inserter(all));
    });
    if (listed) return all;
    if (listed.error().code != EINTR || attempt == kAttempts) {
      return tl::make_unexpected(std::move(listed.error()));
    }
  }
}

Result<std::vector<DropCounter>> NftKernel::counters(std::uint32_t family) {
  PANAL_ASSIGN(const auto question, list_counters(family));
  for (int attempt = 1;; ++attempt) {
    std::vector<DropCounter> counters;
    Result<void> parsed;
    auto listed = list(question, [&](const nlmsghdr* message) {
      auto counter = parse_counter(message);
      if (counter) {
        counters.push_back(std::move(*counter));
      } else if (parsed) {
        parsed = tl::make_unexpected(std::move(counter.error()));
      }
    });
    if (listed) {
      PANAL_TRY(parsed);
      return counters;
    }
    if (listed.error().code != EINTR || attempt == kAttempts) {
      return tl::make_unexpected(std::move(listed.error()));
    }
  }
}

Result<void> NftKernel::commit(std::vector<Message> messages, std::uint32_t generation) {
  return socket_.transact(as_batch(std::move(messages), generation));
}

void NftKernel::forget_changes() { forget_nft_events(events_.get()); }

}  // namespace panal::netconfine
