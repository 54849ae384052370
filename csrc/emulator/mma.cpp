// Tensor cores: lanes' fragments gathered, multiplied, given back. The layouts are those of the PTX ISA, as cuda.cuh has them.
#include "common/cuda.cuh"

namespace fastconv::cuda {
namespace {

constexpr int kM = 16, kN = 8, kK = 8;

struct Argument {
  float* d;
  const uint32_t *a, *b;
};

// Hardware reads the upper 19 bits of a TF32 operand.
float operand(uint32_t bits) { return as_float(bits & ~((1u << 13) - 1)); }

void multiply(void* const* lanes) {
  float a[kM][kK], b[kK][kN], c[kM][kN];
  for (int lane = 0; lane < kWarp; ++lane) {
    const Argument& from = *static_cast<Argument*>(lanes[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][t + i / 2 * 4] = operand(from.a[i]);
    for (int i = 0; i < 2; ++i) b[t + i * 4][g] = operand(from.b[i]);
    for (int i = 0; i < 4; ++i) c[g + i / 2 * 8][t * 2 + i % 2] = from.d[i];
  }
  for (int row = 0; row < kM; ++row)
    for (int column = 0; column < kN; ++column)
      for (int k = 0; k < kK; ++k) c[row][column] += a[row][k] * b[k][column];
  for (int lane = 0; lane < kWarp; ++lane)
    for (int i = 0; i < 4; ++i)
      static_cast<Argument*>(lanes[lane])->d[i] = c[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
}

}  // namespace

void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const char* file, int line) {
  Argument argument = {d, a, b};
  if (lane() == 0) emulator::machine().count_mma();
  emulator::machine().wait_for_warp("mma_tf32", {file, line}, multiply, &argument);
}

}  // namespace fastconv::cuda
