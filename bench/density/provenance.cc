#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "bench/density/command.h"
#include "bench/density/stored.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "engine/kernel/meminfo.h"

namespace panal::bench {
namespace {

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::string processor() {
  std::ifstream file(std::string(kernel_paths::kProc) + "/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

}  // namespace

Result<Trees> current_trees(const std::string& source, const std::vector<std::string>& paths) {
  Trees out;
  for (const auto& path : paths) {
    PANAL_ASSIGN(auto tree, output_of({"git", "-C", source, "rev-parse", "HEAD:" + path}));
    PANAL_ASSIGN(const auto changes,
                 output_of({"git", "-C", source, "status", "--porcelain", "--", path}));
    out[path] = trimmed(std::move(tree)) + (changes.empty() ? "" : " uncommitted");
  }
  return out;
}

void note_parts(const std::string& source, const std::vector<std::string>& paths, Stored& stored) {
  Provenance& then = stored.provenance;
  const bool name = !then.commit.empty() &&
                    then.commit.find_first_not_of("0123456789abcdef") == std::string::npos;
  for (const auto& path : paths) {
    if (!name || then.trees.contains(path)) continue;
    const bool part = std::any_of(then.trees.begin(), then.trees.end(), [&](const auto& one) {
      return path.starts_with(one.first + "/") && !one.second.ends_with("uncommitted");
    });
    if (!part) continue;
    // A clone without that commit does not know; then it is to be measured again.
    if (auto tree = output_of({"git", "-C", source, "rev-parse", then.commit + ":" + path}))
      then.trees[path] = trimmed(std::move(*tree));
  }
}

Result<Provenance> provenance_now(const std::string& source, const std::vector<std::string>& paths,
                                  const std::string& command) {
  Provenance out;
  out.command = command;
  PANAL_ASSIGN(out.trees, current_trees(source, paths));
  for (const auto& [path, tree] : out.trees)
    out.uncommitted = out.uncommitted || tree.ends_with("uncommitted");
  PANAL_ASSIGN(out.commit, output_of({"git", "-C", source, "rev-parse", "HEAD"}));
  out.commit = trimmed(std::move(out.commit));
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  out.date = text;
  utsname system{};
  ::uname(&system);
  out.kernel = system.release;
  PANAL_ASSIGN(const auto tree, Tree::open_system());
  PANAL_ASSIGN(const auto memory, kernel::read_meminfo(tree));
  char machine[256];
  std::snprintf(machine, sizeof machine, "%s, %ld cores, %.0f GiB", processor().c_str(),
                ::sysconf(_SC_NPROCESSORS_ONLN),
                static_cast<double>(memory.total) / (1024.0 * 1024 * 1024));
  out.machine = machine;
  double load[1] = {0};
  if (::getloadavg(load, 1) == 1) out.load_before = load[0];
  return out;
}

Result<void> check_result_file(const std::string& file) {
  if (file.empty()) return {};
  const auto whole = std::filesystem::absolute(file).lexically_normal();
  if (whole.string().starts_with("/tmp/"))
    return fail(EINVAL, "a lab does not see the host's /tmp: put " + file + " elsewhere");
  const std::string directory = whole.parent_path().string();
  if (::access(directory.c_str(), W_OK) == 0) return {};
  const int code = errno;
  return fail(code, fmt::format("the result could not be written to {} ({}): name another place",
                                directory, std::generic_category().message(code)));
}

Result<void> write_file(const std::string& path, const std::string& text) {
  const std::string aside = path + ".new";
  {
    std::ofstream file(aside, std::ios::trunc);
    file << text;
    file.close();
    if (!file) return fail(EIO, "write " + aside);
  }
  if (::rename(aside.c_str(), path.c_str()) != 0) return fail_errno("write", path);
  return {};
}

Result<Stored> load_stored(const std::string& source, const std::string& name) {
  const std::string path = source + "/bench/results/" + name + ".json";
  std::ifstream file(path);
  if (!file) return fail(ENOENT, "no result is stored in " + path);
  std::stringstream text;
  text << file.rdbuf();
  return parse_stored(text.str(), path);
}

Result<void> save_stored(const std::string& source, const Figure& figure, const Stored& stored) {
  return write_file(source + "/bench/results/" + figure.name + ".json",
                    print_stored(figure, stored));
}

}  // namespace panal::bench
