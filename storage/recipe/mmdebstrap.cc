#include "storage/recipe/mmdebstrap.h"

#include <algorithm>
#include <charconv>

namespace panal::storage::mmdebstrap {
namespace {

constexpr const char* kKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

std::string join(const std::vector<std::string>& items, std::string_view between) {
  std::string all;
  for (const auto& item : items) {
    if (!all.empty()) all += between;
    all += item;
  }
  return all;
}

bool needs_generating(const std::string& locale) { return locale != "C.UTF-8"; }

/// What every image can do without, whatever its recipe: jobs nobody runs, logs, caches that are
/// made again, and machine identities that must not be shared.
constexpr const char* kRemoved =
    "/etc/cron.d/* /etc/cron.hourly/* /etc/cron.daily/* /etc/cron.weekly/* /etc/cron.monthly/* "
    "/etc/systemd/system/timers.target.wants /etc/systemd/system/multi-user.target.wants "
    "/lib/systemd/system/*.timer /usr/lib/systemd/user/*.timer "
    "/etc/apt/apt.conf.d/99mmdebstrap /etc/init.d/* /etc/rc?.d /etc/logrotate.d/* "
    "/var/log/* /var/cache/debconf/*-old /var/cache/man /var/cache/apt/*.bin /var/backups/* "
    "/var/lib/dbus/machine-id /var/lib/dpkg/*-old /var/lib/systemd "
    "/usr/share/man /usr/share/info /usr/share/doc-base /usr/share/lintian /usr/share/bug";

constexpr std::size_t kMostPackages = 100'000;
constexpr std::size_t kLongestWord = 128;

bool consists_of(std::string_view word, std::string_view marks, bool capitals) {
  return !word.empty() && word.size() <= kLongestWord &&
         std::all_of(word.begin(), word.end(), [marks, capitals](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  (capitals && c >= 'A' && c <= 'Z') || marks.find(c) != std::string_view::npos;
         });
}

bool is_package_name(std::string_view word) { return consists_of(word, "+-.", false); }
bool is_package_version(std::string_view word) { return consists_of(word, "+-.:~", true); }

}  // namespace

std::vector<std::string> packages(const Recipe& recipe) {
  std::vector<std::string> all = recipe.packages;
  if (std::any_of(recipe.locales.begin(), recipe.locales.end(), needs_generating))
    all.emplace_back("locales");
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::vector<std::string> arguments(const Recipe& recipe, const Sources& sources) {
  const std::string signed_by = std::string("deb [signed-by=") + kKeyring + "] ";
  std::vector<std::string> all = {
      "mmdebstrap",
      "--verbose",
      // In a user namespace with uid 0 this mode makes mounts, but no device nodes.
      "--mode=unshare",
      "--variant=apt",
      "--format=directory",
      "--include=" + join(packages(recipe), ","),
      "--aptopt=APT::Install-Recommends \"false\"",
      "--aptopt=APT::Install-Suggests \"false\"",
      "--aptopt=APT::Keep-Downloaded-Packages \"true\"",
      "--aptopt=Acquire::Languages \"none\"",
      "--aptopt=Acquire::Retries \"3\"",
      "--dpkgopt=path-exclude=/usr/share/man/*",
      "--dpkgopt=path-exclude=/usr/share/info/*",
      "--dpkgopt=path-exclude=/usr/share/doc/*",
      "--dpkgopt=path-include=/usr/share/doc/*/copyright",
      "--dpkgopt=path-exclude=/usr/share/lintian/*",
      "--dpkgopt=path-exclude=/usr/share/locale/*",
      "--dpkgopt=path-include=/usr/share/locale/locale.alias",
      // Nothing is written to disk for good before the image is committed with one sync.
      "--dpkgopt=force-unsafe-io",
      // The directory of downloaded packages is the cache that outlives the build: it is mounted
      // there before (so the tree is not empty), and nothing in it is deleted.
      "--skip=check/empty,essential/unlink,cleanup/apt/cache",
      std::string("--customize-hook=sh ") + kInputDir + "/" + kScript + " \"$1\"",
  };
  // Messages in the recipe's languages only: "es_ES.UTF-8" -> es, es_ES.
  for (const auto& locale : recipe.locales) {
    const std::string territory = locale.substr(0, locale.find_first_of(".@"));
    const std::string language = territory.substr(0, territory.find('_'));
    for (const auto& name : {language, territory})
      all.push_back("--dpkgopt=path-include=/usr/share/locale/" + name + "/*");
  }
  if (!sources.proxy.empty())
    all.push_back("--aptopt=Acquire::http::Proxy \"" + sources.proxy + "\"");
  const std::vector<std::string> operands = {
      recipe.suite,
      kRootDir,
      signed_by + sources.mirror + " " + recipe.suite + " main",
      signed_by + sources.mirror + " " + recipe.suite + "-updates main",
      signed_by + sources.security_mirror + " " + recipe.suite + "-security main",
  };
  all.insert(all.end(), operands.begin(), operands.end());
  return all;
}

std::string finalise_script(const Recipe& recipe) {
  std::string script =
      "set -eu\n"
      "root=$1\n"
      "umask 022\n"
      "cp -R --remove-destination --no-preserve=ownership,timestamps ";
  script += std::string(kInputDir) + "/" + kFilesDir + "/. \"$root/\"\n";
  script += "chroot \"$root\" sh -eu <<'PANAL_END'\n";
  std::string generated;
  for (const auto& locale : recipe.locales)
    if (needs_generating(locale)) generated += " '" + locale + " UTF-8'";
  if (!generated.empty())
    script += "printf '%s\\n'" + generated + " >/etc/locale.gen\nlocale-gen\n";
  script += "echo 'LANG=" + recipe.locale + "' >/etc/default/locale\n";
  script += std::string("rm -rf -- ") + kRemoved + "\n";
  for (const auto& glob : recipe.remove) script += "rm -rf -- " + glob + "\n";
  script +=
      // Packages that come after fontconfig touch directories of fonts, which makes its cache of
      // them stale: each user's first program would then read all fonts and keep a cache of its
      // own in the home.
      "if command -v fc-cache >/dev/null; then fc-cache -s; fi\n"
      // In an image all files have the time 0, so compiled Python that remembers the time of its
      // source would be stale, and compiled again at every start by whoever may not write it.
      "if command -v python3 >/dev/null; then\n"
      "  find / -xdev -name __pycache__ -printf '%h\\0' | sort -zu |\n"
      "    xargs -0r python3 -m compileall -q -l -f --invalidation-mode unchecked-hash || true\n"
      "fi\n"
      // Empty, not absent: D-Bus and others then treat the machine as not yet named.
      ": >/etc/machine-id\n"
      ": >/etc/resolv.conf\n"
      "echo desktop >/etc/hostname\n"
      "printf '127.0.0.1 localhost\\n::1 localhost\\n' >/etc/hosts\n"
      // Mount points that every desktop has: made here, no desktop's upper needs to hold them.
      "mkdir -p /.panal /home /run /tmp\n"
      ": >/.panal/panal-agent\n"
      "chmod 755 /.panal /.panal/panal-agent\n"
      "PANAL_END\n";
  return script;
}

bool Progress::step(double begin, double end, unsigned done, unsigned total, std::string what) {
  const double part = total == 0 ? 0.0 : std::min(1.0, static_cast<double>(done) / total);
  fraction_ = std::max(fraction_, begin + (end - begin) * part);
  what_ = std::move(what);
  return true;
}

bool Progress::feed(std::string_view line) {
  const auto begins = [&line](std::string_view prefix) {
    return line.substr(0, prefix.size()) == prefix;
  };
  const auto word = [&line](std::size_t from) {
    const auto rest = line.substr(std::min(from, line.size()));
    return std::string(rest.substr(0, rest.find_first_of(" :")));
  };
  if (begins("I: running apt-get update")) return step(0, 0, 0, 0, "reading package lists");
  if (const auto at = line.find(" upgraded, "); at != std::string_view::npos) {
    const auto number = line.substr(at + 11);
    unsigned count = 0;
    std::from_chars(number.data(), number.data() + number.size(), count);
    if (count == 0) return false;
    ++round_;
    total_ = count;
    fetched_ = unpacked_ = configured_ = 0;
    return step(0.02, 0.02, 0, 0, "downloading " + std::to_string(count) + " packages");
  }
  const bool first = round_ <= 1;
  if (begins("Get:") && round_ > 0)
    return step(first ? 0.02 : 0.20, first ? 0.08 : 0.45, ++fetched_, total_,
                "downloading packages");
  if (begins("I: extracting archives")) return step(0.08, 0.08, 0, 0, "extracting the base system");
  if (begins("I: installing essential"))
    return step(0.10, 0.10, 0, 0, "installing the base system");
  if (begins("Unpacking "))
    return step(first ? 0.10 : 0.45, first ? 0.14 : 0.75, ++unpacked_, total_,
                "unpacking " + word(10));
  if (begins("Setting up "))
    return step(first ? 0.14 : 0.75, first ? 0.20 : 0.93, ++configured_, total_,
                "setting up " + word(11));
  if (begins("Generating locales")) return step(0.93, 0.93, 0, 0, "generating locales");
  if (begins("Generation complete")) return step(0.97, 0.97, 0, 0, "cleaning up");
  if (begins("I: cleaning package lists")) return step(0.98, 0.98, 0, 0, "cleaning up");
  return false;
}

std::vector<std::pair<std::string, std::string>> parse_dpkg_status(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> found;
  std::string name;
  std::string version;
  bool installed = false;
  const auto flush = [&] {
    if (installed && found.size() < kMostPackages && is_package_name(name) &&
        is_package_version(version))
      found.emplace_back(name, version);
    name.clear();
    version.clear();
    installed = false;
  };
  const auto field = [](std::string_view line, std::string_view key) {
    return line.substr(0, key.size()) == key;
  };
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) flush();
    if (field(line, "Package: ")) name = line.substr(9);
    if (field(line, "Version: ")) version = line.substr(9);
    if (field(line, "Status: ")) installed = line == "Status: install ok installed";
  }
  flush();
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace panal::storage::mmdebstrap
