// Dropout on elements [begin, end). Built once per instruction set: plain loops that the compiler turns into vectors.
#include "common/simd.h"
#include "dropout/dropout.h"

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr int kRounds = 10;
constexpr int kBlocks = 128;  // counters at once: 4 words each, 2 KiB of random numbers

inline uint32_t high(uint32_t a, uint32_t b) noexcept { return uint32_t(uint64_t(a) * b >> 32); }

// random[4 * i + k]: the top 24 bits of word k of the counter first_block + i, as a whole number.
void philox(const DropoutSettings& settings, uint64_t first_block, float* random) noexcept {
  constexpr uint32_t kA = 0xD2511F53u, kB = 0xCD9E8D57u;
  uint32_t c0[kBlocks], c1[kBlocks], c2[kBlocks], c3[kBlocks];
  for (int i = 0; i < kBlocks; ++i) {
    const uint64_t block = first_block + uint64_t(i);
    c0[i] = uint32_t(block);
    c1[i] = uint32_t(block >> 32);
    c2[i] = settings.step;
    c3[i] = settings.stream;
  }
  uint32_t key_0 = uint32_t(settings.seed), key_1 = uint32_t(settings.seed >> 32);
  for (int round = 0; round < kRounds; ++round, key_0 += 0x9E3779B9u, key_1 += 0xBB67AE85u) {
    for (int i = 0; i < kBlocks; ++i) {
      const uint32_t a = c0[i], b = c2[i];
      c0[i] = high(kB, b) ^ c1[i] ^ key_0;
      c1[i] = kB * b;
      c2[i] = high(kA, a) ^ c3[i] ^ key_1;
      c3[i] = kA * a;
    }
  }
  for (int i = 0; i < kBlocks; ++i) {
    random[4 * i] = float(int32_t(c0[i] >> 8));
    random[4 * i + 1] = float(int32_t(c1[i] >> 8));
    random[4 * i + 2] = float(int32_t(c2[i] >> 8));
    random[4 * i + 3] = float(int32_t(c3[i] >> 8));
  }
}

}  // namespace

void dropout_forward_range(const float* x, float* y, const DropoutSettings& settings, int64_t begin,
                           int64_t end) noexcept {
  float random[4 * kBlocks];
  const f32v last_dropped = broadcast(settings.last_dropped), scale = broadcast(settings.scale);
  for (int64_t first = begin; first < end; first += 4 * kBlocks) {
    philox(settings, uint64_t(first) / 4, random);
    const int64_t rest = end - first, count = rest < 4 * kBlocks ? rest : 4 * kBlocks;
    const float* from = x + first;
    float* to = y + first;
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes)
      store(to + i, where_positive(sub(load(random + i), last_dropped), mul(load(from + i), scale), zero()));
    if (i < count) {
      const int n = int(count - i);
      const f32v scaled = mul(load_partial(from + i, n), scale);
      store_partial(to + i, where_positive(sub(load_partial(random + i, n), last_dropped), scaled, zero()), n);
    }
  }
}

}  // namespace fastconv::FASTCONV_ISA
