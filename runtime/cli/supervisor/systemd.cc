#include "runtime/cli/supervisor/systemd.h"

#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "runtime/config/config.h"
#include "runtime/store/child.h"

namespace panal::supervisor {
namespace {

constexpr const char* kUnit = "panal.service";
constexpr const char* kDesktopsUnit = "panal-desktops.service";

Result<void> systemctl(const SystemdSite& site, std::vector<std::string> words) {
  store::ServerProgram program;
  program.argv = std::move(words);
  program.argv.insert(program.argv.begin(), site.systemctl);
  program.environment = {"LC_ALL=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  program.uid = ::geteuid();
  program.directory = "/";
  return store::run_to_end(program);
}

}  // namespace

bool systemd_keeps(const std::string& config_file, const SystemdSite& site) {
  if (::access(site.booted.c_str(), F_OK) != 0) return false;
  const char* environment = std::getenv("PANAL_CONFIG");
  const std::string file =
      !config_file.empty() || environment == nullptr ? config_file : std::string(environment);
  return file.empty() || file == config::kDefaultConfigFile;
}

Result<void> start_unit(const SystemdSite& site) {
  if (!systemctl(site, {"cat", kUnit})) {
    const std::string units =
        site.units.empty() ? config::program_dir() + "/../systemd" : site.units;
    PANAL_TRY(
        systemctl(site, {"link", "--runtime", units + "/" + kDesktopsUnit, units + "/" + kUnit}));
  }
  return systemctl(site, {"start", kUnit});
}

}  // namespace panal::supervisor
