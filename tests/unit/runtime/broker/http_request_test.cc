#include <gtest/gtest.h>

#include "runtime/broker/http/encoding.h"
#include "runtime/broker/http/request.h"
#include "runtime/broker/http/response.h"

namespace panal::http {
namespace {

using State = RequestParser::State;

TEST(HttpRequest, PerlClientsRequest) {
  RequestParser parser;
  const std::string bytes =
      "GET /qvd/list_of_vm? HTTP/1.1\r\nAuthorization: Basic YTpi\r\nAccept: application/json\r\n"
      "User-Agent: QVD::HTTPC/0.01 (linux)\r\n\r\nNEXT";
  EXPECT_EQ(parser.feed(bytes), bytes.size() - 4);
  ASSERT_EQ(parser.state(), State::kDone);
  EXPECT_EQ(parser.request().path, "/qvd/list_of_vm");
  EXPECT_EQ(parser.request().query, "");
  EXPECT_EQ(parser.request().header("authorization"), "Basic YTpi");
  EXPECT_FALSE(parser.request().header("Host"));
  EXPECT_TRUE(parser.request().keep_alive());
}

TEST(HttpRequest, QtClientsBareLineFeedsByteByByte) {
  RequestParser parser;
  const std::string bytes =
      "GET /qvd/connect_to_vm?id=3&qvd.client.type=qt HTTP/1.1\nConnection: Upgrade\n"
      "Upgrade: QVD/1.0\n\n";
  for (const char c : bytes) {
    ASSERT_EQ(parser.state(), State::kMore);
    EXPECT_EQ(parser.feed(std::string_view(&c, 1)), 1U);
  }
  ASSERT_EQ(parser.state(), State::kDone);
  EXPECT_EQ(parser.request().query, "id=3&qvd.client.type=qt");
  EXPECT_TRUE(parser.request().header_has("connection", "upgrade"));
  EXPECT_FALSE(parser.request().header_has("connection", "close"));
}

TEST(HttpRequest, KeepAliveRules) {
  const auto keeps = [](const std::string& bytes) {
    RequestParser parser;
    parser.feed(bytes);
    EXPECT_EQ(parser.state(), State::kDone) << bytes;
    return parser.request().keep_alive();
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n"));
  EXPECT_TRUE(keeps("\r\n\nGET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"));
}

struct Malformed {
  const char* name;
  std::string bytes;
  int status;
};

std::string many_headers() {
  std::string bytes = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 101; ++i) bytes += "A: b\r\n";
  return bytes;
}

std::string big_head() {
  std::string bytes = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 9; ++i) bytes += "A: " + std::string(4000, 'x') + "\r\n";
  return bytes;
}

TEST(HttpRequest, MalformedTable) {
  using namespace std::string_literals;
  const std::vector<Malformed> table = {
      {"one word", "GET\r\n", 400},
      {"no version", "GET /\r\n", 400},
      {"TLS hello", "\x16\x03\x01\x02 /x y\n"s, 400},
      {"bad method", "G(T / HTTP/1.1\r\n", 400},
      {"no path", "GET http://x/ HTTP/1.1\r\n", 400},
      {"star", "OPTIONS * HTTP/1.1\r\n", 400},
      {"space in target", "GET /a b HTTP/1.1\r\n", 400},
      {"control in target", "GET /a\x01 HTTP/1.1\r\n", 400},
      {"NUL in target", "GET /a\0b HTTP/1.1\r\n"s, 400},
      {"8-bit target", "GET /\xc3\xbc HTTP/1.1\r\n", 400},
      {"HTTP/2", "PRI * HTTP/2.0\r\n", 505},
      {"HTTP/0.9 number", "GET / HTTP/0.9\r\n", 505},
      {"lower case version", "GET / http/1.1\r\n", 400},
      {"long version", "GET / HTTP/1.1x\r\n", 505},
      {"long line", "GET /" + std::string(9000, 'a'), 414},
      {"long header", "GET / HTTP/1.1\r\nA: " + std::string(9000, 'a'), 431},
      {"big head", big_head(), 431},
      {"many headers", many_headers(), 431},
      {"no colon", "GET / HTTP/1.1\r\nHost\r\n", 400},
      {"blank before colon", "GET / HTTP/1.1\r\nHost : x\r\n", 400},
      {"folded", "GET / HTTP/1.1\r\nA: b\r\n c: d\r\n", 400},
      {"empty name", "GET / HTTP/1.1\r\n: x\r\n", 400},
      {"NUL in value", "GET / HTTP/1.1\r\nA: b\0c\r\n"s, 400},
      {"CR in value", "GET / HTTP/1.1\r\nA: b\rC: d\r\n", 400},
      {"body length", "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400},
      {"length with sign", "GET / HTTP/1.1\r\nContent-Length: +0\r\n\r\n", 400},
      {"chunked", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"two logins", "GET / HTTP/1.1\r\nAuthorization: a\r\nauthorization: b\r\n\r\n", 400},
      {"only empty lines", std::string(100, '\n'), 400},
  };
  for (const auto& row : table) {
    RequestParser whole;
    whole.feed(row.bytes);
    EXPECT_EQ(whole.state(), State::kBad) << row.name;
    EXPECT_EQ(whole.status(), row.status) << row.name;
    EXPECT_FALSE(whole.reason().empty()) << row.name;
    RequestParser bytewise;
    for (const char c : row.bytes) bytewise.feed(std::string_view(&c, 1));
    EXPECT_EQ(bytewise.status(), row.status) << row.name << ", byte by byte";
  }
}

TEST(HttpQuery, Decodes) {
  const auto query = parse_query("id=4&&qvd.client.keyboard=pc105%2Fes&a=b+c%2b&empty=&flag");
  ASSERT_TRUE(query);
  const Query expected = {
      {"id", "4"}, {"qvd.client.keyboard", "pc105/es"}, {"a", "b c+"}, {"empty", ""}, {"flag", ""}};
  EXPECT_EQ(*query, expected);
  EXPECT_TRUE(parse_query("")->empty());
}

TEST(HttpQuery, Malformed) {
  for (const char* text : {"a=%", "a=%1", "a=%zz", "%g0=1", "a=%00"}) {
    EXPECT_FALSE(parse_query(text)) << text;
  }
  std::string many;
  for (int i = 0; i < 65; ++i) many += "a=1&";
  EXPECT_FALSE(parse_query(many));
}

TEST(Base64, DecodesAndRefuses) {
  EXPECT_EQ(base64_decode("YWxpY2U6c2VjcmV0"), "alice:secret");
  EXPECT_EQ(base64_decode("YQ=="), "a");
  EXPECT_EQ(base64_decode("YWI="), "ab");
  EXPECT_EQ(base64_decode(""), "");
  for (const char* text :
       {"Y", "YQ", "YQ=", "YR==", "YWJ=", "====", "Y===", "Y Q=", "YQ==\n", "=YQ="}) {
    EXPECT_FALSE(base64_decode(text)) << text;
  }
}

TEST(HttpResponse, SpelledForQvdsClients) {
  EXPECT_EQ(
      to_bytes(text(404, "gone")),
      "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\ngone\r\n");
  Response empty;
  empty.status = 401;
  empty.headers = {{"WWW-Authenticate", "Basic realm=\"QVD\""}};
  empty.close = true;
  EXPECT_EQ(to_bytes(empty),
            "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n"
            "WWW-Authenticate: Basic realm=\"QVD\"\r\nConnection: close\r\n\r\nUnauthorized\r\n");
  EXPECT_EQ(to_bytes(text(200, "x"), true),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(progress_bytes("line\r\nHTTP/1.1 200"),
            "HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: line\\x0d\\x0aHTTP/1.1 200\r\n\r\n");
  EXPECT_EQ(switching_bytes({{"X-QVD-Slave-Key", "k"}}),
            "HTTP/1.1 101 Switching Protocols\r\nX-QVD-Slave-Key: k\r\n\r\n");
}

}  // namespace
}  // namespace panal::http
