#include "engine/policy/ksm_round.h"

#include <algorithm>
#include <vector>

#include "engine/policy/ksm_programs.h"

namespace panal::policy {

void KsmRound::add(DesktopId desktop, std::string_view program, const KsmProcess& process) {
  auto& programs = desktops_[desktop];
  auto found = programs.find(program);
  if (found == programs.end()) {
    if (programs.size() >= kMostPrograms) return;
    found = programs.emplace(program, Sum{}).first;
  }
  found->second.bytes += static_cast<double>(process.profit_bytes);
  found->second.processes += 1;
}

std::map<std::string, double, std::less<>> KsmRound::profits() const {
  std::map<std::string, std::vector<double>, std::less<>> voices;
  for (const auto& [desktop, programs] : desktops_)
    for (const auto& [program, sum] : programs)
      voices[program].push_back(sum.bytes / sum.processes);
  std::map<std::string, double, std::less<>> out;
  for (auto& [program, all] : voices) {
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
    std::nth_element(all.begin(), middle, all.end());
    out.emplace(program, *middle);
  }
  return out;
}

void KsmPasses::note(std::uint64_t now, std::uint64_t full_scans) {
  if (!marks_.empty() && full_scans < marks_.back().full_scans) marks_.clear();
  // The latest time at which there were no more passes than that is the one that says most.
  if (!marks_.empty() && full_scans == marks_.back().full_scans)
    marks_.back().at = now;
  else
    marks_.push_back({now, full_scans});
  while (marks_.size() > 1 &&
         marks_[1].full_scans + KsmPrograms::kPassesBeforeJudgement <= full_scans)
    marks_.pop_front();
}

std::optional<std::uint64_t> KsmPasses::judged_before() const {
  if (marks_.empty() ||
      marks_.front().full_scans + KsmPrograms::kPassesBeforeJudgement > marks_.back().full_scans)
    return std::nullopt;
  return marks_.front().at;
}

}  // namespace panal::policy
