// The client against a small server of our own: what it says, what it makes of each answer.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "runtime/client/pump.h"
#include "runtime/client/session.h"
#include "tests/unit/runtime/client/fake_server.h"

namespace panal::client {
namespace {

using testing::FakeConnection;
using testing::FakeServer;

constexpr const char* kList =
    R"([{"id":7,"name":"office","state":"running","blocked":0,"is_application":0}])";
constexpr const char* kCookie = "00112233445566778899aabbccddeeff";

class Conversation : public ::testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);
    char name[] = "/tmp/panal-client-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    setenv("XDG_RUNTIME_DIR", directory_.c_str(), 1);
    setenv("DISPLAY", ":99", 1);
    options_.keyboard = "pc105/us";
    options_.desktop = "office";
    target_.host = "localhost";
    target_.login = "eva@school";
    target_.password = "secret";
    target_.pin_file = directory_ + "/known_servers";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void write_file(const std::string& name, const std::string& text, bool executable = false) {
    std::ofstream(directory_ + "/" + name) << text;
    if (executable) ::chmod((directory_ + "/" + name).c_str(), 0700);
  }
  std::string read_file(const std::string& name) {
    std::ifstream in(directory_ + "/" + name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // A stand-in for nxproxy: keeps its options and arguments, greets, then does `rest` (python).
  void fake_nxproxy(const std::string& rest) {
    write_file("nxproxy", R"(#!/usr/bin/python3
import os, signal, socket, stat, sys, urllib.parse
word = sys.argv[2]
file = urllib.parse.unquote(word.split('options=')[1].rsplit(':', 1)[0])
here = os.path.dirname(os.path.abspath(sys.argv[0]))
text = open(file).read()
open(here + '/seen', 'w').write('%o %o %s' % (os.stat(file).st_mode & 0o777,
    os.stat(os.path.dirname(file)).st_mode & 0o777, text))
open(here + '/argv', 'w').write(' '.join(sys.argv[1:]))
fields = dict(f.split('=', 1) for f in text.strip().rsplit(':', 1)[0].split(',')[1:])
link = socket.socket(socket.AF_UNIX)
link.connect(urllib.parse.unquote(fields['connect'])[len('unix:'):])
cookie = 'cookie=' + fields['cookie'] + ',' if 'cookie' in fields else ''
link.sendall(('NXPROXY-3.5.0-3.5.99 ' + cookie + 'stream=default,data=default ').encode())
)" + rest,
               true);
    options_.nxproxy = directory_ + "/nxproxy";
  }
  Outcome<void> connect(std::uint16_t port, int retries = 0, int stop_fd = -1) {
    target_.port = port;
    return run_with_retries(target_, options_, retries, stop_fd,
                            [this](const std::string& line) { told_.push_back(line); });
  }
  [[nodiscard]] bool was_told(const std::string& part) const {
    for (const auto& line : told_)
      if (line.find(part) != std::string::npos) return true;
    return false;
  }

  std::string directory_;
  Target target_;
  ConnectOptions options_;
  std::vector<std::string> told_;
};

void give_list(FakeConnection& connection) {
  connection.read_head();
  connection.answer(200, "OK", kList);
}

void switch_protocols(FakeConnection& connection) {
  connection.write(std::string("HTTP/1.1 101 Switching Protocols\r\nX-Panal-Cookie: ") + kCookie +
                   "\r\n\r\n");
}

TEST_F(Conversation, AWholeSession) {
  fake_nxproxy(R"(
answer = link.recv(100)
open(here + '/answer', 'wb').write(answer)
link.close()
)");
  std::string list_request, connect_request, greeting;
  FakeServer server({[&](FakeConnection& c) {
    list_request = c.read_head();
    c.answer(200, "OK", kList);
    connect_request = c.read_head();
    c.write("HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: Starting virtual machine\r\n\r\n");
    c.write("HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: evil \033[2J\r\n\r\n");
    switch_protocols(c);
    greeting = c.read_some();
    c.write("hello nxproxy");
    while (!c.read_some().empty()) {
    }
  }});
  options_.geometry = "1024x768";
  options_.keyboard = "pc105/es";
  const auto ended = connect(server.port());
  EXPECT_TRUE(ended) << ended.error().sentence;
  EXPECT_TRUE(list_request.starts_with("GET /qvd/list_of_vm HTTP/1.1\r\n")) << list_request;
  EXPECT_NE(list_request.find("Authorization: Basic ZXZhQHNjaG9vbDpzZWNyZXQ=\r\n"),
            std::string::npos);
  EXPECT_TRUE(connect_request.starts_with("GET /qvd/connect_to_vm?id=7&")) << connect_request;
  for (const char* part :
       {"Connection: Upgrade\r\n", "Upgrade: QVD/1.0\r\n", "qvd.client.geometry=1024x768",
        "qvd.client.keyboard=pc105%2Fes", "qvd.client.link=lan", "qvd.client.fullscreen=0"}) {
    EXPECT_NE(connect_request.find(part), std::string::npos) << part;
  }
  EXPECT_TRUE(was_told("Starting virtual machine"));
  EXPECT_TRUE(was_told("evil \\x1b[2J")) << "control characters reached the terminal";
  EXPECT_EQ(greeting, std::string("NXPROXY-3.5.0-3.5.99 cookie=") + kCookie +
                          ",stream=default,data=default ");
  EXPECT_EQ(read_file("answer"), "hello nxproxy");
  EXPECT_TRUE(read_file("seen").starts_with("600 700 ")) << read_file("seen");
  EXPECT_EQ(read_file("argv").find(kCookie), std::string::npos) << "the cookie is in an argument";
  for (const auto& entry : std::filesystem::directory_iterator(directory_))
    EXPECT_FALSE(entry.is_directory()) << "left behind: " << entry.path();
}

TEST_F(Conversation, WithoutACookieOnRequest) {
  // Until the end: one that leaves at the first bytes races with the good-bye.
  fake_nxproxy("while link.recv(100): pass\n");
  options_.send_cookie = false;
  std::string greeting;
  FakeServer server({[&](FakeConnection& c) {
    give_list(c);
    c.read_head();
    switch_protocols(c);
    greeting = c.read_some();
    c.write("hello");
    c.say_goodbye();
  }});
  EXPECT_TRUE(connect(server.port()));
  EXPECT_EQ(greeting, "NXPROXY-3.5.0-3.5.99 stream=default,data=default ");
  EXPECT_TRUE(was_told("the server ended the session"));
}

TEST_F(Conversation, ADesktopThatGoesWithoutAnNxGoodbyeHasNotEndedTheSession) {
  // What nxproxy 3.5.99.26 logs when nxagent died; it exits with 0 all the same. When a session is
  // stopped, suspended or taken over, nxagent says good-bye and this line does not come.
  fake_nxproxy(R"(
while link.recv(100): pass
print('Error: Failure reading from the peer proxy.')
print('Error: Connection with remote peer broken.')
print('Error: Please check the state of your network and retry.', flush=True)
)");
  FakeServer server({[&](FakeConnection& c) {
    give_list(c);
    c.read_head();
    switch_protocols(c);
    c.read_some();
    c.write("hello");
    c.say_goodbye();
  }});
  const auto ended = connect(server.port());
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().exit, Exit::kSession);
  EXPECT_TRUE(ended.error().passing) << "--retry would not try again";
  EXPECT_EQ(ended.error().sentence, "the desktop's session broke off");
  EXPECT_FALSE(was_told("the server ended the session"));
}

