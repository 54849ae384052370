// Philox4x32-10 (Salmon et al. 2011), one counter at a time, on the host and on the GPU.
#pragma once
#include <cstdint>

#if defined(__CUDACC__)
#define FASTCONV_EVERYWHERE __host__ __device__ inline
#else
#define FASTCONV_EVERYWHERE inline
#endif

namespace fastconv {

struct Words {
  uint32_t v[4];
};

FASTCONV_EVERYWHERE Words philox(uint64_t seed, uint32_t stream, uint32_t step, uint64_t block) {
  constexpr uint64_t kA = 0xD2511F53u, kB = 0xCD9E8D57u;
  constexpr int kRounds = 10;
  Words c = {{uint32_t(block), uint32_t(block >> 32), step, stream}};
  uint32_t key_0 = uint32_t(seed), key_1 = uint32_t(seed >> 32);
  for (int round = 0; round < kRounds; ++round, key_0 += 0x9E3779B9u, key_1 += 0xBB67AE85u) {
    const uint64_t a = kA * c.v[0], b = kB * c.v[2];
    c = {{uint32_t(b >> 32) ^ c.v[1] ^ key_0, uint32_t(b), uint32_t(a >> 32) ^ c.v[3] ^ key_1, uint32_t(a)}};
  }
  return c;
}

}  // namespace fastconv
