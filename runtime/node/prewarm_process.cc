#include "runtime/node/prewarm_process.h"

namespace panal::node {
namespace {

class Process final : public PrewarmRun {
 public:
  explicit Process(agent::Prewarm prewarm) : prewarm_(std::move(prewarm)) {}
  ~Process() override {
    // At once: nothing in it is worth an orderly end, and the loop waits.
    prewarm_.stop(std::chrono::milliseconds(0));
  }
  [[nodiscard]] int pidfd() const override { return prewarm_.pidfd(); }
  [[nodiscard]] std::string why_ended() override {
    const auto ended = prewarm_.ended();
    if (!ended) return "the pre-warmer failed: " + ended.error().message();
    return *ended ? "the pre-warmer ended" : "the pre-warmer is ending";
  }

 private:
  agent::Prewarm prewarm_;
};

}  // namespace

Result<std::unique_ptr<PrewarmRun>> launch_prewarm(const std::string& program, std::uint32_t uid,
                                                   UniqueFd nx, const std::string& cookie) {
  agent::Prewarm::Spec spec;
  spec.program = program;
  spec.uid = uid;
  spec.gid = uid;
  spec.nx = std::move(nx);
  spec.cookie = cookie;
  PANAL_ASSIGN(auto prewarm, agent::Prewarm::start(std::move(spec)));
  return std::unique_ptr<PrewarmRun>(std::make_unique<Process>(std::move(prewarm)));
}

}  // namespace panal::node
