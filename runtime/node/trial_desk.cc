#include "runtime/node/trial_desk.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "engine/base/file_tree.h"
#include "engine/base/log.h"
#include "runtime/node/png.h"
#include "runtime/node/requests.h"

namespace panal::node {
namespace {

constexpr const char* kCalledOff = "panald was stopped before the trial was over; ask again";

/// A desktop's parts, but for what belongs to a user.
desktop::Parts trial_parts(const desktop::Parts& parts, storage::HomeStore& homes,
                           netconfine::Network& network) {
  return {parts.compose, homes,        network,      parts.containers,
          parts.groups,  parts.shared, parts.agents, parts.log};
}

}  // namespace

TrialDesk::TrialDesk(Parts parts)
    : parts_(std::move(parts)),
      lifecycle_(trial_parts(parts_.desktop, homes_, network_), parts_.config) {}

TrialDesk::~TrialDesk() { finish(); }

Result<void> TrialDesk::clear() {
  PANAL_TRY(lifecycle_.discard_leftovers(kTrialDesktop));
  return remove_tree(state_dir());
}

void TrialDesk::ask(const std::string& image, const std::string& version, Say say, Done done) {
  const std::lock_guard lock(mutex_);
  if (stopping_) {
    parts_.loop.post(
        [done = std::move(done)] { done(tl::make_unexpected(Refusal{503, kCalledOff})); });
    return;
  }
  if (current_ != nullptr || !jobs_.empty())
    parts_.loop.post([say] { say("another trial is under way; this one comes after it"); });
  jobs_.push_back({image, version, std::move(say), std::move(done)});
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  changed_.notify_all();
}

void TrialDesk::serve(const CallerPtr& caller, const nlohmann::json& request) {
  ask(
      text_of(request, "image"), text_of(request, "version"),
      [caller](const std::string& text) { caller->progress(text); },
      [caller](const Answer<Report>& answer) {
        if (!answer) return caller->refuse(answer.error().status, answer.error().sentence);
        caller->answer({{"good", answer->record.good},
                        {"kept", answer->kept},
                        {"record", storage::print_trial(answer->record)}});
      });
}

void TrialDesk::work() {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    auto answer = run(job);
    parts_.loop.post([done = std::move(job.done), answer = std::move(answer)] { done(answer); });
  }
}

Answer<TrialDesk::Report> TrialDesk::run(const Job& job) {
  const auto refused = [](int status, std::string sentence) {
    return tl::make_unexpected(Refusal{status, std::move(sentence)});
  };
  const auto manifest = parts_.images.find(job.image, job.version);
  if (!manifest)
    return refused(manifest.error().code == ENOENT ? 404 : 503, manifest.error().message());
  auto spec = parts_.spec(*manifest);
  if (!spec) return refused(503, spec.error().context);
  spec->id = kTrialDesktop;

  LiveTrial trial({parts_.loop, parts_.hub, lifecycle_, parts_.client, parts_.log},
                  std::move(*spec), state_dir());
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return refused(503, kCalledOff);
    current_ = &trial;
  }
  storage::TrialRecord record;
  record.commit = manifest->commit;
  record.began_unix_s = std::time(nullptr);
  const auto begun = std::chrono::steady_clock::now();
  const TrialOutcome outcome = run_trial(trial, [this, &job](const std::string& text) {
    parts_.loop.post([say = job.say, text] { say(text); });
  });
  {
    const std::lock_guard lock(mutex_);
    current_ = nullptr;
  }
  if (outcome.called_off) return refused(503, kCalledOff);
  record.took_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                       std::chrono::steady_clock::now() - begun)
                       .count();
  record.good = outcome.good;
  record.reason = printable(outcome.reason, 4000);
  record.windows = outcome.windows;
  std::string png;
  if (outcome.picture) {
    auto made = png_of(*outcome.picture);
    if (!made) return refused(503, made.error().message());
    png = std::move(*made);
    record.pictured = true;
  }
  parts_.log->info("trial", {{"version", job.image + " " + job.version},
                             {"good", record.good ? "yes" : "no"},
                             {"ms", std::to_string(record.took_ms)},
                             {"why", record.reason}});
  const auto kept =
      storage::write_trial(parts_.config.images_dir, job.image, job.version, record, png);
  if (!kept) parts_.log->warning("trial_not_kept", {{"why", kept.error().message()}});
  return Report{std::move(record), kept.has_value()};
}

void TrialDesk::finish() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (current_ != nullptr) current_->call_off();
    for (Job& job : jobs_)
      parts_.loop.post(
          [done = std::move(job.done)] { done(tl::make_unexpected(Refusal{503, kCalledOff})); });
    jobs_.clear();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void TrialDesk::on_session(const AgentState& state) {
  const std::lock_guard lock(mutex_);
  if (current_ != nullptr) current_->on_session(state);
}

void TrialDesk::on_settled(std::uint32_t windows) {
  const std::lock_guard lock(mutex_);
  if (current_ != nullptr) current_->on_settled(windows);
}

}  // namespace panal::node
