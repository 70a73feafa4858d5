#pragma once

#include <string_view>

namespace sharedlock::config {

// Checks of the table's text values. Each returns "" for a valid text, else the requirement: "must be an IP address,
// ...".

std::string_view must_be_address(std::string_view text);     // of one interface: 127.0.0.1, ::1
std::string_view must_be_network(std::string_view text);     // an IP address, or a network in CIDR notation
std::string_view must_be_endpoint(std::string_view text);    // of etcd: [http://|https://]host:port
std::string_view must_be_url(std::string_view text);         // http:// or https://, with a host
std::string_view must_be_origin(std::string_view text);      // http:// or https:// and a host, maybe a port
std::string_view must_be_key_prefix(std::string_view text);  // UTF-8, apart from the lease API's keys
std::string_view must_be_claim(std::string_view text);       // name or name=value
std::string_view must_be_token(std::string_view text);       // fit for a header and for typing

}  // namespace sharedlock::config
