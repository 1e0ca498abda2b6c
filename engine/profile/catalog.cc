#include "engine/profile/catalog.h"

#include <algorithm>
#include <numeric>

namespace panal::profile {
namespace {

constexpr std::uint64_t kInt = 2'147'483'647;
constexpr std::uint64_t kLong = 9'223'372'036'854'775'807;

constexpr Sysctl kSysctls[] = {
    {"fs.inotify.max_user_instances", 0, kInt, "file managers and buses watch directories"},
    {"fs.inotify.max_user_watches", 0, kInt, "file managers watch directories"},
    {"fs.inotify.max_queued_events", 1, kInt, "events of a busy directory are dropped past it"},
    {"fs.epoll.max_user_watches", 0, kLong, "event loops of programs of one user"},
    {"fs.file-max", 0, kLong, "open files of the whole machine"},
    {"fs.nr_open", 1024, 2'147'483'584, "open files of one process: broker workers hold links"},
    {"fs.aio-max-nr", 0, 4'294'967'295, "asynchronous reads and writes of all programs"},
    {"fs.mount-max", 1, 4'294'967'295, "mounts of all desktops are in one namespace"},
    {"fs.pipe-user-pages-soft", 0, kInt, "pipes of one user past it hold one page each"},
    {"kernel.pid_max", 301, 4'194'304, "a desktop has about 50 processes and threads", true},
    {"kernel.threads-max", 1, 1'073'741'823, "processes and threads of the whole machine"},
    {"kernel.pty.max", 0, 1'048'576, "terminals of all desktops together"},
    {"kernel.pty.reserve", 0, 1'048'576, "terminals kept for the host itself"},
    {"kernel.keys.maxkeys", 0, kInt, "sessions take keyrings"},
    {"kernel.keys.maxbytes", 0, kInt, "sessions take keyrings"},
    {"kernel.keys.root_maxkeys", 0, kInt, "keyrings made for desktops by root"},
    {"kernel.keys.root_maxbytes", 0, kInt, "keyrings made for desktops by root"},
    {"net.ipv4.neigh.default.gc_thresh1", 0, kInt, "static neighbours, one a desktop and end"},
    {"net.ipv4.neigh.default.gc_thresh2", 0, kInt, "static neighbours, one a desktop and end"},
    {"net.ipv4.neigh.default.gc_thresh3", 0, kInt, "static neighbours, one a desktop and end"},
    {"net.ipv6.neigh.default.gc_thresh1", 0, kInt, "static neighbours, one a desktop and end"},
    {"net.ipv6.neigh.default.gc_thresh2", 0, kInt, "static neighbours, one a desktop and end"},
    {"net.ipv6.neigh.default.gc_thresh3", 0, kInt, "static neighbours, one a desktop and end"},
    {"user.max_cgroup_namespaces", 0, kInt, "one a desktop"},
    {"user.max_ipc_namespaces", 0, kInt, "one a desktop"},
    {"user.max_mnt_namespaces", 0, kInt, "one a desktop, and one a browser's sandbox"},
    {"user.max_net_namespaces", 0, kInt, "one a desktop, and one a browser's sandbox"},
    {"user.max_pid_namespaces", 0, kInt, "one a desktop, and one a browser's sandbox"},
    {"user.max_user_namespaces", 0, kInt, "one a desktop, and some a browser's sandbox"},
    {"user.max_uts_namespaces", 0, kInt, "one a desktop"},
    {"vm.max_map_count", 0, kInt, "mappings of one process: browsers have many"},
    {"vm.swappiness", 0, 200, "how readily unused memory of programs goes to zram"},
    {"vm.page-cluster", 0, 31, "pages read at once from swap, as a power of 2: zram seeks nothing"},
    {"vm.vfs_cache_pressure", 0, 10'000, "how readily names of files are forgotten"},
    {"vm.watermark_scale_factor", 1, 3000, "how early the kernel begins to free memory"},
    {"vm.min_free_kbytes", 1024, 4'194'304, "memory kept free for the kernel itself"},
    {"vm.compaction_proactiveness", 0, 100, "work spent on making large pages in advance"},
};

/// Edits (insert, delete, replace, swap of neighbours) from one word to the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1,
                         last[j - 1] + static_cast<std::size_t>(a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(now);
  }
  return last[b.size()];
}

}  // namespace

std::span<const Sysctl> sysctls() { return kSysctls; }

const Sysctl* find_sysctl(std::string_view name) {
  for (const Sysctl& sysctl : kSysctls)
    if (name == sysctl.name) return &sysctl;
  return nullptr;
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  // Longer words are no typing mistakes, and the work grows with the length.
  if (word.empty() || word.size() > 64) return {};
  std::string best;
  std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t edits = distance(word, candidate);
    if (edits >= least) continue;
    least = edits;
    best = candidate;
  }
  return best;
}

}  // namespace panal::profile