TEST_F(Conversation, ADyingNxproxyIsAnAbnormalEnd) {
  fake_nxproxy("os.kill(os.getpid(), signal.SIGSEGV)\n");
  FakeServer server({[&](FakeConnection& c) {
    give_list(c);
    c.read_head();
    switch_protocols(c);
    while (!c.read_some().empty()) {
    }
  }});
  const auto ended = connect(server.port());
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().exit, Exit::kSession);
  EXPECT_NE(ended.error().sentence.find("signal 11"), std::string::npos);
  EXPECT_NE(ended.error().sentence.find("refuses"), std::string::npos);
}

TEST_F(Conversation, AnNxproxyThatNeverConnectsOrIsNotThere) {
  write_file("nxproxy", "#!/bin/sh\necho cannot open the display >&2\nexit 1\n", true);
  options_.nxproxy = directory_ + "/nxproxy";
  const auto script = [&](FakeConnection& c) {
    give_list(c);
    c.read_head();
    switch_protocols(c);
    while (!c.read_some().empty()) {
    }
  };
  FakeServer server({script, script});
  const auto ended = connect(server.port());
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().exit, Exit::kSession);
  EXPECT_NE(ended.error().sentence.find("cannot open the display"), std::string::npos)
      << ended.error().sentence;
  options_.nxproxy = directory_ + "/absent";
  const auto absent = connect(server.port());
  ASSERT_FALSE(absent);
  EXPECT_NE(absent.error().sentence.find("package nxproxy"), std::string::npos)
      << absent.error().sentence;
}

