// What QVD's published clients send, byte for byte as far as it differs between them: line ends,
// headers that are missing, several requests on one TLS connection. Their programs are not here.
#include <gmock/gmock.h>

#include <cctype>

#include "tests/system/broker/broker_process.h"

namespace panal::broker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// The 64 letters and digits QVD's clients store for their slave channel.
std::string slave_key(const std::string& answer) {
  const std::string name = "\r\nX-QVD-Slave-Key: ";
  const auto at = answer.find(name);
  if (at == std::string::npos) return "";
  const auto begin = at + name.size();
  return answer.substr(begin, answer.find("\r\n", begin) - begin);
}

class OtherClients : public BrokerProcess {
 protected:
  static std::string id() { return std::to_string(alices); }

  /// Sends the request as it is and reads one whole final answer.
  static std::string ask(TestClient& client, const std::string& request) {
    client.received.clear();
    EXPECT_TRUE(client.send(request));
    EXPECT_TRUE(client.read_until("\r\n\r\n")) << client.received;
    const auto length = client.received.find("\r\nContent-Length: ");
    EXPECT_NE(length, std::string::npos) << client.received;
    if (length == std::string::npos) return "";
    const std::size_t body = std::stoul(client.received.substr(length + 18));
    // A Qt client ends a reply when body bytes have come: an empty body hangs it.
    EXPECT_GT(body, 0U) << client.received;
    const std::size_t whole = client.received.find("\r\n\r\n") + 4 + body;
    EXPECT_TRUE(eventually([&] { return client.received.size() >= whole || !client.read(); }));
    EXPECT_EQ(client.received.size(), whole) << client.received;
    return client.received;
  }

  /// Connects on a connection that has asked before, and says hello as nxproxy does.
  void connect(TestClient& client, const std::string& request) {
    client.received.clear();
    ASSERT_TRUE(client.send(request));
    ASSERT_TRUE(client.read_until("HTTP/1.1 101 Switching Protocols\r\n")) << client.received;
    ASSERT_TRUE(
        eventually([&] { return client.received.ends_with("\r\n\r\n") || !client.read(); }));
    const std::string key = slave_key(client.received);
    EXPECT_EQ(key.size(), 64U);
    for (const char letter : key) EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(letter)));
    // Every line the broker sends ends in CRLF, whatever the client's do.
    for (std::size_t at = 0; (at = client.received.find('\n', at)) != std::string::npos; ++at) {
      ASSERT_GT(at, 0U);
      EXPECT_EQ(client.received[at - 1], '\r');
    }
    client.received.clear();
    ASSERT_TRUE(client.send("NXPROXY-3.5.0-3.5.99 stream=default,data=default "));
    const UniqueFd nx = agent();
    char first = 0;
    ASSERT_EQ(::read(nx.get(), &first, 1), 1);
    EXPECT_EQ(first, 'N');
    ASSERT_EQ(::write(nx.get(), "pong", 4), 4);
    EXPECT_TRUE(client.read_until("pong"));
    EXPECT_EQ(client.received, "pong");
  }
};

