// Dropout on elements [begin, end). Built once per instruction set: plain loops that the compiler turns into vectors.
#include "dropout/dropout.h"

#include "common/simd.h"

namespace fastconv::FASTCONV_ISA {
namespace {

constexpr int kRounds = 10;
constexpr int kBlocks = 128;  // counters at once: 4 words each, 2 KiB of random words

// words[4 * i + k]: word k of the counter first_block + i.
void philox(const DropoutSettings& settings, uint64_t first_block, uint32_t* words) noexcept {
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
      const uint64_t a = uint64_t(0xD2511F53u) * c0[i], b = uint64_t(0xCD9E8D57u) * c2[i];
      c0[i] = uint32_t(b >> 32) ^ c1[i] ^ key_0;
      c1[i] = uint32_t(b);
      c2[i] = uint32_t(a >> 32) ^ c3[i] ^ key_1;
      c3[i] = uint32_t(a);
    }
  }
  for (int i = 0; i < kBlocks; ++i) {
    words[4 * i] = c0[i];
    words[4 * i + 1] = c1[i];
    words[4 * i + 2] = c2[i];
    words[4 * i + 3] = c3[i];
  }
}

}  // namespace

void dropout_forward_range(const float* x, float* y, const DropoutSettings& settings, int64_t begin,
                           int64_t end) noexcept {
  uint32_t words[4 * kBlocks];
  const int32_t threshold = int32_t(settings.threshold);
  const float scale = settings.scale;
  for (int64_t first = begin; first < end; first += 4 * kBlocks) {
    philox(settings, uint64_t(first) / 4, words);
    const int64_t rest = end - first, count = rest < 4 * kBlocks ? rest : 4 * kBlocks;
    const float* from = x + first;
    float* to = y + first;
#pragma GCC ivdep  // y is x or does not overlap it
    for (int64_t i = 0; i < count; ++i) {
      const float scaled = from[i] * scale;
      to[i] = int32_t(words[i] >> 8) >= threshold ? scaled : 0.0f;
    }
  }
}

}  // namespace fastconv::FASTCONV_ISA
