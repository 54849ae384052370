#include <map>
#include <stdexcept>

#include "common/cuda.cuh"
#include "emulator/selftest.h"

namespace fastconv::emulator {

using namespace fastconv::cuda;

namespace {

using In = Global<const float>;
using Out = Global<float>;

__device__ Shared<float> floats() { return shared<float>(0, machine().shared().bytes() / int(sizeof(float))); }

enum Barrier { none, warp_barrier, block_barrier };

__device__ void meet(int barrier) {
  if (barrier == warp_barrier) sync_warp();
  if (barrier == block_barrier) sync();
}

// ---- order of accesses to shared memory ----

// Thread i writes word i and reads that of thread i ^ n, with the barrier `how` between.
__global__ void write_read(In x, Out y, int how, int n) {
  floats().store(thread(), x.load(thread()));
  meet(how);
  y.store(thread(), floats().load(thread() ^ n));
}

// Thread i reads word i ^ n and writes word i, with the barrier `how` between.
__global__ void read_write(In x, Out y, int how, int n) {
  floats().store(thread(), x.load(thread()));
  sync();
  y.store(thread(), floats().load(thread() ^ n));
  meet(how);
  floats().store(thread(), 0);
}

// All threads read word 0; then thread n writes it, with the barrier `how` between.
__global__ void read_by_all(In, Out y, int how, int n) {
  y.store(thread(), floats().load(0));
  meet(how);
  if (thread() == n) floats().store(0, 1);
}

// The first n threads read word 0, and thread 0 again at the end; then thread 0 writes it, with no barrier between.
__global__ void read_by_some(In, Out y, int, int n) {
  if (thread() < n) y.store(thread(), floats().load(0));
  meet(warp_barrier);
  if (thread() == 0) y.store(0, floats().load(0));
  if (thread() == 0) floats().store(0, 1);
}

__global__ void read_unwritten(In, Out y, int, int) { y.store(thread(), floats().load(thread())); }

// ---- asynchronous copies ----

// Thread i copies x[i] to word i, commits, waits, syncs and reads word i ^ n; `how` is what goes wrong, 0 nothing.
__global__ void copy(In x, Out y, int how, int n) {
  enum { no_wait = 1, no_sync, no_commit, in_flight, not_valid };
  cp_async1(floats(), thread(), x, thread(), how != not_valid);
  if (how != no_commit) cp_async_commit();
  if (how == in_flight)
    cp_async_wait<1>();
  else if (how != no_wait)
    cp_async_wait<0>();
  if (how != no_sync) sync();
  y.store(thread(), floats().load(thread() ^ n));
}

// Two groups of copies: the words of the first are read while the second may be on its way.
__global__ void copy_in_stages(In x, Out y, int, int) {
  for (int group = 0; group < 2; ++group) {
    cp_async1(floats(), thread() + group * threads(), x, thread() + group * threads(), true);
    cp_async_commit();
  }
  cp_async_wait<1>();
  y.store(thread(), floats().load(thread()));
  cp_async_wait<0>();
  y.store(thread() + threads(), floats().load(thread() + threads()));
}

// Thread i reads word i ^ n, then copies to word i, with the barrier `how` between.
__global__ void read_copy(In x, Out y, int how, int n) {
  floats().store(thread(), x.load(thread()));
  sync();
  y.store(thread(), floats().load(thread() ^ n));
  meet(how);
  cp_async1(floats(), thread(), x, thread(), true);
}

// Thread i copies x[i] to word i and writes there before it waits.
__global__ void copy_write(In x, Out, int, int) {
  cp_async1(floats(), thread(), x, thread(), true);
  floats().store(thread(), 0);
}

// ---- bounds and alignment ----

// Thread 0 makes the access `how` at n: of x, of y, of shared memory, or from x[n] (`how` 8, 9), to shared memory at n.
__global__ void access(In x, Out y, int how, int n) {
  if (thread() != 0) return;
  const Float4 zeros = {};
  switch (how) {
    case 0: return y.store(0, x.load(n));
    case 1: return y.store4(0, x.load4(n));
    case 2: return y.store(n, 0);
    case 3: return y.store4(n, zeros);
    case 4: return y.store(0, floats().load(n));
    case 5: return y.store4(0, floats().load4(n));
    case 6: return floats().store(n, 0);
    case 7: return floats().store4(n, zeros);
    case 8: return cp_async1(floats(), 0, x, n, true);
    case 9: return cp_async4(floats(), 0, x, n, true);
    case 10: return cp_async1(floats(), n, x, 0, true);
    case 11: return cp_async4(floats(), n, x, 0, true);
    case 12: return cp_async4(floats(), 0, x, n, false);
    case 13: return y.store(0, shared<float>(n, 4).load(0));
    case 14: return y.store(0, floats().from(n, 4).load(0));
  }
}

// ---- threads that do not meet ----

__global__ void diverge(In, Out, int how, int) {
  const bool mine = how < 3 ? thread() % 2 == 0 : thread() < threads() / 2;
  switch (how) {
    case 5:  // as 0, in the last warp, while the others wait for the block
      if (warp() < threads() / kWarp - 1) return sync();
      [[fallthrough]];
    case 0:  // lanes of a warp in different words
      if (thread() % 2 == 0)
        sync_warp();
      else
        shfl_xor(1, 1);
      return;
    case 1:  // lanes of a warp in one word at different places
      if (mine)
        sync_warp();
      else
        sync_warp();
      return;
    case 2:  // lanes that left
      if (mine) sync_warp();
      return;
    case 3:  // half the block left
      if (mine) sync();
      return;
    case 4:  // half the block at another place
      if (mine)
        sync();
      else
        sync();
      return;
  }
}

// ---- arithmetic ----

// x holds A (16x8), B (8x8), C (16x8), the lanes' fragments as cuda.cuh has them; y = A * B + C.
__global__ void multiply(In x, Out y, int, int) {
  const int g = lane() / 4, t = lane() % 4;
  const auto bits = [&](int i) { return tf32(x.load(i)); };
  const uint32_t a[4] = {bits(g * 8 + t), bits((g + 8) * 8 + t), bits(g * 8 + t + 4), bits((g + 8) * 8 + t + 4)};
  const uint32_t b[2] = {bits(128 + t * 8 + g), bits(128 + (t + 4) * 8 + g)};
  const int places[4] = {g * 8 + 2 * t, g * 8 + 2 * t + 1, (g + 8) * 8 + 2 * t, (g + 8) * 8 + 2 * t + 1};
  float d[4];
  for (int i = 0; i < 4; ++i) d[i] = x.load(192 + places[i]);
  mma_tf32(d, a, b);
  for (int i = 0; i < 4; ++i) y.store(places[i], d[i]);
}

// The same in bfloat16, of A (16x16), B (16x8), C (16x8).
__global__ void multiply_bfloat16(In x, Out y, int, int) {
  const int g = lane() / 4, t = lane() % 4;
  const auto of_a = [&](int row, int k) { return bfloat16_pair(x.load(row * 16 + k), x.load(row * 16 + k + 1)); };
  const auto of_b = [&](int k) { return bfloat16_pair(x.load(256 + k * 8 + g), x.load(256 + (k + 1) * 8 + g)); };
  const uint32_t a[4] = {of_a(g, 2 * t), of_a(g + 8, 2 * t), of_a(g, 2 * t + 8), of_a(g + 8, 2 * t + 8)};
  const uint32_t b[2] = {of_b(2 * t), of_b(2 * t + 8)};
  const int places[4] = {g * 8 + 2 * t, g * 8 + 2 * t + 1, (g + 8) * 8 + 2 * t, (g + 8) * 8 + 2 * t + 1};
  float d[4];
  for (int i = 0; i < 4; ++i) d[i] = x.load(384 + places[i]);
  mma_bfloat16(d, a, b);
  for (int i = 0; i < 4; ++i) y.store(places[i], d[i]);
}

// Row i of 32 rows of 8 numbers, n numbers apart in shared memory, is written by thread i. y: what a thread then has of four
// matrices, transposed if `how` is 1.
__global__ void matrices(In x, Out y, int how, int n) {
  const Shared<BFloat16> rows = shared<BFloat16>(0, 32 * n);
  for (int i = 0; i < 8; ++i) rows.store(thread() * n + i, x.load(thread() * 8 + i));
  sync();
  uint32_t words[4];
  if (how == 1)
    load_matrices_transposed(words, rows, thread() * n);
  else
    load_matrices(words, rows, thread() * n);
  for (int i = 0; i < 4; ++i) {
    y.store(thread() * 8 + 2 * i, as_float(words[i] << 16));
    y.store(thread() * 8 + 2 * i + 1, as_float(words[i] & 0xFFFF0000));
  }
}

// n products in a row without a load, for benchmarks.
__global__ void multiply_often(In, Out y, int, int n) {
  float d[4] = {};
  const uint32_t a[4] = {}, b[2] = {};
  for (int i = 0; i < n; ++i) mma_tf32(d, a, b);
  y.store(thread(), d[0]);
}

__global__ void round(In x, Out y, int, int) { y.store(thread(), as_float(tf32(x.load(thread())))); }

__global__ void round_to_bfloat16(In x, Out y, int, int) { y.store(thread(), BFloat16(x.load(thread()))); }

// Multiplies x, unrounded, by the unit matrix: what the tensor core reads of an operand.
__global__ void operands(In x, Out y, int, int) {
  const int g = lane() / 4, t = lane() % 4;
  uint32_t a[4] = {}, bits;
  const float value = x.load(lane());
  std::memcpy(&bits, &value, sizeof(bits));
  a[0] = bits;
  const uint32_t b[2] = {t == g ? tf32(1) : 0, t + 4 == g ? tf32(1) : 0};
  float d[4] = {};
  mma_tf32(d, a, b);
  if (t < 2) y.store(g * 4 + 2 * t, d[0]);
  if (t < 2) y.store(g * 4 + 2 * t + 1, d[1]);
}

__global__ void exchange(In x, Out y, int, int n) { y.store(thread(), shfl_xor(x.load(thread()), n)); }

// ---- counts ----

// Thread i reads word i * n, or as many as `how` says, 2 or 4, from there.
__global__ void banks(In, Out y, int how, int n) {
  const int i = thread() * n;
  y.store(thread(), how == 4 ? floats().load4(i).v[0] : how == 2 ? floats().load2(i).v[0] : floats().load(i));
}

// Thread i reads x[how + i * n].
__global__ void sectors(In x, Out, int how, int n) { x.load(how + thread() * n); }

// ---- order of threads, places in the grid ----

// Appends block and thread to y, whose first element counts; at the start, after n barriers of the warp, and of the block.
__global__ void append(In, Out y, int how, int n) {
  for (int i = 0; i < n; ++i) meet(how);
  const int64_t count = int64_t(y.load(0)) + 1;
  y.store(0, float(count));
  y.store(count, float(block_x() * threads() + thread()));
}

__global__ void places(In, Out y, int how, int) {
  const int64_t block = (block_z() * how + block_y()) * blocks_x() + block_x();  // how: blocks in y
  y.store(block * threads() + thread(), float(block_z() * 100 + block_y() * 10 + block_x() + 1000 * warp()));
}

// n barriers, for benchmarks.
__global__ void wait_often(In, Out, int how, int n) {
  for (int i = 0; i < n; ++i) meet(how);
}

__global__ void throws(In, Out, int, int) {
  if (thread() == 5) throw std::length_error("thrown by the kernel");
  sync();
}

using Kernel = void (*)(In, Out, int, int);
const std::map<std::string, Kernel> kKernels = {{"write_read", write_read},
                                                {"read_write", read_write},
                                                {"read_by_all", read_by_all},
                                                {"read_by_some", read_by_some},
                                                {"read_unwritten", read_unwritten},
                                                {"copy", copy},
                                                {"copy_in_stages", copy_in_stages},
                                                {"read_copy", read_copy},
                                                {"copy_write", copy_write},
                                                {"access", access},
                                                {"diverge", diverge},
                                                {"multiply", multiply},
                                                {"multiply_bfloat16", multiply_bfloat16},
                                                {"matrices", matrices},
                                                {"multiply_often", multiply_often},
                                                {"round", round},
                                                {"round_to_bfloat16", round_to_bfloat16},
                                                {"operands", operands},
                                                {"exchange", exchange},
                                                {"banks", banks},
                                                {"sectors", sectors},
                                                {"append", append},
                                                {"places", places},
                                                {"wait_often", wait_often},
                                                {"throws", throws}};

}  // namespace

void run_self_test(const std::string& kernel, const SelfTest& test) {
  const auto found = kKernels.find(kernel);
  if (found == kKernels.end()) fail("self_test", "the name of one of its kernels", kernel);
  launch(kernel.c_str(), found->second, test.grid, test.threads, test.shared_bytes, Stream(),
         global(test.x, test.x_count), global(test.y, test.y_count), test.how, test.n);
}

}  // namespace fastconv::emulator
