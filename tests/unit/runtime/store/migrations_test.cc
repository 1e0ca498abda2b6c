#include "runtime/store/migrations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "runtime/store/private_cluster_files.h"

namespace panal::store {
namespace {

using ::testing::HasSubstr;

TEST(Migrations, AreNumberedWithoutGaps) {
  int expected = 1;
  for (const Migration& step : migrations()) {
    EXPECT_EQ(step.number, expected++);
    EXPECT_FALSE(std::string(step.sql).empty());
  }
  EXPECT_GT(expected, 1);
}

TEST(PrivateClusterFiles, QuoteTheSocketDirectory) {
  EXPECT_THAT(postgresql_conf("/run/o'dd"), HasSubstr("unix_socket_directories = '/run/o''dd'"));
  EXPECT_THAT(postgresql_conf("/run/x"), HasSubstr("listen_addresses = ''"));
  EXPECT_THAT(maintenance_conninfo("/run/o'dd"), HasSubstr("host='/run/o\\'dd' "));
}

TEST(PrivateClusterFiles, GiveTheBrokersUserOnlyItsRole) {
  const std::string map = pg_ident_conf("panal-broker");
  EXPECT_THAT(map, HasSubstr("panal \"panal-broker\" panal_broker\n"));
  EXPECT_EQ(map.find("root panal_broker"), std::string::npos);
  EXPECT_EQ(pg_hba_conf(), "local all all peer map=panal\n");
}

}  // namespace
}  // namespace panal::store
