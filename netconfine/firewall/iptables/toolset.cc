#include "netconfine/firewall/iptables/toolset.h"

#include <fmt/format.h>

#include <array>

namespace panal::netconfine {
namespace {

// Older programs, which do not know of a lock file of one's own, wait for the machine's.
constexpr const char* kWaitSeconds = "5";

struct Names {
  const char* restore4;
  const char* save4;
  const char* restore6;
  const char* save6;
};

Names names_of(IptablesVariant variant) {
  switch (variant) {
    case IptablesVariant::kLegacy:
      return {"iptables-legacy-restore", "iptables-legacy-save", "ip6tables-legacy-restore",
              "ip6tables-legacy-save"};
    case IptablesVariant::kNft:
      return {"iptables-nft-restore", "iptables-nft-save", "ip6tables-nft-restore",
              "ip6tables-nft-save"};
    case IptablesVariant::kSystem: break;
  }
  return {"iptables-restore", "iptables-save", "ip6tables-restore", "ip6tables-save"};
}

Result<std::string> needed(const char* name) {
  auto path = find_program(name);
  if (path) return path;
  return fail(EPROTONOSUPPORT,
              path.error().context + "; install iptables, or say backend = \"nftables\"");
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

IptablesVariant variant_of_version(std::string_view version) {
  return version.find("(nf_tables)") != std::string_view::npos ? IptablesVariant::kNft
                                                               : IptablesVariant::kLegacy;
}

Result<Toolset> Toolset::find(IptablesVariant variant) {
  const Names names = names_of(variant);
  Toolset tools;
  PANAL_ASSIGN(tools.ipv4_.restore, needed(names.restore4));
  PANAL_ASSIGN(tools.ipv4_.save, needed(names.save4));
  PANAL_ASSIGN(tools.ipv6_.restore, needed(names.restore6));
  PANAL_ASSIGN(tools.ipv6_.save, needed(names.save6));
  PANAL_ASSIGN(std::string version, output_of({tools.ipv4_.restore, {"--version"}}));
  tools.version_ = trimmed(std::move(version));
  tools.variant_ = variant_of_version(tools.version_);
  return tools;
}

Result<SavedTables> Toolset::save(IpFamily family) const {
  const Program program{of(family).save, {"-c"}};
  PANAL_ASSIGN(const std::string text, output_of(program));
  return parse_saved(text);
}

Result<void> Toolset::restore(IpFamily family, std::vector<std::string> arguments,
                              const std::string& text) const {
  const auto done = output_of({of(family).restore, std::move(arguments)}, text);
  if (!done) return tl::make_unexpected(done.error());
  return {};
}

Result<void> Toolset::replace(IpFamily family, const std::string& text) const {
  return restore(family, {"-w", kWaitSeconds}, text);
}

Result<void> Toolset::change(IpFamily family, const std::string& text) const {
  if (text.empty()) return {};
  return restore(family, {"-w", kWaitSeconds, "-n"}, text);
}

std::string arp_text(const std::string& uplink) {
  std::string text = "*filter\n:INPUT DROP [0:0]\n:OUTPUT DROP [0:0]\n";
  if (!uplink.empty())
    text += fmt::format("-A INPUT -j ACCEPT -i {0}\n-A OUTPUT -j ACCEPT -o {0}\n", uplink);
  return text + "COMMIT\n";
}

ArpWall ArpWall::find() {
  ArpWall wall;
  auto restore = find_program("arptables-nft-restore");
  auto save = find_program("arptables-nft-save");
  if (restore && save) {
    wall.restore_ = std::move(*restore);
    wall.save_ = std::move(*save);
  }
  return wall;
}

Result<void> ArpWall::load(const std::string& uplink) {
  if (restore_.empty()) return {};
  const auto done = output_of({restore_, {}}, arp_text(uplink));
  if (done) return {};
  if (done.error().code != EPROTONOSUPPORT) return tl::make_unexpected(done.error());
  restore_.clear();  // a kernel without nftables
  return {};
}

Result<void> ArpWall::empty() {
  if (restore_.empty()) return {};
  const auto done =
      output_of({restore_, {}}, "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n");
  if (!done && done.error().code != EPROTONOSUPPORT) return tl::make_unexpected(done.error());
  return {};
}

Result<std::vector<Drift>> ArpWall::audit(const std::string& uplink) const {
  if (restore_.empty()) return std::vector<Drift>{};
  // It leaves out the line that ends a table.
  PANAL_ASSIGN(std::string text, output_of({save_, {}}));
  PANAL_ASSIGN(const auto found, parse_saved(text + "COMMIT\n"));
  PANAL_ASSIGN(const auto meant, parse_saved(arp_text(uplink)));
  return compare_tables("arp", meant.tables, found.tables);
}

}  // namespace panal::netconfine
