#include "runtime/cli/shell.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "engine/profile/saved.h"
#include "runtime/cli/image_transfer.h"
#include "runtime/cli/local_images.h"
#include "runtime/control/control.h"
#include "runtime/control/message.h"
#include "runtime/netpolicy/uplink_words.h"
#include "runtime/tuning/machine_state.h"

namespace panal::cli {
namespace {

class RealBackends final : public Backends {
 public:
  Result<std::unique_ptr<store::Store>> store(const config::Config& c) override {
    return store::Store::connect(c.database_conninfo(store::kAdminRole));
  }

  Result<nlohmann::json> ask_node(
      const config::Config& c, const nlohmann::json& request, std::chrono::milliseconds timeout,
      const std::function<void(const std::string&)>& progress) override {
    PANAL_ASSIGN(const auto connection, control::Connection::connect(c.node_socket()));
    PANAL_TRY(connection.send(request));
    while (true) {
      PANAL_ASSIGN(const auto answer, connection.receive(timeout));
      if (!answer.body.is_object()) return fail(EPROTO, "panald's answer");
      if (const auto said = answer.body.find("progress"); said != answer.body.end()) {
        if (progress && said->is_string()) progress(said->get<std::string>());
        continue;
      }
      if (const auto error = answer.body.find("error"); error != answer.body.end()) {
        const int status = answer.body.value("status", 500);
        const int code = status == 404 ? ENOENT : status == 409 ? EBUSY : EREMOTEIO;
        return fail(code, error->is_string() ? error->get<std::string>() : error->dump());
      }
      return answer.body;
    }
  }

  Result<netpolicy::UplinkWords> uplink(const config::Config& c) override {
    return netpolicy::describe_uplink(c);
  }

  Result<std::unique_ptr<LocalImages>> images(const config::Config& c) override {
    return make_local_images(c);
  }
  Result<std::unique_ptr<ImageTransfer>> transfer(const config::Config& c) override {
    return make_image_transfer(c);
  }

  Result<MachinePlaces> machine() override {
    PANAL_ASSIGN(Tree tree, Tree::open_system());
    MachinePlaces places{std::move(tree),
                         tuning::machine_state_dir(),
                         profile::kMachineLockFile,
                         ::geteuid() == 0,
                         {}};
    if (tuning::in_lab() && !tuning::lab_may_change_machine())
      places.refusal =
          "this is a lab, and kernel settings are the whole machine's: run it in scripts/lab "
          "--machine-settings, which puts them back, or outside of a lab";
    return places;
  }
};

}  // namespace

ExitCode exit_code_of(int error_code) {
  switch (error_code) {
    case ENOTCONN:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE: return ExitCode::kNotRunning;
    case ENOENT: return ExitCode::kNotFound;
    case EEXIST:
    case EBUSY: return ExitCode::kRefused;
    case EINVAL: return ExitCode::kUsage;
    case EPERM:
    case EACCES: return ExitCode::kNotAllowed;
    default: return ExitCode::kFailed;
  }
}

ExitCode Shell::refuse(ExitCode code, const std::string& sentence) const {
  err << "panal: " << printable(sentence, 8192) << "\n";
  return code;
}

std::string sentence_of(const Error& error) {
  // ENOENT is both: the store's "there is no user x" and a file's name.
  const auto& text = error.context;
  const bool missing =
      error.code == ENOENT && (text.find(" no ") != std::string::npos ||
                               text.find(" not ") != std::string::npos || text.starts_with("no "));
  const bool refused = error.code == EEXIST || error.code == EBUSY || error.code == EINVAL ||
                       error.code == EREMOTEIO || error.code == EPROTO;
  // Of archives and what is unpacked; of the kernel hardly ever.
  const bool of_archive = error.code == EBADMSG || error.code == EFBIG ||
                          error.code == EKEYREJECTED || error.code == EKEYEXPIRED ||
                          error.code == ECANCELED;
  const bool whole = missing || refused || of_archive;
  return whole ? error.context : error.message();
}

ExitCode Shell::told(const Error& error) const {
  return refuse(exit_code_of(error.code), sentence_of(error));
}

void Shell::print(const nlohmann::json& value) const {
  out << value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

std::unique_ptr<Backends> make_backends() { return std::make_unique<RealBackends>(); }

}  // namespace panal::cli
