// The programs as shipped: panal-client against panal-broker on PostgreSQL, with a fake panald and
// a stand-in for nxproxy (the real one is in tests/e2e).
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>

#include "tests/system/broker/broker_process.h"

namespace panal::broker {
namespace {

struct Done {
  int exit = -1;
  std::string output;
};

class ClientProgram : public BrokerProcess {
 protected:
  void SetUp() override {
    BrokerProcess::SetUp();
    char name[] = "/tmp/panal-client-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    write("password", "secret\n");
    write("wrong", "wrong\n");
    write("nxproxy", R"(#!/usr/bin/python3
import socket, sys, urllib.parse
file = urllib.parse.unquote(sys.argv[2].split('options=')[1].rsplit(':', 1)[0])
fields = dict(f.split('=', 1) for f in open(file).read().strip().rsplit(':', 1)[0].split(',')[1:])
link = socket.socket(socket.AF_UNIX)
link.connect(urllib.parse.unquote(fields['connect'])[len('unix:'):])
cookie = 'cookie=' + fields['cookie'] + ',' if 'cookie' in fields else ''
link.sendall(('NXPROXY-3.5.0-3.5.99 ' + cookie + 'stream=default,data=default ').encode())
while True:
    part = link.recv(65536)
    if not part: break
    link.sendall(part.upper())
)");
    ::chmod((directory_ + "/nxproxy").c_str(), 0700);
  }
  void TearDown() override {
    BrokerProcess::TearDown();
    std::filesystem::remove_all(directory_);
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ + "/" + name) << text;
  }
  [[nodiscard]] std::string command(const std::string& words, const std::string& login = "alice",
                                    const std::string& password = "password") const {
    return "XDG_RUNTIME_DIR=" + directory_ +
           " DISPLAY=:99 exec " PANAL_BIN_DIR "/panal-client --server 127.0.0.1:" +
           std::to_string(kPort) + " --user " + login + " --password-file " + directory_ + "/" +
           password + " --known-servers " + directory_ + "/known --keyboard pc105/es --nxproxy " +
           directory_ + "/nxproxy " + words + " 2>&1";
  }
  [[nodiscard]] static Done run(const std::string& shell) {
    Done done;
    FILE* pipe = ::popen(shell.c_str(), "r");
    char part[4096];
    for (std::size_t n = 0; (n = ::fread(part, 1, sizeof part, pipe)) > 0;)
      done.output.append(part, n);
    const int status = ::pclose(pipe);
    done.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    return done;
  }

  std::string directory_;
};

TEST_F(ClientProgram, ListsAndIsRefused) {
  Done done = run(command("list"));
  EXPECT_EQ(done.exit, 0) << done.output;
  EXPECT_NE(done.output.find("first contact with 127.0.0.1:18443, certificate sha256 "),
            std::string::npos)
      << done.output;
  EXPECT_NE(done.output.find("alice-desk"), std::string::npos) << done.output;
  EXPECT_EQ(done.output.find("bob-desk"), std::string::npos) << done.output;

  done = run(command("list --json"));
  EXPECT_EQ(done.output.find("first contact"), std::string::npos) << "the pin was not kept";
  EXPECT_NE(done.output.find("\"name\": \"alice-desk\""), std::string::npos) << done.output;

  done = run(command("list", "alice", "wrong"));
  EXPECT_EQ(done.exit, 4) << done.output;
  done = run(command("connect bob-desk"));
  EXPECT_EQ(done.exit, 5) << done.output;
  EXPECT_NE(done.output.find("yours are: alice-desk"), std::string::npos) << done.output;

  write("known", "127.0.0.1:18443 " + std::string(64, '0') + "\n");
  done = run(command("list"));
  EXPECT_EQ(done.exit, 3) << done.output;
}

TEST_F(ClientProgram, CarriesASessionWithAndWithoutACookie) {
  make_running();
  const std::string admitted = "NXPROXY-3.5.0-3.5.99 cookie=" + std::string(FakePanald::kCookie) +
                               ",stream=default,data=default ";
  for (const std::string option : {"", " --no-cookie"}) {
    Done done;
    std::thread client(
        [&] { done = run(command("connect alice-desk --geometry 800x600" + option)); });
    const UniqueFd nx = agent();
    const auto receive = [&](std::size_t size) {
      std::string bytes(size, '\0');
      const auto got = ::recv(nx.get(), bytes.data(), size, MSG_WAITALL);
      bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
      return bytes;
    };
    EXPECT_EQ(receive(admitted.size()), admitted) << option;
    EXPECT_EQ(panald->last_attach().value("geometry", ""), "800x600");
    EXPECT_EQ(panald->last_attach().value("keyboard", ""), "pc105/es");
    const std::string text(1 << 20, 'x');
    std::thread writer([&] {
      for (std::size_t sent = 0; sent < text.size();) {
        const auto n = ::send(nx.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return;
        sent += static_cast<std::size_t>(n);
      }
    });
    EXPECT_EQ(receive(text.size()), std::string(text.size(), 'X')) << option;
    writer.join();
    ::shutdown(nx.get(), SHUT_RDWR);  // the session ends at the desktop
    client.join();
    EXPECT_EQ(done.exit, 0) << option << done.output;
    EXPECT_NE(done.output.find("connected to alice-desk"), std::string::npos) << done.output;
    EXPECT_EQ(done.output.find(FakePanald::kCookie), std::string::npos) << "a secret was shown";
  }
}

TEST_F(ClientProgram, ShowsProgressAndStops) {
  make_running();
  Done done;
  std::thread client([&] { done = run(command("stop alice-desk")); });
  const auto admin = store::Cluster::instance()->as(store::kAdminRole);
  EXPECT_TRUE(
      eventually([&] { return admin->desktop(alices)->desired == store::Desired::kStopped; }));
  observe(store::Observed::kStopping);
  observe(store::Observed::kStopped);
  client.join();
  EXPECT_EQ(done.exit, 0) << done.output;
  EXPECT_NE(done.output.find("Stopping desktop alice-desk"), std::string::npos) << done.output;
}

}  // namespace
}  // namespace panal::broker
