#include "etcd/stored.h"

#include <boost/json.hpp>
#include <cstdio>
#include <string_view>

namespace sharedlock::test {

namespace {

namespace json = boost::json;

// etcdctl's JSON has keys and values in base64.
std::string decoded(std::string_view base64) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  unsigned bits = 0;
  unsigned count = 0;
  for (char c : base64.substr(0, base64.find('='))) {
    bits = bits << 6 | static_cast<unsigned>(kLetters.find(c));
    count += 6;
    if (count < 8) continue;
    count -= 8;
    text += static_cast<char>(bits >> count & 0xFF);
  }
  return text;
}

std::string text_at(const json::object& object, std::string_view name) {
  const auto* text = object.if_contains(name);
  return text ? decoded(text->as_string()) : "";
}

std::int64_t number_at(const json::object& object, std::string_view name) {
  const auto* number = object.if_contains(name);
  return number ? number->to_number<std::int64_t>() : 0;
}

}  // namespace

StoredKey stored(EtcdServer& etcd, const std::string& key) {
  auto answer = json::parse(etcd.etcdctl({"get", key, "-w", "json"})).as_object();
  const auto* all = answer.if_contains("kvs");
  if (!all) return {};
  const auto& one = all->at(0).as_object();
  return {.found = true,
          .value = text_at(one, "value"),
          .lease = number_at(one, "lease"),
          .mod_revision = number_at(one, "mod_revision")};
}

StoredLease stored_lease(EtcdServer& etcd, std::int64_t id) {
  auto answer = json::parse(etcd.etcdctl({"lease", "timetolive", in_hex(id), "--keys", "-w", "json"})).as_object();
  StoredLease lease{.granted = number_at(answer, "granted-ttl"), .left = number_at(answer, "ttl"), .keys = {}};
  const auto* keys = answer.if_contains("keys");
  if (!keys || !keys->is_array()) return lease;
  for (const auto& key : keys->as_array()) lease.keys.push_back(decoded(key.as_string()));
  return lease;
}

std::int64_t put_under_lease(EtcdServer& etcd, const std::string& key, const std::string& value, int ttl) {
  auto granted = json::parse(etcd.etcdctl({"lease", "grant", std::to_string(ttl), "-w", "json"})).as_object();
  std::int64_t lease = number_at(granted, "ID");
  etcd.etcdctl({"put", key, value, "--lease", in_hex(lease)});
  return lease;
}

bool put_if_absent(EtcdServer& etcd, const std::string& key, const std::string& value) {
  std::string transaction = "version(\"" + key + "\") = \"0\"\n\nput \"" + key + "\" \"" + value + "\"\n\n\n";
  return etcd.etcdctl({"txn"}, transaction).starts_with("SUCCESS");
}

std::string in_hex(std::int64_t id) {
  char text[20];
  std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(id));
  return text;
}

}  // namespace sharedlock::test