// Bare line feeds, no Host, the slash-less list, then connect on the same TLS connection.
TEST_F(OtherClients, QtListsAndConnects) {
  make_running();
  TestClient client;
  const std::string login = "Authorization: Basic YWxpY2U6c2VjcmV0\n";
  const std::string agent_name = "User-Agent: QVDClient Qt/0.01 (Linux)\n";
  const std::string list = ask(client, "GET /qvd/list_of_vm HTTP/1.1\n" + login + agent_name +
                                           "Auth-4c414e47: ZXM=\nAccept: application/json\n\n");
  EXPECT_THAT(list, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(list, HasSubstr("\r\nContent-Type: application/json"));
  EXPECT_THAT(list, HasSubstr("\"blocked\":0,"));
  connect(client, "GET /qvd/connect_to_vm?id=" + id() +
                      "&qvd.client.type=qt&qvd.client.keyboard=pc105%2Fus&qvd.client.os=linux"
                      "&qvd.client.nxagent.extra_args=&qvd.client.geometry=1024x768"
                      "&qvd.client.fullscreen=0&qvd.client.printing.enabled=0"
                      "&qvd.client.usb.enabled=0&qvd.client.usb.implementation=usbip"
                      "&qvd.client.link=local&qvd.client.audio.sound.enable=0"
                      "&qvd.client.audio.microphone.enable=0&qvd.client.audio.compression.enable=0"
                      "&qvd.client.timezone=Europe%2FMadrid HTTP/1.1\n" +
                      login + agent_name + "Connection: Upgrade\nUpgrade: QVD/1.0\n\n");
  EXPECT_EQ(panald->last_attach().value("geometry", ""), "1024x768");
  EXPECT_EQ(panald->last_attach().value("keyboard", ""), "pc105/us");
}

// The C library lists through libcurl (CRLF, Host, its own connection) and connects by itself.
TEST_F(OtherClients, CLibraryListsAndConnects) {
  make_running();
  {
    TestClient curl;
    EXPECT_THAT(ask(curl, "GET /qvd/list_of_vm HTTP/1.1\r\nHost: 127.0.0.1:18443\r\n" +
                              std::string(TestClient::kLogin) +
                              "User-Agent: libqvdclient\r\nAccept: */*\r\n\r\n"),
                HasSubstr("\"id\":" + id() + ","));
  }
  TestClient client;
  connect(client, "GET /qvd/connect_to_vm?id=" + id() +
                      "&qvd.client.os=linux&qvd.client.geometry=800x600&qvd.client.link=adsl"
                      "&qvd.client.keyboard=pc105%2Fen&qvd.client.fullscreen=0 HTTP/1.1\n"
                      "Authorization: Basic YWxpY2U6c2VjcmV0\n"
                      "Connection: Upgrade\nUpgrade: QVD/1.0\n\n");
}

// Login refused, then right, then list, stop and connect, all on one connection: how the Perl
// client restarts a session. It sends the upgrade headers with the stop as well.
TEST_F(OtherClients, PerlRestartsOnOneConnection) {
  make_running();
  TestClient client;
  const std::string agent_name = "User-Agent: QVD::HTTPC/0.01 (linux)\r\n";
  const std::string list = "GET /qvd/list_of_vm? HTTP/1.1\r\n";
  EXPECT_THAT(ask(client, list + "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n" + agent_name + "\r\n"),
              StartsWith("HTTP/1.1 401 Unauthorized\r\n"));
  EXPECT_THAT(client.received, HasSubstr("\r\nWWW-Authenticate: Basic realm=\"QVD\"\r\n"));
  EXPECT_THAT(
      ask(client, list + TestClient::kLogin + "Accept: application/json\r\n" + agent_name + "\r\n"),
      HasSubstr("\"state\":\"running\""));
  EXPECT_THAT(ask(client, "GET /qvd/list_of_applications HTTP/1.1\r\n" +
                              std::string(TestClient::kLogin) + agent_name + "\r\n"),
              HasSubstr("\r\n\r\n[]"));

  client.received.clear();
  ASSERT_TRUE(client.send("GET /qvd/stop_vm?id=" + id() + " HTTP/1.1\r\n" + TestClient::kLogin +
                          TestClient::kUpgrade + agent_name + "\r\n"));
  ASSERT_TRUE(client.read_until("HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: "));
  observe(store::Observed::kStopping);
  observe(store::Observed::kStopped);
  ASSERT_TRUE(client.read_until("Machine stopped\r\n"));
  EXPECT_THAT(client.received, HasSubstr("HTTP/1.1 200 OK\r\n"));

  // The order is a hash's, and what is not set is sent empty.
  const std::string request =
      "GET /qvd/connect_to_vm?qvd.client.usb.enabled=0&qvd.client.usb.implementation=USBIP"
      "&qvd.client.link=adsl&qvd.client.audio.redirect.port=&id=" +
      id() +
      "&qvd.client.nxagent.extra_args=&qvd.client.keyboard=pc105%2Fes"
      "&qvd.client.audio.redirect.enable=&qvd.client.os=linux&qvd.client.fullscreen="
      "&qvd.client.geometry=1024x768&qvd.client.printing.enabled=1"
      "&qvd.client.audio.compression.enable=1&qvd.client.audio.redirect.server= HTTP/1.1\r\n" +
      TestClient::kLogin + TestClient::kUpgrade + agent_name + "\r\n";
  client.received.clear();
  ASSERT_TRUE(client.send(request));
  ASSERT_TRUE(client.read_until("X-QVD-VM-Info: Starting desktop alice-desk\r\n"));
  ASSERT_TRUE(eventually([] { return claim(); }));
  observe(store::Observed::kRunning);
  ASSERT_TRUE(client.read_until("HTTP/1.1 101 Switching Protocols\r\n"));
  EXPECT_THAT(client.received, Not(HasSubstr("HTTP/1.1 4")));
}

// Each refusal has a length and a body, and leaves the connection usable.
TEST_F(OtherClients, RefusalsLeaveTheConnectionOpen) {
  TestClient client;
  const std::string login = TestClient::kLogin;
  const std::string upgrade = TestClient::kUpgrade;
  const std::string path = "GET /qvd/connect_to_vm";
  EXPECT_THAT(ask(client, path + "?id=" + id() + " HTTP/1.1\r\n" + upgrade + "\r\n"),
              StartsWith("HTTP/1.1 401 Unauthorized\r\n"));
  EXPECT_THAT(ask(client, path + "?id=" + id() + " HTTP/1.1\n" + login + "\n"),
              StartsWith("HTTP/1.1 426 Upgrade Required\r\n"));
  EXPECT_THAT(ask(client, path + " HTTP/1.1\r\n" + login + upgrade + "\r\n"),
              StartsWith("HTTP/1.1 422 Unprocessable Entity\r\n"));
  EXPECT_THAT(
      ask(client, path + "?id=" + id() + "&other=1 HTTP/1.1\r\n" + login + upgrade + "\r\n"),
      StartsWith("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_THAT(ask(client, path + "?id=999999 HTTP/1.1\r\n" + login + upgrade + "\r\n"),
              StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(ask(client, "GET /qvd/nothing HTTP/1.1\r\n" + login + "\r\n"),
              StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(ask(client, "GET /qvd/ping HTTP/1.1\n\n"), HasSubstr("I am alive!\r\n"));
}

}  // namespace
}  // namespace panal::broker
