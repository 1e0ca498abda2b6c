#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::profile {

/// What is done by more than one write (a swap device), by somebody who knows how: profiles know
/// only a name and texts that mean states, so that what was can be brought back from what is saved.
class Steps {
 public:
  virtual ~Steps() = default;
  /// The state now, as a text that bring() takes. Errors: ENOENT where the host cannot do it.
  [[nodiscard]] virtual Result<std::string> state(const std::string& name) = 0;
  [[nodiscard]] virtual Result<void> bring(const std::string& name, const std::string& state) = 0;
};

/// The machine that is tuned: its files, and where former values are kept.
struct Machine {
  const Tree& tree;
  std::string state_dir;   ///< made when it is not there
  Steps* steps = nullptr;  ///< nullptr: none can be done
  bool privileged = true;  ///< whether it makes sense to ask if a file can be written
  /// For tests: called before each thing that lasts, with its name.
  std::function<void(std::string_view)> checkpoint;
};

/// One value of the machine's, and what is to become of it.
struct Setting {
  enum class Where { kProc, kSys, kStep };
  enum class Rule {
    kAtLeast,  ///< more is fine as well
    kExactly,
    kInitial,  ///< begins so; a governor moves it
    kFollows,  ///< not written: the kernel moves it when another one is; only brought back
  };
  std::string name;  ///< "vm.swappiness", "ksm.run"
  Where where = Where::kProc;
  std::string file;  ///< below proc or sys; the step's name
  Rule rule = Rule::kExactly;
  std::string wanted;    ///< what the profile asks for
  std::string original;  ///< before any profile was applied: what a revert brings back
  std::string before;    ///< now
  std::string after;     ///< once applied
  std::string why;
  std::string obstacle;  ///< why it cannot be applied here; empty: nothing is known against it
  /// The pid namespace it belongs to, when it is not the machine's; empty: it is.
  std::string name_space;
  bool optional = false;

  [[nodiscard]] bool changes() const { return before != after; }
};

/// A setting's value as one word or line: a number, or the word in brackets of "always [madvise]".
/// Errors: ENOENT where this kernel has no such setting.
[[nodiscard]] Result<std::string> read_setting(const Machine& machine, const Setting& setting);

/// Writes it and reads it back: the kernel takes some values and makes others of them.
/// Errors: those of write(2); EIO when another value is there afterwards.
[[nodiscard]] Result<void> write_setting(const Machine& machine, const Setting& setting,
                                         const std::string& value);

/// Why a write to it would be refused, in the kernel's words; empty when it would not, or when the
/// machine is not privileged.
[[nodiscard]] std::string obstacle_of(const Machine& machine, const Setting& setting);

/// The identity of this process's pid namespace.
[[nodiscard]] std::string pid_namespace(const Machine& machine);

}  // namespace panal::profile
