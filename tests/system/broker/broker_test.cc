#include <gmock/gmock.h>
#include <netinet/in.h>

#include "engine/base/process_marks.h"
#include "tests/system/broker/broker_process.h"

namespace panal::broker {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kGreeting = "NXPROXY-3.5.0-3.5.99 stream=default,data=default ";
const std::string kAdmitted = "NXPROXY-3.5.0-3.5.99 cookie=" + std::string(FakePanald::kCookie) +
                              ",stream=default,data=default ";

std::string read_exactly(int fd, std::size_t size) {
  std::string out(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = ::read(fd, out.data() + have, size - have);
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  out.resize(have);
  return out;
}

std::string listed(const TestClient&, const std::string& state, DesktopId id) {
  return "[{\"id\":" + std::to_string(id) + ",\"state\":\"" + state +
         "\",\"name\":\"alice-desk\",\"blocked\":0,\"is_application\":0}]\r\n";
}

TEST_F(BrokerProcess, LoginAndList) {
  TestClient client;
  EXPECT_THAT(client.get("/qvd/list_of_vm?"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(client.received, HasSubstr(listed(client, "stopped", alices)));
  const std::string wrong =
      client.get("/qvd/list_of_vm", "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n");
  const std::string unknown =
      client.get("/qvd/list_of_vm", "Authorization: Basic bm9ib2R5OnNlY3JldA==\r\n");
  EXPECT_THAT(wrong, StartsWith("HTTP/1.1 401 Unauthorized\r\n"));
  EXPECT_EQ(wrong, unknown);
  const auto admin = store::Cluster::instance()->as(store::kAdminRole);
  EXPECT_TRUE(eventually([&] {
    const auto rows = admin->audit_rows(10);
    return rows && rows->size() >= 2 && rows->front().action == "login.refused";
  }));
}

TEST_F(BrokerProcess, ServesImagesToNodesAndOnlyToThem) {
  const std::string token = std::string("Authorization: Bearer ") + kToken + "\r\n";
  const std::string object = "/images/objects/ab/" + std::string(62, '0') + ".filez";
  TestClient node;
  EXPECT_THAT(node.get("/images/panal-images", token), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(node.received.ends_with("\r\n\r\nthe list"));
  node.get(object, token);
  EXPECT_TRUE(node.received.ends_with("\r\n\r\n" + std::string(1 << 20, 'x')))
      << node.received.size();
  EXPECT_THAT(node.get("/images/config", token), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(node.get(object), StartsWith("HTTP/1.1 401 ")) << "a user's login is no token";
  EXPECT_THAT(TestClient().get("/images/config", ""), StartsWith("HTTP/1.1 401 "));
}

TEST_F(BrokerProcess, LineFeedsAndLimits) {
  TestClient qt;
  ASSERT_TRUE(qt.send("GET /qvd/ping HTTP/1.1\n\n"));
  EXPECT_TRUE(qt.read_until("I am alive!\r\n"));
  TestClient big;
  ASSERT_TRUE(big.send("GET /qvd/ping HTTP/1.1\r\nA: " + std::string(20000, 'x')));
  EXPECT_TRUE(big.read_to_end());
  EXPECT_THAT(big.received, StartsWith("HTTP/1.1 431 "));
  TestClient none;
  EXPECT_THAT(none.get("/qvd/connect_to_vm?id=" + std::to_string(alices)),
              StartsWith("HTTP/1.1 426 Upgrade Required\r\n"));
  EXPECT_THAT(none.get("/qvd/connect_to_vm?id=" + std::to_string(bobs),
                       std::string(TestClient::kLogin) + TestClient::kUpgrade),
              StartsWith("HTTP/1.1 404 Not Found\r\n"));
}

/// One request over plain TCP, and all of the answer. Empty: nobody is there.
std::string scrape(const std::string& request) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kMetricsPort);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return "";
  EXPECT_EQ(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  return read_exactly(fd.get(), 1 << 20);
}

TEST_F(BrokerProcess, ServesMetricsAtTheirOwnPortAndOnlyThem) {
  const std::string answer = scrape("GET /metrics HTTP/1.1\r\nHost: lab\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, ::testing::EndsWith(FakePanald::kMetrics));
  EXPECT_THAT(scrape("GET /qvd/ping HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(scrape("POST /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
  TestClient client;
  EXPECT_THAT(client.get("/metrics"), StartsWith("HTTP/1.1 404 ")) << "not for users";
  panald.reset();
  EXPECT_THAT(scrape("GET /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 503 "));
}

TEST_F(BrokerProcess, StartConnectSuspendStop) {
  TestClient client;
  ASSERT_TRUE(client.send("GET /qvd/connect_to_vm?id=" + std::to_string(alices) +
                          "&qvd.client.geometry=1024x768&qvd.client.keyboard=pc105%2Fes"
                          "&qvd.client.link=adsl HTTP/1.1\r\n" +
                          TestClient::kLogin + TestClient::kUpgrade + "\r\n"));
  ASSERT_TRUE(client.read_until("X-QVD-VM-Info: Starting desktop alice-desk\r\n"));
  ASSERT_TRUE(eventually([] { return claim(); }));
  ASSERT_TRUE(client.read_until("is composing\r\n"));
  observe(store::Observed::kStarting);
  ASSERT_TRUE(client.read_until("is starting\r\n"));
  observe(store::Observed::kRunning);
  ASSERT_TRUE(client.read_until("X-QVD-VM-Info: nxagent wakes\r\n"));
  ASSERT_TRUE(client.read_until("HTTP/1.1 101 Switching Protocols\r\nX-QVD-Slave-Key: "));
  EXPECT_EQ(panald->last_attach().value("geometry", ""), "1024x768");
  EXPECT_EQ(panald->opens(), 0);
  ASSERT_TRUE(client.send(kGreeting));
  UniqueFd nx = agent();
  EXPECT_EQ(read_exactly(nx.get(), kAdmitted.size()), kAdmitted);
  // The client is killed: the agent's socket ends, and nxagent would suspend itself.
  client.tls.reset();
  char byte = 0;
  EXPECT_EQ(::read(nx.get(), &byte, 1), 0);
  nx.reset();

  TestClient stopper;
  ASSERT_TRUE(stopper.send("GET /qvd/stop_vm?id=" + std::to_string(alices) + " HTTP/1.1\r\n" +
                           TestClient::kLogin + "\r\n"));
  ASSERT_TRUE(stopper.read_until("Stopping desktop alice-desk"));
  observe(store::Observed::kStopping);
  observe(store::Observed::kStopped);
  EXPECT_TRUE(stopper.read_until("Machine stopped\r\n"));
}

TEST_F(BrokerProcess, JunkNeverReachesTheAgent) {
  make_running();
  for (const std::string& junk : {std::string("SSH-2.0-x\r\n"),
                                  std::string("NXPROXY-3.5.0 cookie=") + std::string(32, 'f') + " ",
                                  "NXPROXY-" + std::string(3000, '1')}) {
    const auto client = attached();
    ASSERT_TRUE(client->send(junk));
    EXPECT_TRUE(client->read_to_end());
    EXPECT_EQ(client->received, "");
  }
  EXPECT_EQ(panald->opens(), 0);
}

TEST_F(BrokerProcess, HalfCloseByTheAgent) {
  make_running();
  const auto client = attached();
  ASSERT_TRUE(client->send(kGreeting));
  const UniqueFd nx = agent();
  ASSERT_EQ(read_exactly(nx.get(), kAdmitted.size()), kAdmitted);
  ASSERT_EQ(::write(nx.get(), "bye", 3), 3);
  ::shutdown(nx.get(), SHUT_WR);
  EXPECT_TRUE(client->read_to_end());
  EXPECT_EQ(client->received, "bye");
  ASSERT_TRUE(client->send("still here"));
  EXPECT_EQ(read_exactly(nx.get(), 10), "still here");
}

/// Not random, but no two blocks alike.
std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  std::uint64_t state = 88172645463325252U;
  for (auto& byte : out) {
    state ^= state << 13U;
    state ^= state >> 7U;
    state ^= state << 17U;
    byte = static_cast<char>(state);
  }
  return out;
}

TEST_F(BrokerProcess, SixtyFourMiBBothWaysThroughASlowReader) {
  make_running();
  const auto client = attached();
  ASSERT_TRUE(client->send(kGreeting));
  const UniqueFd nx = agent();
  ASSERT_EQ(read_exactly(nx.get(), kAdmitted.size()), kAdmitted);
  const std::string data = pattern(std::size_t{64} << 20U);
  const pid_t pid = worker();
  ASSERT_GT(pid, 0);
  const long before = status_kib(pid, "VmRSS:");
  // The peak so far was the password check's.
  std::ofstream("/proc/" + std::to_string(pid) + "/clear_refs") << "5";

  // Down: the agent writes all it can, the client reads nothing for a while, then everything.
  std::thread writer([&] {
    std::size_t done = 0;
    while (done < data.size()) {
      const ssize_t put = ::write(nx.get(), data.data() + done, data.size() - done);
      if (put <= 0) break;
      done += static_cast<std::size_t>(put);
    }
  });
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_LT(status_kib(pid, "VmRSS:") - before, 4096);
  client->received.reserve(data.size());
  while (client->received.size() < data.size() && client->read(7000)) {
  }
  writer.join();
  EXPECT_TRUE(client->received == data) << client->received.size();

  // Up: the agent reads in small pieces.
  std::string up;
  up.reserve(data.size());
  std::thread reader([&] {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    std::string part(5000, '\0');
    while (up.size() < data.size()) {
      const ssize_t got = ::read(nx.get(), part.data(), part.size());
      if (got <= 0) break;
      up.append(part, 0, static_cast<std::size_t>(got));
    }
  });
  EXPECT_TRUE(client->send(data));
  reader.join();
  EXPECT_TRUE(up == data) << up.size();
  EXPECT_LT(status_kib(pid, "VmHWM:") - before, 8192);
  std::printf("worker: %ld KiB before, %ld KiB at most\n", before, status_kib(pid, "VmHWM:"));
}

TEST_F(BrokerProcess, IdleTunnelsCostLittle) {
  make_running();
  constexpr int kTunnels = 40;
  const pid_t pid = worker();
  std::vector<std::unique_ptr<TestClient>> clients;
  std::vector<UniqueFd> agents;
  long before = 0;
  for (int i = 0; i <= kTunnels; ++i) {
    clients.push_back(attached());
    ASSERT_TRUE(clients.back()->send(kGreeting));
    agents.push_back(agent());
    ASSERT_EQ(read_exactly(agents.back().get(), kAdmitted.size()), kAdmitted);
    if (i == 0) before = status_kib(pid, "VmRSS:");
  }
  // One more round trip: what the worker does after the greeting is done by then.
  ASSERT_EQ(::write(agents.back().get(), "x", 1), 1);
  ASSERT_TRUE(clients.back()->read_until("x"));
  const long each = (status_kib(pid, "VmRSS:") - before) / kTunnels;
  std::printf("an idle tunnel costs %ld KiB of the worker's memory\n", each);
  EXPECT_LE(each, 40);
}

TEST_F(BrokerProcess, TunnelSurvivesReloadAndParentsDeath) {
  make_running();
  const auto client = attached();
  ASSERT_TRUE(client->send(kGreeting));
  UniqueFd nx = agent();
  ASSERT_EQ(read_exactly(nx.get(), kAdmitted.size()), kAdmitted);
  const std::string first = TestClient().tls->fingerprint();
  std::filesystem::remove(config.state_dir + "/tls/cert.pem");
  std::filesystem::remove(config.state_dir + "/tls/key.pem");
  ::kill(parent, SIGHUP);
  EXPECT_TRUE(eventually([&] { return TestClient().tls->fingerprint() != first; }));
  ASSERT_EQ(::write(nx.get(), "a", 1), 1);
  EXPECT_TRUE(client->read_until("a"));

  const pid_t pid = worker();
  ::kill(parent, SIGKILL);
  EXPECT_EQ(::waitpid(parent, nullptr, 0), parent);
  parent = -1;
  EXPECT_TRUE(eventually([] {
    return !client::TlsConnection::connect("127.0.0.1", kPort, {}).has_value();
  })) << "the port is free for the next broker";
  ASSERT_EQ(::write(nx.get(), "b", 1), 1);
  EXPECT_TRUE(client->read_until("ab"));
  client->tls.reset();
  nx.reset();  // as nxagent does when its link is gone
  EXPECT_TRUE(eventually([&] { return ::kill(pid, 0) != 0 || status_kib(pid, "VmRSS:") < 0; }))
      << "it ends with its last tunnel";
}

TEST_F(BrokerProcess, AWorkerWhoseBrokerWasKilledIsFoundByItsMark) {
  make_running();
  const auto client = attached();
  ASSERT_TRUE(client->send(kGreeting));
  UniqueFd nx = agent();
  ASSERT_EQ(read_exactly(nx.get(), kAdmitted.size()), kAdmitted);
  const pid_t pid = worker();
  ::kill(parent, SIGKILL);
  EXPECT_EQ(::waitpid(parent, nullptr, 0), parent);
  parent = -1;
  const auto marked = marked_processes(config.broker_workers_file());
  ASSERT_TRUE(marked) << marked.error().message();
  ASSERT_EQ(marked->size(), 1U) << "the worker and not its broker";
  EXPECT_EQ(marked->front().pid(), pid);
  // What `panal down` does with it: no client is left hanging, and nobody is waited for.
  EXPECT_TRUE(marked->front().send_signal(SIGTERM));
  EXPECT_TRUE(marked->front().wait_exit(std::chrono::seconds(5)).value_or(false));
  EXPECT_TRUE(client->read_to_end());
  EXPECT_TRUE(marked_processes(config.broker_workers_file())->empty());
}

TEST_F(BrokerProcess, DeadWorkerIsReplaced) {
  const pid_t pid = worker();
  ASSERT_GT(pid, 0);
  ::kill(pid, SIGKILL);
  EXPECT_TRUE(eventually([&] { return worker() > 0 && worker() != pid; }));
  TestClient client;
  EXPECT_THAT(client.get("/qvd/ping"), HasSubstr("I am alive!"));
}

TEST_F(BrokerProcess, DatabaseAndPanaldDownAndBackAgain) {
  make_running();
  TestClient client;
  EXPECT_THAT(client.get("/qvd/list_of_vm"), StartsWith("HTTP/1.1 200 "));
  store::Cluster::instance()->stop(SIGINT);
  EXPECT_THAT(client.get("/qvd/list_of_vm"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(client.received, HasSubstr("database does not answer"));
  store::Cluster::instance()->start();
  EXPECT_TRUE(
      eventually([&] { return client.get("/qvd/list_of_vm").starts_with("HTTP/1.1 200 "); }));

  panald.reset();
  const std::string target = "/qvd/connect_to_vm?id=" + std::to_string(alices);
  const std::string headers = std::string(TestClient::kLogin) + TestClient::kUpgrade;
  client.received.clear();
  ASSERT_TRUE(client.send("GET " + target + " HTTP/1.1\r\n" + headers + "\r\n"));
  EXPECT_TRUE(client.read_until("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_TRUE(client.read_until("panal status.\r\n"));
  panald = std::make_unique<FakePanald>(config.node_socket());
  ASSERT_TRUE(client.send("GET " + target + " HTTP/1.1\r\n" + headers + "\r\n"));
  EXPECT_TRUE(client.read_until("HTTP/1.1 101 "));
}

}  // namespace
}  // namespace panal::broker
