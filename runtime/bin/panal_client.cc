// panal-client: the user's program. Logs in, lists, connects, stops.

#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/base/unique_fd.h"
#include "runtime/client/password.h"
#include "runtime/client/pins.h"
#include "runtime/client/session.h"

namespace {

using panal::client::ClientError;
using panal::client::Exit;

constexpr const char* kFooter =
    "Exit codes: 0 ok, 1 usage, 2 server cannot be reached, 3 certificate refused,\n"
    "4 login refused, 5 desktop refused, 6 the session ended abnormally,\n"
    "7 stopped by a signal before the session began.\n"
    "Certificates are pinned on first use in ~/.config/panal/known_servers.";

void tell(const std::string& text) { std::cerr << text << '\n'; }

int end_with(const ClientError& error) {
  tell("panal-client: " + error.sentence);
  return static_cast<int>(error.exit);
}

int list(panal::client::Broker& broker, bool as_json) {
  const auto desktops = broker.list();
  if (!desktops) return end_with(desktops.error());
  if (as_json) {
    auto out = nlohmann::json::array();
    for (const auto& d : *desktops)
      out.push_back({{"id", d.id}, {"name", d.name}, {"state", d.state}, {"blocked", d.blocked}});
    std::cout << out.dump(2) << '\n';
    return 0;
  }
  std::size_t width = 4;
  for (const auto& d : *desktops) width = std::max(width, d.name.size());
  for (const auto& d : *desktops)
    std::printf("%-6lld %-*s %s%s\n", static_cast<long long>(d.id), static_cast<int>(width),
                d.name.c_str(), d.state.c_str(), d.blocked ? " (blocked)" : "");
  if (desktops->empty()) tell("you have no desktop on this server");
  return 0;
}

/// TERM, INT and HUP as a readable descriptor, so that a session ends in order.
panal::UniqueFd stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return panal::UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Opens a Linux desktop served by Panal (or a QVD server)"};
  app.footer(kFooter);
  app.require_subcommand(1);
  app.fallthrough();
  std::string server = "localhost", password_file;
  int password_fd = -1;
  panal::client::Target target;
  target.pin_file = panal::client::Pins::default_file();
  if (const char* user = std::getenv("USER")) target.login = user;
  app.add_option("--server", server, "HOST or HOST:PORT (default localhost, port 8443)");
  app.add_option("--user", target.login, "login, or login@tenant (default $USER)")
      ->check([](const std::string& text) {
        return text.find(':') == std::string::npos ? "" : "a login has no colon in it";
      });
  auto* file_option = app.add_option("--password-file", password_file,
                                     "its first line is the password (else asked)");
  app.add_option("--password-fd", password_fd, "read the password from this open descriptor")
      ->check(CLI::NonNegativeNumber)
      ->excludes(file_option);
  app.add_option("--ca", target.ca_file, "trust the server by this CA file, not by its pin");
  app.add_option("--known-servers", target.pin_file, "where certificates are pinned");

  // Options stand before or after the command, as one likes: CLI11 takes them at the top, and
  // commands fall through to it.
  bool as_json = false;
  app.add_flag("--json", as_json, "list: as JSON");
  panal::client::ConnectOptions options;
  bool no_cookie = false;
  int retries = 0;
  const auto connect_option = [&](const char* name, auto& value, const char* text) {
    return app.add_option(name, value, text)->group("Options of connect");
  };
  connect_option("--geometry", options.geometry, "WIDTHxHEIGHT")
      ->check([](const std::string& text) {
        const bool good = text.find_first_not_of("0123456789x") == std::string::npos &&
                          std::count(text.begin(), text.end(), 'x') == 1 && text.front() != 'x' &&
                          text.back() != 'x';
        return good ? std::string() : "say the geometry as 1024x768";
      });
  app.add_flag("--fullscreen", options.fullscreen, "fill the screen")->group("Options of connect");
  connect_option("--keyboard", options.keyboard, "model/layout, e.g. pc105/es (default: yours)");
  connect_option("--link", options.link, "kind of network, default lan")
      ->check(CLI::IsMember({"modem", "isdn", "adsl", "wan", "lan"}));
  connect_option("--retry", retries, "tries again after what may pass (default 0 times)")
      ->check(CLI::Range(0, 1000));
  connect_option("--nxproxy", options.nxproxy, "the nxproxy program");
  app.add_flag("--no-cookie", no_cookie, "greet without a cookie, as QVD's clients do")
      ->group("Options of connect");

  auto* list_command = app.add_subcommand("list", "lists your desktops");
  auto* connect_command = app.add_subcommand("connect", "opens a desktop, starting it if need be");
  connect_command->add_option("desktop", options.desktop,
                              "name or number; may be left out if you have one");

  std::string stop_desktop;
  auto* stop_command = app.add_subcommand("stop", "stops a desktop");
  stop_command->add_option("desktop", stop_desktop, "name or number")->required();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::kUsage);
  }
  options.send_cookie = !no_cookie;

  const auto address = panal::client::parse_server(server);
  if (!address) return end_with({Exit::kUsage, address.error().context});
  std::tie(target.host, target.port) = *address;
  if (target.login.empty()) return end_with({Exit::kUsage, "say who you are with --user"});
  auto password = !password_file.empty() ? panal::client::read_password_file(password_file)
                  : password_fd >= 0 ? panal::client::read_password(password_fd, "--password-fd")
                                     : panal::client::ask_password(target.login);
  if (password_fd > STDERR_FILENO) ::close(password_fd);  // not for the programs we start
  if (!password) {
    const bool stopped = password.error().code == ECANCELED;
    return end_with({stopped ? Exit::kStopped : Exit::kUsage,
                     stopped ? "stopped" : password.error().message()});
  }
  target.password = std::move(*password);

  ::signal(SIGPIPE, SIG_IGN);
  // No core files, ours (it would hold the password) or nxproxy's (it crashes when it is refused).
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (connect_command->parsed()) {
    const panal::UniqueFd stop = stop_signals();
    const auto ended = panal::client::run_with_retries(target, options, retries, stop.get(), tell);
    return ended ? 0 : end_with(ended.error());
  }
  auto broker = panal::client::open_broker(target, tell);
  if (!broker) return end_with(broker.error());
  if (list_command->parsed()) return list(*broker, as_json);
  const auto desktops = broker->list();
  if (!desktops) return end_with(desktops.error());
  const auto chosen = panal::client::choose(*desktops, stop_desktop);
  if (!chosen) return end_with(chosen.error());
  const auto stopped = broker->stop(chosen->id, tell);
  return stopped ? 0 : end_with(stopped.error());
}
