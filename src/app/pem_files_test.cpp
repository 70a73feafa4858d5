#include "app/pem_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/etcd_tls_files.h"

namespace sharedlock {
namespace {

using test::EtcdTlsFiles;
using test::PemPair;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class PemFiles : public testing::Test {
 protected:
  PemFile write(const std::string& name, const std::string& text) const { return {"SETTING", files.write(name, text)}; }

  // What is wrong with the file; "" when nothing is.
  static std::string fault_of_ca(const PemFile& file) {
    auto read = read_authorities(file);
    return read ? "" : read.error().message;
  }
  std::string fault_of_pair(const std::string& certificate, const std::string& key) const {
    auto read = read_identity(write("pair.crt", certificate), write("pair.key", key));
    return read ? "" : read.error().message;
  }

  EtcdTlsFiles files;
  PemPair pair = files.authority().issue({.name = "client"});
  PemPair other = files.authority().issue({.name = "other"});
};

TEST_F(PemFiles, ValidFilesAreReadUnchanged) {
  std::string bundle = "# ours\n" + files.authority().certificate() + test::TestAuthority().certificate();
  EXPECT_EQ(read_authorities(write("ca.crt", bundle)).value(), bundle);
  std::string chain = pair.certificate + files.authority().certificate();
  auto identity = read_identity(write("chain.crt", chain), write("client.key", pair.key)).value();
  EXPECT_EQ(identity.certificate, chain);
  EXPECT_EQ(identity.key, pair.key);
}

TEST_F(PemFiles, CertificateAndKeyMayShareAFile) {
  EXPECT_EQ(fault_of_pair(pair.key + pair.certificate, pair.key + pair.certificate), "");
}

TEST_F(PemFiles, AMissingFileIsNamed) {
  EXPECT_EQ(fault_of_ca({"SETTING", "/no/such.crt"}), "SETTING: /no/such.crt can't be read: No such file or directory");
  auto read = read_identity(write("client.crt", pair.certificate), {"KEY", "/no/such.key"});
  EXPECT_EQ(read.error().message, "KEY: /no/such.key can't be read: No such file or directory");
}

TEST_F(PemFiles, AnythingButARegularFileIsRefusedAtOnce) {
  EXPECT_EQ(fault_of_ca({"SETTING", "/"}), "SETTING: / is not a plain file");
  std::string pipe = files.path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(fault_of_ca({"SETTING", pipe}), "SETTING: " + pipe + " is not a plain file");
  EXPECT_THAT(fault_of_ca(write("huge", std::string((std::size_t{1} << 20) + 1, 'x'))), HasSubstr("too large"));
}

TEST_F(PemFiles, ContentThatIsNotPemIsRefused) {
  const std::string cut = pair.certificate.substr(0, pair.certificate.size() / 2);
  for (const std::string& text : {std::string(), std::string("hello"), pair.key, cut, pair.certificate + cut}) {
    EXPECT_THAT(fault_of_ca(write("ca.crt", text)), AllOf(StartsWith("SETTING: "), HasSubstr("holds no certificate")));
  }
  EXPECT_THAT(fault_of_pair("hello", pair.key), HasSubstr("pair.crt holds no certificate"));
  EXPECT_THAT(fault_of_pair(pair.certificate, "hello"), HasSubstr("pair.key holds no private key"));
}

TEST_F(PemFiles, AKeyMustBelongToItsCertificate) {
  EXPECT_THAT(fault_of_pair(pair.certificate, other.key),
              AllOf(HasSubstr("pair.key is not the key of the certificate in "), HasSubstr("pair.crt")));
}

TEST_F(PemFiles, AnEncryptedKeyIsRefusedWithoutAsking) {
  const std::string key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIH=\n-----END ENCRYPTED PRIVATE KEY-----\n";
  EXPECT_THAT(fault_of_pair(pair.certificate, key), HasSubstr("pair.key is encrypted"));
}

TEST_F(PemFiles, AnExpiredCertificateIsRefused) {
  PemPair expired = files.authority().issue({.name = "old", .ends_in = -std::chrono::hours(1)});
  EXPECT_THAT(fault_of_pair(expired.certificate, expired.key), HasSubstr("pair.crt expired at 20"));
  EXPECT_THAT(fault_of_ca(write("ca.crt", expired.certificate)), HasSubstr("ca.crt expired at 20"));
}

TEST_F(PemFiles, ABundleMayHoldExpiredAuthorities) {
  PemPair expired = files.authority().issue({.name = "old", .ends_in = -std::chrono::hours(1)});
  EXPECT_EQ(fault_of_ca(write("ca.crt", expired.certificate + files.authority().certificate())), "");
}

}  // namespace
}  // namespace sharedlock