struct Answer {
  int status;
  const char* reason;
  const char* body;
  Exit exit;
  const char* says;
};

class Answers : public Conversation, public ::testing::WithParamInterface<Answer> {};

TEST_P(Answers, BecomeASentenceAndAnExitCode) {
  const auto& answer = GetParam();
  FakeServer server({[&](FakeConnection& c) {
    give_list(c);
    c.read_head();
    c.answer(answer.status, answer.reason, answer.body);
  }});
  const auto ended = connect(server.port());
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().exit, answer.exit);
  EXPECT_NE(ended.error().sentence.find(answer.says), std::string::npos) << ended.error().sentence;
}

INSTANTIATE_TEST_SUITE_P(
    Table, Answers,
    ::testing::Values(
        Answer{401, "Unauthorized", "no", Exit::kLogin, "wrong user or password"},
        Answer{403, "Forbidden", "office is offline for maintenance\r\n", Exit::kRefused,
               "office is offline for maintenance"},
        Answer{404, "Not Found", "no such desktop", Exit::kRefused, "no such desktop"},
        Answer{409, "Conflict", "in use", Exit::kRefused, "in use"},
        Answer{422, "Unprocessable Entity", "id missing", Exit::kRefused, "422: id missing"},
        Answer{426, "Upgrade Required", "QVD/1.0 please", Exit::kRefused, "newer client"},
        Answer{500, "Internal Server Error", "oh\033[31m", Exit::kRefused, "500: oh\\x1b[31m"},
        Answer{503, "Service Unavailable", "retry later", Exit::kRefused,
               "not available now: retry later"}));

TEST_F(Conversation, GarbageAndEarlyEnds) {
  FakeServer server({[](FakeConnection& c) {
                       c.read_head();
                       c.write("SSH-2.0-OpenSSH_9.2\r\n");
                     },
                     [](FakeConnection& c) { c.read_head(); },
                     [](FakeConnection& c) {
                       c.read_head();
                       c.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[");
                     },
                     [](FakeConnection& c) {
                       c.read_head();
                       c.answer(200, "OK", "{\"not\": \"a list\"}");
                     }});
  for (int i = 0; i < 4; ++i) {
    const auto ended = connect(server.port());
    ASSERT_FALSE(ended) << i;
    EXPECT_EQ(ended.error().exit, Exit::kUnreachable) << i << ended.error().sentence;
  }
}

TEST_F(Conversation, NobodyThereOrNoTls) {
  std::uint16_t closed_port = 0;
  {
    FakeServer server({});
    closed_port = server.port();
  }
  const auto refused = connect(closed_port);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().exit, Exit::kUnreachable);
  EXPECT_NE(refused.error().sentence.find("cannot reach localhost"), std::string::npos)
      << refused.error().sentence;
  target_.host = "no-such-host.invalid";
  const auto unknown = connect(1);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().exit, Exit::kUnreachable);

  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  std::thread server([&] {
    const UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const std::string banner = "SSH-2.0-OpenSSH_9.2\r\n";
    (void)!::write(fd.get(), banner.data(), banner.size());
  });
  target_.host = "localhost";
  const auto no_tls = connect(ntohs(address.sin_port));
  server.join();
  ASSERT_FALSE(no_tls);
  EXPECT_EQ(no_tls.error().exit, Exit::kUnreachable);
  EXPECT_NE(no_tls.error().sentence.find("does not answer as a TLS server"), std::string::npos)
      << no_tls.error().sentence;
}

