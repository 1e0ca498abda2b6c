#include "runtime/node/trial_run.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

namespace panal::node {
namespace {

/// Takes pictures until one shows something. An error: none can be taken, or nothing came in time.
Result<void> wait_painted(TrialHands& hands, TrialOutcome& outcome) {
  for (std::chrono::milliseconds waited{0};; waited += kPaintPause) {
    PANAL_ASSIGN(outcome.picture, hands.picture());
    if (is_painted(*outcome.picture)) return {};
    if (waited >= kPaintLimit)
      return fail(ETIMEDOUT, "nothing was painted: its screen is of one colour");
    PANAL_TRY(hands.wait(kPaintPause));
  }
}

Result<void> try_it(TrialHands& hands, const std::function<void(const std::string&)>& say,
                    TrialOutcome& outcome) {
  say("starting a throw-away desktop");
  PANAL_TRY(hands.start());
  say("its session is shown to a client");
  PANAL_TRY(hands.show());
  PANAL_ASSIGN(outcome.windows, hands.settle());
  say("taking a picture");
  PANAL_TRY(wait_painted(hands, outcome));
  // One whose programs end while it is looked at is none.
  return hands.wait(std::chrono::milliseconds{0});
}

}  // namespace

bool is_painted(const agent::Picture& picture) {
  std::unordered_map<std::uint32_t, std::size_t> seen;
  const std::size_t count = picture.pixels.size() / 4;
  std::size_t commonest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t pixel = 0;
    std::memcpy(&pixel, picture.pixels.data() + i * 4, sizeof(pixel));
    commonest = std::max(commonest, ++seen[pixel & 0xffffffU]);
  }
  return count > 0 && (count - commonest) * 1000 >= count;
}

TrialOutcome run_trial(TrialHands& hands, const std::function<void(const std::string&)>& say) {
  TrialOutcome outcome;
  auto done = try_it(hands, say, outcome);
  auto ended = hands.end();
  if (done && !ended)
    done = fail(ended.error().code, "it could not be removed: " + ended.error().message());
  outcome.good = done.has_value();
  if (done) return outcome;
  outcome.called_off = done.error().code == ECANCELED;
  outcome.reason = done.error().context;
  return outcome;
}

}  // namespace panal::node
