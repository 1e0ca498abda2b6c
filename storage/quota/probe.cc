#include "storage/quota/probe.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>
#include <system_error>
#include <thread>

#include "engine/base/cleanup.h"
#include "engine/base/mount.h"
#include "engine/base/user_namespace.h"
#include "storage/quota/loop_mount.h"

namespace panal::storage {
namespace {

constexpr std::uint64_t kTrialBytes = std::uint64_t{1} << 20U;
constexpr std::uint64_t kTrialInodes = 16;

/// In a thread that has no capability in force: with CAP_SYS_RESOURCE no limit holds.
Result<void> without_capabilities(const std::function<Result<void>()>& work) {
  Result<void> done = fail(EIO, "the trying thread did not run");
  const auto run = [&]() -> Result<void> {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
    if (::syscall(SYS_capget, &header, data) != 0) return fail_errno("capget");
    for (auto& word : data) word.effective = 0;
    if (::syscall(SYS_capset, &header, data) != 0) return fail_errno("capset");
    return work();
  };
  try {
    std::thread([&] { done = run(); }).join();
  } catch (const std::system_error& problem) {
    return fail(problem.code().value(), "start a thread");
  }
  return done;
}

bool is_limit(int error) { return error == EDQUOT || error == ENOSPC; }

Result<void> try_bytes(int tree) {
  const UniqueFd file(::openat(tree, "fill", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return fail_errno("create a file in it");
  const std::string block(65536, 'x');
  for (std::uint64_t written = 0; written < 2 * kTrialBytes; written += block.size())
    if (::write(file.get(), block.data(), block.size()) < 0) {
      if (is_limit(errno)) return {};
      return fail_errno("write into it");
    }
  if (::fsync(file.get()) != 0 && is_limit(errno)) return {};
  return fail(EOPNOTSUPP, "twice its limit could be written");
}

Result<void> try_inodes(int tree) {
  for (std::uint64_t i = 0; i < 2 * kTrialInodes; ++i) {
    const std::string name = "file" + std::to_string(i);
    const UniqueFd file(::openat(tree, name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (file) continue;
    if (is_limit(errno)) return {};
    return fail_errno("create files in it");
  }
  return fail(EOPNOTSUPP, "twice its limit of files could be made");
}

SpaceLimit trial_limit(QuotaKind kind) {
  switch (kind) {
    case QuotaKind::kProject: return {kTrialBytes, kTrialInodes};
    case QuotaKind::kLoop: return {loop_file::kLeastBytes, 0};
    default: return {kTrialBytes, 0};
  }
}

Result<void> try_quota(QuotaKind kind, const std::string& path) {
  const auto quota = make_quota(kind);
  const SpaceLimit limit = trial_limit(kind);
  PANAL_TRY(quota->provide(path, limit));
  PANAL_ASSIGN(const UniqueFd tree, quota->open(path));
  if (kind == QuotaKind::kLoop) return {};  // the size of a file system needs no proof
  return without_capabilities([&]() -> Result<void> {
    if (limit.inodes != 0) PANAL_TRY(try_inodes(tree.get()));
    if (limit.inodes != 0)
      for (std::uint64_t i = 0; i < 2 * kTrialInodes; ++i)
        (void)::unlinkat(tree.get(), ("file" + std::to_string(i)).c_str(), 0);
    return try_bytes(tree.get());
  });
}

std::string what_it_is(QuotaKind kind) {
  switch (kind) {
    case QuotaKind::kProject: return "project quotas work there (bytes and inodes)";
    case QuotaKind::kQgroup: return "btrfs quota groups work there (bytes)";
    default: return "a file system in a file works there (bytes and inodes)";
  }
}

}  // namespace

QuotaFinding probe_quota(QuotaKind kind, const std::string& directory) {
  const std::string path = directory + "/.panal-quota-" + std::string(to_string(kind)) + "-" +
                           std::to_string(::getpid());
  const Cleanup remove([&] { (void)make_quota(kind)->remove(path); });
  const auto tried = try_quota(kind, path);
  if (tried) return {kind, true, what_it_is(kind)};
  const bool whole = tried.error().code == EOPNOTSUPP || tried.error().code == EINVAL;
  return {kind, false, whole ? tried.error().context : tried.error().message()};
}

Result<void> probe_memory_layer(const std::string& directory) {
  PANAL_ASSIGN(const UniqueFd tree, make_memory_quota({kTrialBytes, 0})->open(directory));
  PANAL_ASSIGN(const UserNamespace names, UserNamespace::create(1'000'000, 65'536));
  if (const auto mapped = mount::set_attributes(tree.get(), 0, names.fd()); !mapped)
    return fail(EOPNOTSUPP,
                "this kernel cannot show a tmpfs under other ids (" + mapped.error().message() +
                    "), which volatile = \"memory\" in [uppers] needs (Linux 6.3): use backend = "
                    "\"tmpfs\" in [compose], which does not, or volatile = \"disk\"");
  return {};
}

std::vector<QuotaFinding> probe_quotas(const std::string& directory) {
  std::vector<QuotaFinding> findings;
  for (const QuotaKind kind : {QuotaKind::kProject, QuotaKind::kQgroup, QuotaKind::kLoop})
    findings.push_back(probe_quota(kind, directory));
  return findings;
}

Result<QuotaChoice> choose_quota(const std::vector<QuotaFinding>& findings,
                                 const std::optional<QuotaKind>& wanted, const SpaceLimit& limit,
                                 bool must_be_apart) {
  if (wanted == QuotaKind::kNone && !must_be_apart)
    return QuotaChoice{QuotaKind::kNone, "no quota, as configured"};
  if (!wanted && !limit.any() && !must_be_apart)
    return QuotaChoice{QuotaKind::kNone, "no limit is set"};
  if (must_be_apart && wanted && *wanted != QuotaKind::kLoop)
    return fail(EOPNOTSUPP,
                "the file system there cannot show files under other ids (idmapped "
                "mounts): each needs a file system in a file, quota = \"loop\" or "
                "\"auto\"");
  std::string why;
  for (const QuotaFinding& finding : findings) {
    if (wanted && finding.kind != *wanted) continue;
    if (must_be_apart && finding.kind != QuotaKind::kLoop) continue;
    const bool too_many = finding.kind == QuotaKind::kQgroup && limit.inodes != 0;
    const bool no_size = finding.kind == QuotaKind::kLoop && limit.bytes < loop_file::kLeastBytes;
    if (finding.works && !too_many && !no_size) {
      std::string because = finding.why;
      if (!why.empty()) because += " (before it: " + why + ")";
      return QuotaChoice{finding.kind, std::move(because)};
    }
    if (!why.empty()) why += "; ";
    why += std::string(to_string(finding.kind)) + ": ";
    why += !finding.works ? finding.why
           : too_many     ? std::string("btrfs has no limit of inodes")
                          : std::string("needs a limit of at least 16 MiB");
  }
  return fail(EOPNOTSUPP, "no such quota works there: " + (why.empty() ? "none was tried" : why));
}

}  // namespace panal::storage
