#include "storage/quota/quota.h"

#include <array>
#include <utility>

#include "storage/quota/kinds.h"

namespace panal::storage {
namespace {

constexpr std::array<std::pair<QuotaKind, std::string_view>, 5> kKindNames = {
    {{QuotaKind::kNone, "none"},
     {QuotaKind::kProject, "project"},
     {QuotaKind::kQgroup, "qgroup"},
     {QuotaKind::kLoop, "loop"},
     {QuotaKind::kMemory, "memory"}}};

}  // namespace

std::string_view to_string(QuotaKind kind) {
  for (const auto& [known, name] : kKindNames)
    if (known == kind) return name;
  return "none";
}

std::optional<QuotaKind> parse_quota_kind(std::string_view word) {
  for (const auto& [kind, name] : kKindNames)
    if (name == word) return kind;
  return std::nullopt;
}

std::unique_ptr<Quota> make_quota(QuotaKind kind) {
  switch (kind) {
    case QuotaKind::kNone: break;
    case QuotaKind::kProject: return make_project_quota();
    case QuotaKind::kQgroup: return make_qgroup_quota();
    case QuotaKind::kLoop: return make_loop_quota();
    case QuotaKind::kMemory: return make_memory_quota({});
  }
  return make_no_quota();
}

Result<QuotaKind> quota_kind_of(const std::string& path) {
  PANAL_ASSIGN(const bool directory, is_directory(path));
  if (!directory) return fail(ENOTDIR, path);
  if (has_loop_file(path)) return QuotaKind::kLoop;
  PANAL_ASSIGN(const UniqueFd dir, open_directory(path));
  if (is_subvolume(dir.get())) return QuotaKind::kQgroup;
  if (project_of(dir.get()) != 0) return QuotaKind::kProject;
  return QuotaKind::kNone;
}

}  // namespace panal::storage
