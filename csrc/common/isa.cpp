// Chosen once when the module loads: the widest instruction set of this processor, or the one FASTCONV_ISA names.
#include "common/isa.h"

#include <cstdlib>
#include <stdexcept>

namespace fastconv {
namespace {

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::neon: return "neon";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    default: return "scalar";
  }
}

std::vector<Isa> detect() {
  std::vector<Isa> found = {Isa::scalar};
#if FASTCONV_X86
  __builtin_cpu_init();  // also asks the operating system whether it saves the wide registers
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    found.push_back(Isa::avx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
      found.push_back(Isa::avx512);
  }
#elif defined(__aarch64__)
  found.push_back(Isa::neon);
#endif
  return found;
}

Isa parse(const std::string& name) {
  std::string known;
  for (Isa isa : detect()) {
    if (name == name_of(isa)) return isa;
    known += (known.empty() ? "" : ", ") + std::string(name_of(isa));
  }
  throw std::invalid_argument("FASTCONV_ISA: expected an instruction set of this build and processor (" + known +
                              "). Received: " + name);
}

Isa& chosen() {
  static Isa isa = [] {
    const char* forced = std::getenv("FASTCONV_ISA");
    return forced && *forced ? parse(forced) : detect().back();
  }();
  return isa;
}

}  // namespace

Isa current_isa() noexcept { return chosen(); }
std::string isa_name() { return name_of(chosen()); }
void set_isa(const std::string& name) { chosen() = parse(name); }

std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (Isa isa : detect()) names.push_back(name_of(isa));
  return names;
}

}  // namespace fastconv