TEST_F(Conversation, ThePinIsKeptAndAnotherCertificateRefused) {
  const auto refuse = [](FakeConnection& c) {
    c.read_head();
    c.answer(401, "Unauthorized", "no");
  };
  FakeServer first({refuse, refuse});
  EXPECT_EQ(connect(first.port()).error().exit, Exit::kLogin);
  EXPECT_TRUE(was_told("first contact with localhost:"));
  told_.clear();
  EXPECT_EQ(connect(first.port()).error().exit, Exit::kLogin);
  EXPECT_FALSE(was_told("first contact"));

  // As if the server at the same place now showed another certificate.
  const std::string changed = "localhost:" + std::to_string(first.port()) + " ";
  const std::string pins = read_file("known_servers");
  ASSERT_TRUE(pins.starts_with(changed)) << pins;
  std::atomic<bool> spoken{false};
  FakeServer second({[&](FakeConnection& c) { spoken = !c.read_head().empty(); }});
  write_file("known_servers",
             "localhost:" + std::to_string(second.port()) + " " + std::string(64, 'a') + "\n");
  const auto ended = connect(second.port(), 3);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().exit, Exit::kCertificate);
  EXPECT_NE(ended.error().sentence.find("known_servers"), std::string::npos);
  EXPECT_FALSE(spoken) << "something was sent to a server that is not known";
}

TEST_F(Conversation, ACaFileVouchesOrRefuses) {
  const auto refuse = [](FakeConnection& c) {
    if (!c.read_head().empty()) c.answer(401, "Unauthorized", "no");
  };
  FakeServer server({refuse, refuse, refuse});
  FakeServer stranger({});
  write_file("ca.pem", server.certificate_pem());
  target_.ca_file = directory_ + "/ca.pem";
  EXPECT_EQ(connect(server.port()).error().exit, Exit::kLogin);
  EXPECT_FALSE(std::filesystem::exists(target_.pin_file)) << "nothing is pinned with a CA";
  target_.host = "127.0.0.1";  // not a name in the certificate
  EXPECT_EQ(connect(server.port()).error().exit, Exit::kCertificate);
  target_.host = "localhost";
  write_file("ca.pem", stranger.certificate_pem());
  EXPECT_EQ(connect(server.port()).error().exit, Exit::kCertificate);
  write_file("ca.pem", "nothing\n");
  EXPECT_EQ(connect(server.port()).error().exit, Exit::kCertificate);
}

TEST_F(Conversation, WhatMayPassIsTriedAgain) {
  fake_nxproxy("link.recv(100)\n");
  FakeServer server({[](FakeConnection& c) {
                       give_list(c);
                       c.read_head();
                       c.answer(503, "Service Unavailable", "starting");
                     },
                     [](FakeConnection& c) {
                       give_list(c);
                       c.read_head();
                       switch_protocols(c);
                       c.read_some();
                       c.write("hello");
                       c.say_goodbye();
                     }});
  const auto ended = connect(server.port(), 1);
  EXPECT_TRUE(ended) << ended.error().sentence;
  EXPECT_TRUE(was_told("trying again in 1 s"));
}

TEST_F(Conversation, AServerThatWasKilledIsALostLinkAndTriedAgain) {
  fake_nxproxy("link.recv(100)\n");
  FakeServer server({[](FakeConnection& c) {
                       give_list(c);
                       c.read_head();
                       switch_protocols(c);
                       c.read_some();  // and gone, without a good-bye
                     },
                     [](FakeConnection& c) {
                       give_list(c);
                       c.read_head();
                       switch_protocols(c);
                       c.read_some();
                       c.write("hello");
                       c.say_goodbye();
                     }});
  const auto ended = connect(server.port(), 1);
  EXPECT_TRUE(ended) << ended.error().sentence;
  EXPECT_TRUE(was_told("trying again in 1 s"));
}

TEST_F(Conversation, AGoodSessionThatBreaksOffIsTriedAgainAsTheFirstWas) {
  fake_nxproxy("link.recv(100)\n");
  const auto die = [](FakeConnection& c) {
    give_list(c);
    c.read_head();
    switch_protocols(c);
    c.read_some();
  };
  for (const bool good : {true, false}) {
    std::vector<FakeServer::Script> scripts = {die, die};
    if (good) {
      scripts.emplace_back([](FakeConnection& c) {
        give_list(c);
        c.read_head();
        switch_protocols(c);
        c.read_some();
        c.write("hello");
        c.say_goodbye();
      });
    }
    FakeServer server(std::move(scripts));
    options_.good = good ? std::chrono::milliseconds(0) : std::chrono::milliseconds(3'600'000);
    target_.pin_file = directory_ + (good ? "/known_good" : "/known_bad");
    told_.clear();
    EXPECT_EQ(connect(server.port(), 1).has_value(), good);
    EXPECT_TRUE(was_told("trying again in 1 s"));
    EXPECT_FALSE(was_told("trying again in 2 s")) << "the pauses went on";
  }
}

