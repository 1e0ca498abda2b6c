#include "engine/profile/catalog.h"

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

}  // namespace

std::span<const Sysctl> sysctls() { return kSysctls; }

const Sysctl* find_sysctl(std::string_view name) {
  for (const Sysctl& sysctl : kSysctls)
    if (name == sysctl.name) return &sysctl;
  return nullptr;
}

}  // namespace panal::profile
