#include "runtime/cli/left_ksm.h"

#include <fmt/format.h>

#include "engine/base/log.h"
#include "engine/kernel/ksm.h"
#include "runtime/optimiser/ksm_keeper.h"

namespace panal::cli {
namespace {

std::string ksm_words(const KsmSettings& settings) {
  return fmt::format("run {}, {} pages each {} ms", static_cast<unsigned>(settings.run),
                     settings.pages_to_scan, settings.sleep_ms);
}

}  // namespace

bool put_ksm_back(Shell& shell) {
  const auto put = [&]() -> Result<bool> {
    PANAL_ASSIGN(const auto places, shell.backends.machine());
    return optimiser::restore_left_ksm(places.tree, optimiser::ksm_record_file(places.state_dir),
                                       places.lock_file);
  }();
  if (!put) {
    (void)shell.refuse(ExitCode::kFailed, "KSM is left as a panald that is gone has set it: " +
                                              sentence_of(put.error()));
    return false;
  }
  if (*put)
    shell.out << "panal: KSM is as it was before: a panald that is gone had left its own settings\n"
              << std::flush;
  return true;
}

std::string put_ksm_back_plan(Shell& shell) {
  const auto places = shell.backends.machine();
  if (!places) return "";
  const auto left =
      optimiser::left_ksm(places->tree, optimiser::ksm_record_file(places->state_dir));
  if (!left || !*left) return "";
  return fmt::format("would put KSM back, which a panald that is gone has left: {}\n",
                     ksm_words(**left));
}

std::map<std::string, std::string> ksm_before_governor(const Tree& tree,
                                                       const std::string& machine_state_dir) {
  const optimiser::KsmRecord record(tree, optimiser::ksm_record_file(machine_state_dir), {});
  const auto saved = record.read();
  if (!saved || !*saved || !record.of_this_boot(**saved)) return {};
  const KsmSettings& former = (*saved)->settings;
  return {{"ksm.advisor_mode", former.advisor == KsmAdvisor::kNone ? "none" : "scan-time"},
          {"ksm.use_zero_pages", former.use_zero_pages ? "1" : "0"},
          {"ksm.pages_to_scan", std::to_string(former.pages_to_scan)},
          {"ksm.sleep_millisecs", std::to_string(former.sleep_ms)},
          {"ksm.run", std::to_string(static_cast<unsigned>(former.run))}};
}

Check check_ksm(const Tree& tree, const std::string& machine_state_dir) {
  const std::string name = "KSM";
  const auto left = optimiser::left_ksm(tree, optimiser::ksm_record_file(machine_state_dir));
  if (!left)
    return {name, Check::kWarning, sentence_of(left.error()),
            "until then no panald here turns KSM, nor puts it back"};
  if (!*left)
    return {name, Check::kOk, "no panald that is gone has left it as it had turned it", {}};
  const auto now = kernel::read_ksm_settings(tree);
  return {name, Check::kWarning,
          fmt::format("is as a panald that is gone has left it ({}; before: {})",
                      now ? ksm_words(*now) : now.error().message(), ksm_words(**left)),
          "panal up goes on from there, panal down puts it back"};
}

}  // namespace panal::cli
