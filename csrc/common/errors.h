// Checks of the host-side entry points. They throw std::invalid_argument, which reaches Python as ValueError.
#pragma once
#include <stdexcept>
#include <string>

namespace fastconv {

[[noreturn]] inline void fail(const std::string& where, const std::string& expected, const std::string& received) {
  throw std::invalid_argument(where + ": expected " + expected + ". Received: " + received);
}

inline void require(bool ok, const std::string& where, const char* expected, long long received) {
  if (!ok) fail(where, expected, std::to_string(received));
}

}  // namespace fastconv
