#include "bench/cli/call.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/density/stored.h"

namespace panal::bench {
namespace {

/// A lab has room for some 400 desktops' processes and threads; this is enough for 1,500, all that
/// may run beside them, and more than a kernel without a tuning profile lets anybody have.
constexpr const char* kManyTasks = "131072";

bool in_lab() { return std::getenv("PANAL_LAB") != nullptr; }

}  // namespace

std::string Call::words() const {
  std::string out = "panal-bench";
  for (int i = 1; i < argc; ++i) out += std::string(" ") + argv[i];
  return out;
}

std::string source_directory() {
  const char* set = std::getenv("PANAL_SOURCE_DIR");
  return set != nullptr ? set : PANAL_SOURCE_DIR;
}

void enter_lab(const Call& call, const LabNeeds& needs) {
  if (in_lab()) return;
  const std::string lab = source_directory() + "/scripts/lab";
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  std::vector<std::string> words = {lab};
  if (needs.machine_settings) words.emplace_back("--machine-settings");
  if (!needs.memory.empty()) words.insert(words.end(), {"--memory", needs.memory});
  if (needs.many_tasks) words.insert(words.end(), {"--tasks", kManyTasks});
  words.push_back(self);
  for (char** word = call.argv + 1; *word != nullptr; ++word) words.emplace_back(*word);
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execv(lab.c_str(), pointers.data());
  std::cerr << "panal-bench: cannot run " << lab << ": " << ::strerror(errno) << '\n';
  std::exit(kNotMeasured);
}

int not_measured(const Error& error) {
  std::cerr << "panal-bench: " << error.message() << '\n';
  return kNotMeasured;
}

int told(const Result<void>& done) { return done ? kPass : not_measured(done.error()); }

Result<void> may_keep(const std::string& file) {
  if (in_lab()) return {};  // asked before it was entered
  if (const auto good = check_result_file(file); !good) return fail(0, good.error().context);
  return {};
}

Result<void> keep_result(const nlohmann::json& result, const std::string& file) {
  if (file.empty()) return {};
  return write_file(file, result.dump(2) + "\n");
}

int run_and_keep(const Call& call, const std::vector<std::string>& code,
                 const std::function<Result<nlohmann::json>()>& run,
                 std::string (*table)(const nlohmann::json&), const std::string& file) {
  const auto provenance = provenance_now(source_directory(), code, call.words());
  auto result = run();
  if (!result) return not_measured(result.error());
  if (provenance) (*result)["measured"] = to_json(*provenance);
  std::cout << table(*result);
  return told(keep_result(*result, file));
}

}  // namespace panal::bench
