#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/log.h"
#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/base/unique_fd.h"
#include "runtime/metrics/warm_figures.h"
#include "runtime/node/warm_plan.h"
#include "storage/image/image_store.h"
#include "storage/warm/budget.h"

namespace panal::node {

/// Keeps the pages that desktops use of their images in the page cache, charged to a group of the
/// host's: recorded when a version's first desktop has come up, touched when the node starts, when
/// an image gets another default version, before a storm of starts, and slowly when they were
/// evicted. All of it is panal-warm's work, one process at a time; what to do is decided by
/// warm_plan.h. It never holds a start up, and what fails is only logged. On a thread of its own;
/// the calls are for any.
class ImageWarmer {
 public:
  struct Parts {
    const Tree& tree;  ///< must outlive it
    storage::ImageStore images;
    /// Where records are kept whose version's directory cannot be written to (images on a read-only
    /// or foreign disk): <aside_dir>/<image>/<version>/.
    std::string aside_dir;
    std::string program;              ///< panal-warm
    std::string group;                ///< config::Config::cgroup_warm_group()
    std::uint64_t reserve_bytes = 0;  ///< memory kept for the host; 0: the default
    std::uint64_t most_bytes = 0;     ///< of hot pages
    LoggerPtr log;
  };
  /// Errors: EMFILE, EAGAIN.
  [[nodiscard]] static Result<std::unique_ptr<ImageWarmer>> open(Parts parts);
  /// Ends what runs: 2 s at most.
  ~ImageWarmer();
  ImageWarmer(const ImageWarmer&) = delete;
  ImageWarmer& operator=(const ImageWarmer&) = delete;

  /// What desktops there are, of which versions.
  void tell(std::vector<WarmDemand> demands);
  /// A desktop of this version (DesktopSpec::version_root) runs; its programs are up.
  void started(const std::string& version_root);
  void settled(const std::string& version_root);

  [[nodiscard]] metrics::WarmFigures figures() const;

 private:
  struct Entry {
    WarmVersion plan;
    bool looked_for_records = false;
    std::string record_dir;                 ///< where its own record is
    std::string other_dir;                  ///< whose record `plan.other_record` is
    std::optional<MonotonicNs> started_ns;  ///< the first desktop since it was cooled
  };
  struct Task {
    WarmJob job;
    std::string root, record_dir;
  };

  explicit ImageWarmer(Parts parts) : parts_(std::move(parts)) {}
  void work();
  void find_records();
  /// What is kept aside of versions that this disk has no more.
  void sweep_aside() const;
  [[nodiscard]] std::string aside_of(const std::string& root) const;
  [[nodiscard]] std::string keeping_dir(const std::string& root) const;
  [[nodiscard]] std::optional<Task> next_task();
  void carry_out(const Task& task);
  [[nodiscard]] storage::WarmMemory memory() const;
  /// Ends the process that runs, without blame.
  void interrupt() const;

  Parts parts_;
  UniqueFd interrupt_;  ///< eventfd
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool woken_ = false;
  bool unhurried_ = false;                ///< what runs may be ended for a storm
  bool interrupted_ = false;              ///< it was
  std::map<std::string, Entry> entries_;  ///< by the version's root
  metrics::WarmFigures figures_;
  std::thread thread_;
};

}  // namespace panal::node
