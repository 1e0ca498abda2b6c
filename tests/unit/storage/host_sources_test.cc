#include "storage/recipe/host_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::storage {
namespace {

using mmdebstrap::Sources;

Sources of(const char* text) {
  Sources sources;
  take_sources(text, "bookworm", sources);
  return sources;
}

TEST(HostSources, OneLineFormat) {
  const Sources sources =
      of("# deb http://no.example/debian bookworm main\n"
         "deb [arch=amd64 signed-by=/x.gpg] http://near.example/debian/ bookworm main contrib\n"
         "deb http://near.example/updates bookworm-updates main\n"
         "deb http://safe.example/debian-security bookworm-security main\n"
         "deb-src http://src.example/debian bookworm main\n");
  EXPECT_EQ(sources.mirror, "http://near.example/debian");
  EXPECT_EQ(sources.security_mirror, "http://safe.example/debian-security");
}

TEST(HostSources, Deb822Format) {
  const Sources sources = of(
      "Types: deb deb-src\nURIs: http://near.example/debian\nSuites: bookworm bookworm-updates\n"
      "Components: main\nSigned-By: /x\n\n"
      "Types: deb\nURIs: http://safe.example/sec\nSuites: bookworm-security\nComponents: main\n");
  EXPECT_EQ(sources.mirror, "http://near.example/debian");
  EXPECT_EQ(sources.security_mirror, "http://safe.example/sec");
}

TEST(HostSources, LeaveOutWhatIsNotDebiansOrNotHttp) {
  for (const char* text :
       {"", "deb", "deb [", "deb [a", "deb http://x", "deb http://x bookworm", "URIs:\n\n",
        "deb https://x.example/debian bookworm main", "deb file:/srv bookworm main",
        "deb cdrom:[x]/ bookworm main", "deb http://x.example/repo bookworm stable",
        "deb http://x.example/debian trixie main", "deb http:// bookworm main",
        "Types: deb\nURIs: http://x/d\nSuites: bookworm\nComponents: main\nEnabled: no\n",
        "Types: deb-src\nURIs: http://x/d\nSuites: bookworm\nComponents: main\n"})
    EXPECT_EQ(of(text).mirror, Sources{}.mirror) << text;
}

TEST(HostSources, Proxy) {
  EXPECT_EQ(find_proxy("// x\nAcquire::http::Proxy \"http://cache.example:3142\";\n"),
            "http://cache.example:3142");
  for (const char* text : {"", "Acquire::http::Proxy", "Acquire::http::Proxy \"DIRECT\";",
                           "Acquire::https::Proxy \"http://x:1\";"})
    EXPECT_EQ(find_proxy(text), "") << text;
}

TEST(HostSources, NoAptAtAll) {
  EXPECT_EQ(host_sources("bookworm", "/nonexistent").mirror, Sources{}.mirror);
}

}  // namespace
}  // namespace panal::storage
