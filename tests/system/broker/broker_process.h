#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "runtime/broker/auth/password.h"
#include "runtime/client/tls.h"
#include "tests/system/broker/fake_panald.h"
#include "tests/system/store/cluster.h"

namespace panal::broker {

inline constexpr std::uint16_t kPort = 18443;
inline constexpr std::uint16_t kMetricsPort = 19464;

inline bool eventually(const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < end) {
    if (done()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

/// A TLS connection as a client sees it.
class TestClient {
 public:
  TestClient() {
    auto made = client::TlsConnection::connect("127.0.0.1", kPort, {});
    if (made) tls = std::move(*made);
    EXPECT_TRUE(tls) << "no TLS connection";
  }

  /// Waits until the connection is ready for `state`, one second at most.
  void pause(client::Io state) const {
    pollfd wait{tls->fd(), static_cast<short>(state == client::Io::kWantRead ? POLLIN : POLLOUT),
                0};
    ::poll(&wait, 1, 1000);
  }

  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto put = tls->write({bytes.data(), bytes.size()});
      if (!put || put->state == client::Io::kClosed) return false;
      if (put->state == client::Io::kDone) {
        bytes.remove_prefix(put->bytes);
      } else {
        pause(put->state);
      }
    }
    return true;
  }

  /// Reads once into `received`; false at the end.
  bool read(std::size_t most = 65536) {
    std::string part(most, '\0');
    const auto got = tls->read({part.data(), part.size()});
    if (!got || got->state == client::Io::kClosed) return false;
    if (got->state == client::Io::kDone) {
      received.append(part, 0, got->bytes);
    } else {
      pause(got->state);
    }
    return true;
  }
  bool read_until(const std::string& text) {
    return eventually([&] {
      if (received.find(text) != std::string::npos) return true;
      ended = ended || !read();
      return ended ? received.find(text) != std::string::npos : false;
    });
  }
  bool read_to_end() {
    return eventually([&] { return ended || (ended = !read()); });
  }
  /// A request with alice's login, and all of its answer.
  std::string get(const std::string& target, const std::string& headers = kLogin) {
    received.clear();
    EXPECT_TRUE(send("GET " + target + " HTTP/1.1\r\n" + headers + "\r\n"));
    EXPECT_TRUE(eventually([&] {
      const auto end = received.find("\r\n\r\n");
      const auto length = received.find("Content-Length: ");
      if (end != std::string::npos && length < end &&
          received.size() >= end + 4 + std::stoul(received.substr(length + 16)))
        return true;
      return !read();
    }));
    return received;
  }

  static constexpr const char* kLogin = "Authorization: Basic YWxpY2U6c2VjcmV0\r\n";
  static constexpr const char* kUpgrade = "Connection: Upgrade\r\nUpgrade: QVD/1.0\r\n";

  std::unique_ptr<client::TlsConnection> tls;
  std::string received;
  bool ended = false;
};

/// The real panal-broker on a real database, with a fake panald.
class BrokerProcess : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (alices != 0) return;  // an earlier suite of this program has filled the database
    auto* lab = store::Cluster::instance();
    const auto admin = lab->as(store::kAdminRole);
    const auto node = lab->as(store::kNodeRole);
    store::User user;
    user.tenant = "default";
    user.password_hash = auth::hash_password("secret").value();
    for (const char* login : {"alice", "bob"}) {
      user.login = login;
      ASSERT_TRUE(admin->add_user(user));
    }
    ASSERT_TRUE(node->register_node("lab", "0", ::getpid()));
    store::Version version;
    version.image = "icewm";
    version.version = "1";
    version.session = {"true"};
    ASSERT_TRUE(admin->add_version(version, "test"));
    store::Desktop desktop;
    desktop.tenant = "default";
    desktop.image = "icewm";
    for (const char* login : {"alice", "bob"}) {
      desktop.login = login;
      desktop.name = std::string(login) + "-desk";
      const auto added = admin->add_desktop(desktop);
      ASSERT_TRUE(added) << added.error().message();
      (std::string(login) == "alice" ? alices : bobs) = added->id;
    }
  }

  void SetUp() override {
    config = store::Cluster::instance()->config();
    const std::string file = config.run_dir + "/panal.toml";
    std::ofstream(file) << "[paths]\nstate = \"" << config.state_dir << "\"\nrun = \""
                        << config.run_dir
                        << "\"\n[broker]\naddress = \"127.0.0.1\"\nport = " << kPort
                        << "\nuser = \"nobody\"\nworkers = 1\narchive = \"" << config.run_dir
                        << "/archive\"\narchive_token = \"" << config.run_dir
                        << "/token\"\n[metrics]\nlisten = \"127.0.0.1:" << kMetricsPort << "\"\n";
    make_archive(config.run_dir);
    panald = std::make_unique<FakePanald>(config.node_socket());
    parent = ::fork();
    if (parent == 0) {
      ::execl(PANAL_BIN_DIR "/panal-broker", "panal-broker", "--config", file.c_str(), nullptr);
      ::_exit(127);
    }
    ASSERT_TRUE(eventually(
        [] { return client::TlsConnection::connect("127.0.0.1", kPort, {}).has_value(); }));
  }

  void TearDown() override {
    if (parent <= 0) return;
    ::kill(parent, SIGTERM);
    int status = -1;
    EXPECT_EQ(::waitpid(parent, &status, 0), parent);
    EXPECT_EQ(status, 0);
  }

  /// What is published to nodes; the token is the parent's to read, not the worker's.
  static void make_archive(const std::string& dir) {
    std::filesystem::create_directories(dir + "/archive/objects/ab");
    std::ofstream(dir + "/archive/panal-images") << "the list";
    std::ofstream(dir + "/archive/objects/ab/" + std::string(62, '0') + ".filez")
        << std::string(1 << 20, 'x');
    std::ofstream(dir + "/archive/config") << "[core]";
    std::ofstream(dir + "/token") << kToken << "\n";
    ASSERT_EQ(::chmod((dir + "/token").c_str(), 0600), 0);
  }

  [[nodiscard]] pid_t worker() const {
    std::ifstream in("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) +
                     "/children");
    pid_t pid = -1;
    in >> pid;
    return pid;
  }
  [[nodiscard]] static long status_kib(pid_t pid, const std::string& key) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/status");
    std::string line;
    while (std::getline(in, line)) {
      if (line.starts_with(key)) return std::stol(line.substr(key.size() + 1));
    }
    return -1;
  }

  /// Moves alice's desktop to running as panald would.
  static void observe(store::Observed observed, const std::string& reason = "") {
    const auto node = store::Cluster::instance()->as(store::kNodeRole);
    const auto done = node->observe(alices, observed, reason);
    ASSERT_TRUE(done) << done.error().message();
  }
  static bool claim() {
    const auto node = store::Cluster::instance()->as(store::kNodeRole);
    const auto claimed = node->claim_start(alices, "lab", 100);
    return claimed && claimed->has_value();
  }
  static void make_running() {
    const auto admin = store::Cluster::instance()->as(store::kAdminRole);
    if (admin->desktop(alices)->observed == store::Observed::kRunning) return;
    ASSERT_TRUE(admin->set_desired(alices, store::Desired::kRunning, "test"));
    ASSERT_TRUE(claim());
    observe(store::Observed::kRunning);
  }
  /// A client past its 101.
  static std::unique_ptr<TestClient> attached() {
    auto client = std::make_unique<TestClient>();
    EXPECT_TRUE(client->send("GET /qvd/connect_to_vm?id=" + std::to_string(alices) +
                             " HTTP/1.1\r\n" + TestClient::kLogin + TestClient::kUpgrade + "\r\n"));
    EXPECT_TRUE(client->read_until("X-Panal-Cookie: ")) << client->received;
    EXPECT_TRUE(
        eventually([&] { return client->received.ends_with("\r\n\r\n") || !client->read(); }));
    client->received.clear();
    return client;
  }
  /// The agent's end, once the greeting has brought it there.
  UniqueFd agent() {
    UniqueFd fd;
    EXPECT_TRUE(eventually([&] {
      fd = panald->take_agent();
      return fd.valid();
    }));
    return fd;
  }

  static constexpr const char* kToken = "0123456789abcdef0123456789abcdef";
  inline static DesktopId alices = 0;
  inline static DesktopId bobs = 0;
  config::Config config;
  std::unique_ptr<FakePanald> panald;
  pid_t parent = -1;
};

}  // namespace panal::broker
