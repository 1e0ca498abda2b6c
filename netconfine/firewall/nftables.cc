#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <algorithm>

#include "netconfine/firewall/firewall.h"
#include "netconfine/firewall/nft_messages.h"
#include "netconfine/firewall/ruleset.h"

namespace panal::netconfine {
namespace {

class Nftables : public Firewall {
 public:
  explicit Nftables(NetlinkSocket socket) : socket_(std::move(socket)) {}

  Result<void> load(const std::vector<Addresses>& senders) override {
    PANAL_ASSIGN(auto messages, ruleset(senders));
    return socket_.transact(as_batch(std::move(messages)));
  }

  Result<void> add(const Addresses& sender) override {
    std::vector<Message> messages;
    PANAL_TRY(append_elements(messages, NFT_MSG_NEWSETELEM, {sender}));
    return socket_.transact(as_batch(std::move(messages)));
  }

  Result<void> remove(const Addresses& sender) override {
    std::vector<Message> messages;
    PANAL_TRY(append_elements(messages, NFT_MSG_DELSETELEM, {sender}));
    PANAL_ASSIGN(const auto refusals, socket_.try_transact(as_batch(messages)));
    if (refusals.empty()) return {};
    // A batch is all or nothing: where one element is missing, try each alone.
    for (Message& message : messages) {
      std::vector<Message> alone;
      alone.push_back(std::move(message));
      const auto removed = socket_.transact(as_batch(std::move(alone)));
      if (!removed && !removed.error().is_gone()) return removed;
    }
    return {};
  }

  Result<std::vector<std::string>> links() override {
    std::vector<std::string> names;
    for (const char* set : {kSenders4, kSenders6}) {
      PANAL_ASSIGN(auto question, list_elements(NFPROTO_INET, set));
      PANAL_TRY(repeat(question, [&](const nlmsghdr* message) {
        for (const NftKey& key : parse_elements(message)) names.push_back(link_of_key(key));
      }));
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }

  Result<std::vector<DropCounter>> drops() override {
    std::vector<DropCounter> counters;
    for (const std::uint32_t family : {NFPROTO_INET, NFPROTO_ARP}) {
      Result<void> parsed;
      PANAL_ASSIGN(auto question, list_counters(family));
      const auto before = counters.size();
      PANAL_TRY(repeat(
          question,
          [&](const nlmsghdr* message) {
            auto counter = parse_counter(message);
            if (counter) {
              counters.push_back(std::move(*counter));
            } else if (parsed) {
              parsed = tl::make_unexpected(std::move(counter.error()));
            }
          },
          [&] { counters.resize(before); }));
      PANAL_TRY(parsed);
    }
    return counters;
  }

 private:
  // A dump that a concurrent change disturbed is asked for again.
  Result<void> repeat(
      const Message& question, const std::function<void(const nlmsghdr*)>& each,
      const std::function<void()>& again = [] {}) {
    constexpr int kAttempts = 10;
    for (int attempt = 1;; ++attempt) {
      auto done = socket_.query(question, each);
      if (done || done.error().code != EINTR || attempt == kAttempts) return done;
      again();
    }
  }

  NetlinkSocket socket_;
};

}  // namespace

Result<std::unique_ptr<Firewall>> open_nftables() {
  PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_NETFILTER));
  return std::make_unique<Nftables>(std::move(socket));
}

}  // namespace panal::netconfine
