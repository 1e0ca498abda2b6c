#include "tests/support/ksm_model.h"

#include <algorithm>
#include <cmath>

namespace panal::test {

std::uint64_t KsmModel::random() {  // xorshift64*: the same run on every machine
  seed_ ^= seed_ >> 12;
  seed_ ^= seed_ << 25;
  seed_ ^= seed_ >> 27;
  return seed_ * 2685821657736338717ULL;
}

double KsmModel::chance() { return static_cast<double>(random() >> 11) * 0x1p-53; }

void KsmModel::start_desktop() {
  Desktop desktop;
  desktop.number = starts_ + 1;
  desktop.born = now_;
  desktop.blocks.resize(blocks_per_desktop_);
  for (std::size_t i = 0; i < desktop.blocks.size(); ++i) {
    Block& block = desktop.blocks[i];
    const double lot = static_cast<double>(i) / static_cast<double>(desktop.blocks.size());
    if (lot < 0.04) {
      block.kind = Kind::kZero;
    } else if (lot < 0.04 + common_) {
      block.kind = Kind::kCommon;
      block.content = 1 + i;  // alike in every desktop
    } else if (lot < 0.04 + common_ + 0.15) {
      block.kind = Kind::kVolatile;
      block.content = random() | 1ULL << 63;
    } else {
      block.content = random() | 1ULL << 62;
    }
  }
  desktops_.push_back(std::move(desktop));
  ++starts_;
}

void KsmModel::stop_desktop() {
  if (desktops_.empty()) return;
  for (Block& block : desktops_.front().blocks) {
    if (block.merged) unmerge(block);
    if (block.visited) --visited_blocks_;
  }
  desktops_.erase(desktops_.begin());
  if (pass_desktops_ > 0) --pass_desktops_;
  if (at_desktop_ > 0)
    --at_desktop_;
  else
    at_block_ = 0;
  unstable_.clear();  // places have moved; those pages meet again in the next pass
}

void KsmModel::rewrite(double share) {
  for (Desktop& desktop : desktops_) {
    for (Block& block : desktop.blocks) {
      if (block.kind == Kind::kVolatile || chance() >= share) continue;
      if (block.merged) {
        unmerge(block);
        cow_pages_ += kPagesPerBlock;
      }
      block.kind = Kind::kOwn;
      block.content = random() | 1ULL << 62;
    }
  }
}

std::uint64_t KsmModel::content(const Desktop& desktop, std::size_t index) const {
  const Block& block = desktop.blocks[index];
  const bool settling = now_ - desktop.born < kSettleSeconds;
  if (!settling && block.kind != Kind::kVolatile) return block.content;
  // another one every half second, and of nobody else
  const auto tick = static_cast<std::uint64_t>(now_ * 2);
  const std::uint64_t place = desktop.number << 32 | index;
  return (place * 0x9E3779B97F4A7C15ULL ^ tick * 0xC2B2AE3D27D4EB4FULL) | 1;
}

bool KsmModel::skip(Block& block) {
  if (block.merged) return false;
  if (block.age < 255) ++block.age;
  if (block.age <= 3) return false;
  if (block.skips > 0) {
    --block.skips;
    return true;
  }
  block.skips = block.age <= 5 ? 2 : block.age <= 8 ? 4 : 8;
  return false;
}

void KsmModel::merge(Block& block, std::uint64_t what) {
  block.merged = true;
  block.zero = block.kind == Kind::kZero && what == 0;
  if (block.zero) {
    ++zero_blocks_;
  } else if (stable_[what]++ > 0) {
    ++sharing_blocks_;
  }
}

void KsmModel::unmerge(Block& block) {
  block.merged = false;
  block.age = 0;
  if (block.zero) {
    --zero_blocks_;
    block.zero = false;
    return;
  }
  const auto found = stable_.find(block.content);
  if (--found->second == 0)
    stable_.erase(found);
  else
    --sharing_blocks_;
}

double KsmModel::visit(std::size_t desktop, std::size_t index) {
  Block& block = desktops_[desktop].blocks[index];
  if (!block.visited) {
    block.visited = true;
    ++visited_blocks_;
  }
  if (block.merged) return kMergedVisitSeconds;
  const std::uint64_t what = content(desktops_[desktop], index);
  if (stable_.count(what) > 0) {
    merge(block, what);
    return kVisitSeconds + kMergeSeconds;
  }
  if (block.checksum != what + 1) {
    block.checksum = what + 1;  // 0 is "never seen"
    return kVisitSeconds;
  }
  if (what == 0) {
    merge(block, what);
    return kVisitSeconds + kMergeSeconds;
  }
  const auto [other, alone] = unstable_.try_emplace(what, Place{desktop, index});
  if (alone || (other->second.desktop == desktop && other->second.block == index))
    return kVisitSeconds;
  Block& twin = desktops_[other->second.desktop].blocks[other->second.block];
  if (!twin.merged) merge(twin, what);
  merge(block, what);
  unstable_.erase(other);
  return kVisitSeconds + kMergeSeconds;
}

void KsmModel::next_pass() {
  if (pass_desktops_ > 0) ++full_scans_;
  pass_desktops_ = desktops_.size();
  at_desktop_ = 0;
  at_block_ = 0;
  unstable_.clear();
}

void KsmModel::run(double duration_seconds, const KsmSettings& settings) {
  const double end = now_ + duration_seconds;
  while (now_ < end) {
    if (settings.run != KsmRun::kRunning || desktops_.empty()) {
      now_ = end;
      return;
    }
    if (sleep_left_ > 0) {
      const double slept = std::min(sleep_left_, end - now_);
      sleep_left_ -= slept;
      now_ += slept;
      continue;
    }
    if (batch_left_ < static_cast<double>(kPagesPerBlock)) {
      batch_left_ += settings.pages_to_scan;
      sleep_left_ = settings.sleep_ms / 1000.0;
      continue;
    }
    if (at_desktop_ >= pass_desktops_) next_pass();
    Block& block = desktops_[at_desktop_].blocks[at_block_];
    double cost = kSkipSeconds;
    if (settings.smart_scan && skip(block)) {
      skipped_ += kPagesPerBlock;
    } else {
      cost = visit(at_desktop_, at_block_);
      scanned_ += kPagesPerBlock;
      batch_left_ -= static_cast<double>(kPagesPerBlock);
    }
    cost *= static_cast<double>(kPagesPerBlock);
    now_ += cost;
    cpu_seconds_ += cost;
    if (++at_block_ == desktops_[at_desktop_].blocks.size()) {
      at_block_ = 0;
      ++at_desktop_;
    }
  }
}

KsmCounters KsmModel::counters() const {
  KsmCounters counters;
  counters.pages_shared = stable_.size() * kPagesPerBlock;
  counters.pages_sharing = sharing_blocks_ * kPagesPerBlock;
  counters.zero_pages = zero_blocks_ * kPagesPerBlock;
  counters.pages_scanned_total = scanned_;
  counters.pages_skipped_total = skipped_;
  counters.full_scans_total = full_scans_;
  const auto saved = static_cast<std::int64_t>(counters.pages_sharing + counters.zero_pages);
  const auto items = static_cast<std::int64_t>(visited_blocks_ * kPagesPerBlock);
  counters.general_profit_bytes = saved * 4096 - items * 64;
  counters.ksmd_cpu_ns = static_cast<std::uint64_t>(cpu_seconds_ * 1e9);
  return counters;
}

}  // namespace panal::test
