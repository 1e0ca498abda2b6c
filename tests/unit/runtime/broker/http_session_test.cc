#include "broker_fixture.h"

namespace panal::broker {
namespace {

TEST_F(BrokerTest, ListsOwnDesktops) {
  const auto out = get("/qvd/list_of_vm?");
  EXPECT_TRUE(is(out, 200)) << out;
  EXPECT_NE(out.find("Content-Type: application/json\r\n"), std::string::npos);
  EXPECT_TRUE(
      out.ends_with("\r\n\r\n[{\"id\":4,\"state\":\"running\",\"name\":\"alice-desk\","
                    "\"blocked\":0,\"is_application\":0}]\r\n"))
      << out;
}

TEST_F(BrokerTest, BareLineFeedsAndKeepAlive) {
  send("GET /qvd/ping HTTP/1.1\n\n");
  EXPECT_TRUE(answer().ends_with("\r\n\r\nI am alive!\r\n"));
  EXPECT_TRUE(is(get("/qvd/list_of_applications"), 200));
  EXPECT_TRUE(get("/qvd/authenticate_user").ends_with("{}\r\n"));
  EXPECT_TRUE(is(get("/"), 200));
  EXPECT_TRUE(is(get("/nothing"), 404));
}

TEST_F(BrokerTest, WrongPasswordUnknownAndBlockedSayTheSame) {
  const auto wrong = get("/qvd/list_of_vm", "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n");
  const auto unknown = get("/qvd/list_of_vm", "Authorization: Basic bm9ib2R5OnNlY3JldA==\r\n");
  const auto blocked = get("/qvd/list_of_vm", "Authorization: Basic bWFsbG9yeTpzZWNyZXQ=\r\n");
  EXPECT_TRUE(is(wrong, 401)) << wrong;
  EXPECT_NE(wrong.find("WWW-Authenticate: Basic realm=\"QVD\"\r\n"), std::string::npos);
  EXPECT_EQ(wrong, unknown);
  EXPECT_EQ(wrong, blocked);
  // The connection stays open, and a right login works on it.
  EXPECT_TRUE(is(get("/qvd/list_of_vm"), 200));
  EXPECT_TRUE(wait([this] { return db.copy(db.audit).size() == 3; }));
}

TEST_F(BrokerTest, WrongPasswordUnknownAndBlockedTakeTheSameWork) {
  for (const char* login : {"YWxpY2U6d3Jvbmc=", "bm9ib2R5OnNlY3JldA==", "bWFsbG9yeTpzZWNyZXQ="})
    EXPECT_TRUE(
        is(get("/qvd/list_of_vm", std::string("Authorization: Basic ") + login + "\r\n"), 401));
  // One check each, at one price; and the price is all that the clock can tell of it.
  const std::lock_guard lock(checks_mutex);
  ASSERT_EQ(checks.size(), 3U);
  const auto alices = auth::cost_of(db.users["alice@default"].password_hash).value();
  for (const std::string& hash : checks) {
    const auto cost = auth::cost_of(hash);
    ASSERT_TRUE(cost);
    EXPECT_EQ(cost->memory_kib, alices.memory_kib);
    EXPECT_EQ(cost->passes, alices.passes);
  }
}

TEST_F(BrokerTest, LoginForms) {
  EXPECT_TRUE(is(get("/qvd/list_of_vm", ""), 401));
  EXPECT_TRUE(is(get("/qvd/list_of_vm", "Authorization: Bearer YWJj\r\n"), 401));
  EXPECT_TRUE(is(get("/qvd/list_of_vm", "Authorization: Basic !!!\r\n"), 400));
  EXPECT_TRUE(is(get("/qvd/list_of_vm", "Authorization: Basic YWxpY2U=\r\n"), 400));
  // alice@default:secret
  EXPECT_TRUE(
      is(get("/qvd/list_of_vm", "Authorization: Basic YWxpY2VAZGVmYXVsdDpzZWNyZXQ=\r\n"), 200));
  // alice@other:secret
  EXPECT_TRUE(is(get("/qvd/list_of_vm", "Authorization: Basic YWxpY2VAb3RoZXI6c2VjcmV0\r\n"), 401));
}

TEST_F(BrokerTest, CachedLoginIsForgottenForOtherCredentials) {
  EXPECT_TRUE(is(get("/qvd/list_of_vm"), 200));
  {
    const std::lock_guard lock(db.mutex);
    db.users.clear();
  }
  EXPECT_TRUE(is(get("/qvd/list_of_vm"), 200)) << "cached for the connection";
  EXPECT_TRUE(is(get("/qvd/list_of_vm", "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n"), 401));
  EXPECT_TRUE(is(get("/qvd/list_of_vm"), 401)) << "a failed login ends the cached one";
}

TEST_F(BrokerTest, RefusesOtherMethodsAndBodies) {
  send("POST / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(is(answer(), 405));
  EXPECT_TRUE(wait_closed());
  connect();
  send("GET / HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET ");
  EXPECT_TRUE(is(answer(), 400));
  EXPECT_TRUE(wait_closed());
  connect();
  send("HEAD /qvd/ping HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(wait_closed());
  EXPECT_TRUE(received.ends_with("Content-Length: 13\r\nConnection: close\r\n\r\n")) << received;
}

TEST_F(BrokerTest, SlowRequestGets408AndSilenceIsClosed) {
  services.timing.head = std::chrono::milliseconds(50);
  connect();
  send("GET /qvd/ping HT");
  EXPECT_TRUE(is(answer(), 408));
  EXPECT_TRUE(wait_closed());
  connect();
  EXPECT_TRUE(wait_closed());
  EXPECT_EQ(received, "");
}

TEST_F(BrokerTest, HalfClosedClientStillGetsItsAnswer) {
  send(std::string("GET /qvd/list_of_vm HTTP/1.1\r\n") + kLogin + "\r\n");
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_TRUE(is(answer(), 200));
  EXPECT_TRUE(wait_closed());
}

TEST_F(BrokerTest, DatabaseDownAndUpAgain) {
  db.down = true;
  const auto out = get("/qvd/list_of_vm");
  EXPECT_TRUE(is(out, 503)) << out;
  EXPECT_NE(out.find("database"), std::string::npos);
  db.down = false;
  EXPECT_TRUE(wait([this] { return is(get("/qvd/list_of_vm"), 200); }));
}

TEST_F(BrokerTest, ConnectRefusals) {
  const std::string up = kConnect;
  const std::string no_upgrade = kLogin;
  const std::string wrong = no_upgrade + "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  const struct {
    std::string target, headers;
    int status;
  } table[] = {
      {"?id=4", no_upgrade, 426},
      {"?id=4", wrong, 426},
      {"", no_upgrade, 426},
      {"", up, 422},
      {"?id=", up, 422},
      {"?id=x", up, 422},
      {"?id=-4", up, 422},
      {"?id=4&id=5", up, 422},
      {"?id=99999999999999999999", up, 422},
      {"?id=4&foo=1", up, 403},
      {"?id=4&qvd.server.x=1", up, 403},
      {"?id=%zz", up, 400},
      {"?id=6", up, 404},
      {"?id=5", up, 404},
      {"?id=4&qvd.client.geometry=1024", up, 422},
      {"?id=4&qvd.client.geometry=1024x768,foo%3Dbar", up, 422},
      {"?id=4&qvd.client.geometry=10x10", up, 422},
      {"?id=4&qvd.client.keyboard=pc105%2Fes,a%3Db", up, 422},
      {"?id=4&qvd.client.link=lan,cookie%3Dx", up, 422},
  };
  for (const auto& row : table) {
    const auto out = get("/qvd/connect_to_vm" + row.target, row.headers);
    EXPECT_TRUE(is(out, row.status)) << row.target << ": " << out;
  }
  EXPECT_EQ(get("/qvd/connect_to_vm?id=5", kConnect), get("/qvd/connect_to_vm?id=6", kConnect))
      << "somebody else's desktop does not exist";
  EXPECT_TRUE(node.attaches.empty());
  EXPECT_TRUE(db.copy(db.wishes).empty());
}

TEST_F(BrokerTest, StopWaitsUntilStopped) {
  send(std::string("GET /qvd/stop_vm?id=4 HTTP/1.1\r\n") + kLogin + "\r\n");
  EXPECT_TRUE(wait_text("HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: Stopping"));
  db.change(4, store::Observed::kStopping);
  EXPECT_TRUE(wait_text("is stopping"));
  db.change(4, store::Observed::kStopped);
  EXPECT_TRUE(wait_text("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(received.ends_with("Machine stopped\r\n"));
  EXPECT_EQ(db.copy(db.wishes), std::vector<std::string>{"alice@default stopped 4"});
}

TEST_F(BrokerTest, StopOfForeignDesktopIsRefused) {
  EXPECT_TRUE(is(get("/qvd/stop_vm?id=5"), 404));
  EXPECT_TRUE(is(get("/qvd/stop_vm"), 422));
  EXPECT_TRUE(db.copy(db.wishes).empty());
}

}  // namespace
}  // namespace panal::broker
