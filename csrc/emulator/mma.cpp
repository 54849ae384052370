// Tensor cores: lanes' fragments gathered, multiplied, given back. The layouts are those of the PTX ISA, as cuda.cuh has them.
#include "common/cuda.cuh"

namespace fastconv::cuda {
namespace {

constexpr int kM = 16, kN = 8;

struct Argument {
  float* d;
  const uint32_t *a, *b;
};

// Hardware reads the upper 19 bits of a TF32 operand.
float operand(uint32_t bits) { return as_float(bits & ~((1u << 13) - 1)); }

// A number of a word that has two.
float half(uint32_t bits, int which) { return as_float(which == 0 ? bits << 16 : bits & 0xFFFF0000); }

template <int kK>
struct Product {
  float a[kM][kK], b[kK][kN];

  void add(void* const* lanes) {
    float c[kM][kN];
    for (int lane = 0; lane < kWarp; ++lane)
      for (int i = 0; i < 4; ++i)
        c[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2] = static_cast<Argument*>(lanes[lane])->d[i];
    for (int row = 0; row < kM; ++row)
      for (int column = 0; column < kN; ++column)
        for (int k = 0; k < kK; ++k) c[row][column] += a[row][k] * b[k][column];
    for (int lane = 0; lane < kWarp; ++lane)
      for (int i = 0; i < 4; ++i)
        static_cast<Argument*>(lanes[lane])->d[i] = c[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
  }
};

void multiply_tf32(void* const* lanes) {
  Product<8> product;
  for (int lane = 0; lane < kWarp; ++lane) {
    const Argument& from = *static_cast<Argument*>(lanes[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) product.a[g + i % 2 * 8][t + i / 2 * 4] = operand(from.a[i]);
    for (int i = 0; i < 2; ++i) product.b[t + i * 4][g] = operand(from.b[i]);
  }
  product.add(lanes);
}

void multiply_bfloat16(void* const* lanes) {
  Product<16> product;
  for (int lane = 0; lane < kWarp; ++lane) {
    const Argument& from = *static_cast<Argument*>(lanes[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int which = 0; which < 2; ++which) {
      for (int i = 0; i < 4; ++i) product.a[g + i % 2 * 8][2 * t + which + i / 2 * 8] = half(from.a[i], which);
      for (int i = 0; i < 2; ++i) product.b[2 * t + which + i * 8][g] = half(from.b[i], which);
    }
  }
  product.add(lanes);
}

struct MatrixRow {
  uint16_t numbers[8];
  uint32_t* to;
};

template <bool kTransposed>
void deal_out(void* const* lanes) {
  const auto number = [&](int matrix, int row, int column) {
    return uint32_t(static_cast<MatrixRow*>(lanes[matrix * 8 + row])->numbers[column]);
  };
  for (int lane = 0; lane < kWarp; ++lane)
    for (int matrix = 0; matrix < 4; ++matrix) {
      const int g = lane / 4, t = lane % 4;
      uint32_t& to = static_cast<MatrixRow*>(lanes[lane])->to[matrix];
      to = kTransposed ? number(matrix, 2 * t, g) | number(matrix, 2 * t + 1, g) << 16
                       : number(matrix, g, 2 * t) | number(matrix, g, 2 * t + 1) << 16;
    }
}

void load(const char* word, emulator::Together deal_out, uint32_t* to, Shared<BFloat16> from, int i,
          emulator::Place place) {
  MatrixRow row;
  from.read(i, 8, word, place);
  for (int column = 0; column < 8; ++column)
    row.numbers[column] = emulator::machine().shared().get<uint16_t>(from.offset + 2 * (i + column));
  row.to = to;
  emulator::machine().wait_for_warp(word, place, deal_out, &row);
}

}  // namespace

void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const char* file, int line) {
  Argument argument = {d, a, b};
  if (lane() == 0) emulator::machine().count_mma();
  emulator::machine().wait_for_warp("mma_tf32", {file, line}, multiply_tf32, &argument);
}

void mma_bfloat16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const char* file, int line) {
  Argument argument = {d, a, b};
  if (lane() == 0) emulator::machine().count_mma();
  emulator::machine().wait_for_warp("mma_bfloat16", {file, line}, multiply_bfloat16, &argument);
}

void load_matrices(uint32_t (&to)[4], Shared<BFloat16> from, int i, const char* file, int line) {
  load("load_matrices", deal_out<false>, to, from, i, {file, line});
}

void load_matrices_transposed(uint32_t (&to)[4], Shared<BFloat16> from, int i, const char* file, int line) {
  load("load_matrices_transposed", deal_out<true>, to, from, i, {file, line});
}

}  // namespace fastconv::cuda