TEST_F(Conversation, AGoodbyeWithoutAByteIsARefusalAndTriedAgain) {
  fake_nxproxy("link.recv(100)\n");
  const auto refuse = [](FakeConnection& c) {
    give_list(c);
    c.read_head();
    switch_protocols(c);
    c.read_some();
    c.say_goodbye();
  };
  FakeServer server({refuse, refuse});
  const auto ended = connect(server.port(), 1);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().exit, Exit::kSession);
  EXPECT_NE(ended.error().sentence.find("did not take"), std::string::npos);
  EXPECT_TRUE(was_told("trying again in 1 s"));
}

TEST_F(Conversation, StoppedWhileWaiting) {
  const UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  FakeServer server({[&](FakeConnection& c) {
    give_list(c);
    c.read_head();
    c.write("HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: starting\r\n\r\n");
    ::eventfd_write(stop.get(), 1);
    while (!c.read_some().empty()) {
    }
  }});
  const auto ended = connect(server.port(), 5, stop.get());
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().exit, Exit::kStopped);
}

TEST_F(Conversation, StoppedInASessionEndsWell) {
  fake_nxproxy("link.recv(100)\n");
  const UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  FakeServer server({[&](FakeConnection& c) {
    give_list(c);
    c.read_head();
    switch_protocols(c);
    c.read_some();
    ::eventfd_write(stop.get(), 1);
    while (!c.read_some().empty()) {
    }
  }});
  EXPECT_TRUE(connect(server.port(), 0, stop.get()));
}

TEST_F(Conversation, WithoutADisplayOneSentence) {
  unsetenv("DISPLAY");
  FakeServer server({[](FakeConnection& c) { c.read_head(); }});
  const auto ended = connect(server.port());
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().exit, Exit::kUsage);
  EXPECT_NE(ended.error().sentence.find("DISPLAY"), std::string::npos);
}

// Bytes both ways, far more than fits anywhere, against a slow reader, then half-closes.
TEST_F(Conversation, ThePumpCarriesAllOfItBothWays) {
  constexpr std::size_t kTotal = std::size_t{8} << 20;
  const auto pattern = [](std::size_t i) { return static_cast<char>(i * 31 + (i >> 12)); };
  std::string at_server;
  FakeServer server({[&](FakeConnection& c) {
    std::string down(kTotal, '\0');
    for (std::size_t i = 0; i < kTotal; ++i) down[i] = pattern(i);
    c.write(down.substr(5));
    c.say_goodbye();  // no more from here, but it goes on listening
    for (std::string part; !(part = c.read_some()).empty();) at_server += part;
  }});
  auto connection = TlsConnection::connect("localhost", server.port(), {});
  ASSERT_TRUE(connection) << connection.error().message();
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd inner(ends[0]);
  UniqueFd outer(ends[1]);
  ::fcntl(inner.get(), F_SETFL, O_NONBLOCK);
  std::string at_local;
  std::thread local([&] {
    std::string up(kTotal / 8, '\0');
    for (std::size_t i = 0; i < up.size(); ++i) up[i] = pattern(i);
    std::thread writer([&] {
      for (std::size_t sent = 0; sent < up.size();) {
        const auto n = ::send(outer.get(), up.data() + sent, up.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return;
        sent += static_cast<std::size_t>(n);
      }
    });
    char bytes[30000];
    for (ssize_t n = 0; (n = ::recv(outer.get(), bytes, sizeof bytes, 0)) > 0;) {
      at_local.append(bytes, static_cast<std::size_t>(n));
      if (at_local.size() < 1000000) ::usleep(200);
    }
    writer.join();
    outer.reset();
  });
  std::string early;
  for (std::size_t i = 0; i < 5; ++i) early += pattern(i);
  const auto end = pump(**connection, inner.get(), early, -1);
  ::shutdown(inner.get(), SHUT_RDWR);
  local.join();
  ASSERT_TRUE(end) << end.error().message();
  ASSERT_EQ(at_local.size(), kTotal);
  for (std::size_t i = 0; i < kTotal; ++i) ASSERT_EQ(at_local[i], pattern(i)) << i;
}

}  // namespace
}  // namespace panal::client
