// The two gradients of a tile, and that of the convolution before, in one kernel: what a warp does of them (joint.cu).
//
// Fragments read 8 pixels of 4 numbers in dgrad, and 4 pixels of 8 in wgrad. Both meet every bank of dy once, whose pixels
// lie side by side in multiples of 32 numbers: `swizzle` differs in multiples of 4 among any 8 neighbours, in multiples of 8
// among any 4. x is read 4 pixels of 8 channels at a time, w 8 channels of 4 filters.
#pragma once
#include "conv2d/gemm.cuh"
#include "conv2d/joint_cut.cuh"
#include "conv2d/operands.cuh"

namespace fastconv::cuda {

struct Joint {
  JointCut cut;
  Global<const float> dy, x, w, input;
  Global<float> dx, dw, db, sums, source;  // all but dx of each block
  int64_t dw_floats;                       // from the dw, and the db, of a block to the next
  Gradient<float> load;
  Norm x_norm;
  bool vectors;  // four channels of x, and of y, are a vector
};

namespace joint {

using C = JointCut;

__device__ inline int swizzle(int pixel) { return (pixel << 3 & 24) | (pixel & 4); }

// A tile of a block, and its shared memory.
struct Tile {
  int image, row, first_c;  // row: of x, the first
  Shared<float> dy, w, x, norm_sums, dz, input;
  Shared<ChannelNorm> norms;
  Shared<int> places, inputs;

  template <bool kSource>
  static __device__ Tile make(const C& cut) {
    const auto floats = [](int first, int end) { return shared<float>(first * int(sizeof(float)), end - first); };
    const auto ints = [](int first, int count) { return shared<int>(first * int(sizeof(float)), count); };
    Tile t = {};
    t.dy = floats(0, cut.w_at());
    t.w = floats(cut.w_at(), cut.x_at());
    t.x = floats(cut.x_at(), cut.norms_at());
    t.norms = shared<ChannelNorm>(cut.norms_at() * int(sizeof(float)), C::kChannels);
    t.norm_sums = floats(cut.sums_at(), cut.places_at());
    t.places = ints(cut.places_at(), cut.slots());
    if constexpr (kSource) {
      t.dz = floats(cut.dz_at(), cut.inputs_at());
      t.inputs = ints(cut.inputs_at(), cut.slots());
      t.input = floats(cut.input_at(), cut.input_at() + cut.source.rows * cut.source.pitch);
    }
    return t;
  }
};

// Four numbers, or fewer of which the rest is 0.
__device__ inline void copy_four(Shared<float> to, int i, Global<const float> from, int64_t j, int count, bool vector) {
  if (vector) {
    cp_async4(to, i, from, j, count > 0);
  } else {
#pragma unroll
    for (int v = 0; v < 4; ++v) cp_async1(to, i + v, from, j + v, v < count);
  }
}

__device__ inline Float4 load_four(Global<const float> from, int64_t j, int count, bool vector) {
  if (vector && count > 0) return from.load4(j);
  Float4 x = {};
#pragma unroll
  for (int v = 0; v < 4; ++v)
    if (v < count) x.v[v] = from.load(j + v);
  return x;
}

// The filter's entries of the block's channels, one tap after the other.
__device__ inline void copy_w(const Joint& a, const Tile& t) {
  const C& cut = a.cut;
  const int vectors = cut.filters / 4, k = thread() % vectors * 4;
  for (int row = thread() / vectors; row < cut.taps * C::kChannels; row += C::kThreads / vectors) {
    const int c = t.first_c + row % C::kChannels, left = c < cut.c ? cut.k - k : 0;
    const int64_t at = (int64_t(row / C::kChannels) * cut.c + c) * cut.k + k;
    copy_four(t.w, row * cut.pitch_w() + k, a.w, at, left, a.vectors);
  }
}

// x as it lies, and the places of its pixels in dy; -1 stands for a pixel that is none.
template <bool kSource>
__device__ void copy_x(const Joint& a, const Tile& t) {
  const C& cut = a.cut;
  const int c = thread() % 4 * 4;
  for (int i = thread() / 4; i < cut.slots(); i += C::kThreads / 4) {
    const int slot = (i & ~3) | (i & 1) << 1 | (i >> 1 & 1);  // 8 threads store two pixels at once: 2 * kPitchX apart
    const int phase = cut.by_pixels.quotient(slot), pixel = cut.by_pixels.remainder(slot, phase);
    const int phase_h = cut.by_phases_w.quotient(phase), phase_w = cut.by_phases_w.remainder(phase, phase_h);
    const int row = cut.by_columns.quotient(pixel), column = cut.by_columns.remainder(pixel, row);
    const int h = phase_h + row * cut.stride_h, w = phase_w + column * cut.stride_w;
    const bool inside = row < cut.rows && t.row + h < cut.h && w < cut.w;
    const int64_t at = ((int64_t(t.image) * cut.h + t.row + h) * cut.w + w) * cut.c + t.first_c + c;
    copy_four(t.x, slot * C::kPitchX + c, a.x, at, inside ? cut.c - t.first_c - c : 0, a.vectors);
    if (c > 0) continue;
    t.places.store(slot, inside ? row * cut.outputs_w + column : -1);
    if constexpr (kSource)
      t.inputs.store(slot, inside ? h * cut.source.stride_h * cut.source.pitch + w * cut.source.stride_row : 0);
  }
}

// A thread's numbers of dy: four filters of every pixel in a row of threads.
struct Outputs {
  int k, first, step;  // pixels
  int row;             // of dy, the tile's first

  __device__ Outputs(const C& cut, const Tile& t) {
    const int vectors = cut.filters / 4;
    k = thread() % vectors * 4;
    first = thread() / vectors;
    step = C::kThreads / vectors;
    row = t.row / cut.stride_h + cut.first_h;
  }

  // Where a pixel's lie in dy, and how many are not zeros.
  __device__ int find(const C& cut, const Tile& t, int pixel, int64_t& at) const {
    const int i = cut.by_outputs_w.quotient(pixel), h = row + i;
    const int w = cut.first_w + cut.by_outputs_w.remainder(pixel, i);
    at = ((int64_t(t.image) * cut.p + h) * cut.q + w) * cut.k + k;
    return pixel < cut.outputs && h >= 0 && h < cut.p && w >= 0 && w < cut.q ? cut.k - k : 0;
  }
  __device__ int place(const C& cut, int pixel) const { return pixel * cut.filters + (k ^ swizzle(pixel)); }
};

// dy as it lies, and after it a pixel of zeros.
__device__ inline void copy_dy(const Joint& a, const Tile& t) {
  const Outputs mine(a.cut, t);
  for (int pixel = mine.first; pixel <= a.cut.outputs; pixel += mine.step) {
    int64_t at;
    const int left = mine.find(a.cut, t, pixel, at);
    copy_four(t.dy, mine.place(a.cut, pixel), a.dy, at, left, a.vectors);
  }
}

// The gradient of y of what the thread copied, after it waited; y is loaded kBatch pixels at once.
template <int kBatch>
__device__ void make_dy(const Joint& a, const Tile& t) {
  const Outputs mine(a.cut, t);
  Gradient<float>::Channel channels[4] = {};
#pragma unroll
  for (int v = 0; v < 4; ++v)
    if (mine.k + v < a.cut.k) channels[v] = a.load.channel(mine.k + v);
  for (int first = mine.first; first < a.cut.outputs; first += kBatch * mine.step) {
    Float4 y[kBatch];
    int left[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      int64_t at;
      left[i] = mine.find(a.cut, t, first + i * mine.step, at);
      y[i] = load_four(a.load.second, at, left[i], a.vectors);
    }
    if (first == mine.first) cp_async_wait<0>();
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (left[i] <= 0) continue;
      const int place = mine.place(a.cut, first + i * mine.step);
      Float4 dy = t.dy.load4(place);
#pragma unroll
      for (int v = 0; v < 4; ++v) dy.v[v] = v < left[i] ? channels[v].make(dy.v[v], y[i].v[v]) : 0.0f;
      t.dy.store4(place, dy);
    }
  }
}

// The sums of dz and dz * (x - mean) over pixels, of the channels 8 * j + 2 * member + v.
struct NormSums {
  float dz[2][2] = {}, moment[2][2] = {};
};

// dx, kPixels of a phase at a time. With a source, dz stays in shared memory and dx is stored nowhere.
template <bool kHighest, bool kSource>
__device__ void dgrad(const Joint& a, const Tile& t, NormSums& sums) {
  const C& cut = a.cut;
  const int group = lane() / 4, member = lane() % 4, parts = cut.pixels / C::kPixels;
  for (int item = warp(); item < cut.phases * parts; item += C::kWarps) {
    const int slot = item * C::kPixels, phase = cut.by_pixels.quotient(slot);
    const int places[2] = {t.places.load(slot + group), t.places.load(slot + group + 8)};
    float d[1][2][4] = {};
    for (int i = cut.first_tap[phase]; i < cut.first_tap[phase + 1]; ++i) {
      int at[2], turn[2];
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int pixel = places[e] < 0 ? cut.outputs : places[e] + cut.tap[i].offset;
        at[e] = pixel * cut.filters + member;
        turn[e] = swizzle(pixel);
      }
      const int of_w = (cut.tap[i].entry * C::kChannels + group) * cut.pitch_w() + member;
      for (int k = 0; k < cut.k; k += C::kMmaK) {
        Fragment<4> dy[1];
        Fragment<2> w[2];
#pragma unroll
        for (int e = 0; e < 4; ++e)
          dy[0].template set<kHighest>(e, t.dy.load(at[e % 2] + ((k + e / 2 * 4) ^ turn[e % 2])));
#pragma unroll
        for (int j = 0; j < 2; ++j)
#pragma unroll
          for (int e = 0; e < 2; ++e)
            w[j].template set<kHighest>(e, t.w.load(of_w + j * 8 * cut.pitch_w() + k + e * 4));
        add_products<kHighest>(dy, w, d);
      }
    }
    const int phase_h = cut.by_phases_w.quotient(phase), phase_w = cut.by_phases_w.remainder(phase, phase_h);
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int mine = slot + group + 8 * e, pixel = mine - phase * cut.pixels;
      const int i = cut.by_columns.quotient(pixel), j = cut.by_columns.remainder(pixel, i);
      const int64_t h = t.row + phase_h + i * cut.stride_h, w = phase_w + j * cut.stride_w;
      const int64_t at = ((t.image * int64_t(cut.h) + h) * cut.w + w) * cut.c;
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int own = j * 8 + 2 * member, c = t.first_c + own;
        const Float2 dx = {{d[0][j][2 * e], d[0][j][2 * e + 1]}};
        if constexpr (!kSource) {
#pragma unroll
          for (int v = 0; v < 2; ++v)
            if (places[e] >= 0 && c + v < cut.c) a.dx.store(at + c + v, dx.v[v]);
        }
        if (!a.sums) continue;
        const Float2 x = t.x.load2(mine * C::kPitchX + own);
        Float2 dz;
#pragma unroll
        for (int v = 0; v < 2; ++v) {
          const ChannelNorm norm = t.norms.load(own + v);
          dz.v[v] = places[e] < 0 ? 0.0f : norm.gradient_z(dx.v[v], x.v[v]);
          sums.dz[j][v] += dz.v[v];
          sums.moment[j][v] = fmaf(dz.v[v], x.v[v] - norm.mean, sums.moment[j][v]);
        }
        if constexpr (kSource) t.dz.store2(mine * C::kPitchX + own, dz);
      }
    }
  }
}

// An item of wgrad: the channels by kFilters filters of a tap. Warps that have less of dgrad come first.
struct WgradItem {
  int tap, first_k;

  static __device__ bool exists(const C& cut, int number) { return number < cut.taps * (cut.filters / C::kFilters); }
  __device__ WgradItem(const C& cut, int number)
      : tap(cut.by_chunks.quotient(number)), first_k(cut.by_chunks.remainder(number, tap) * C::kFilters) {}
  static __device__ int number(int i) { return i * C::kWarps + C::kWarps - 1 - warp(); }
};

using WgradSums = float[1][C::kFilters / kMmaN][4];

template <bool kHighest>
__device__ void wgrad(const Joint& a, const Tile& t, const WgradItem& item, WgradSums& sums) {
  const C& cut = a.cut;
  const int group = lane() / 4, member = lane() % 4;
  const ChannelNorm norms[2] = {t.norms.load(group), t.norms.load(group + 8)};
  const int first = cut.tap[item.tap].phase * cut.pixels, offset = cut.tap[item.tap].offset;
  for (int slot = first; slot < first + cut.pixels; slot += C::kMmaK) {
    Fragment<4> x[1];
    Fragment<2> dy[C::kFilters / kMmaN];
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int mine = slot + member + e * 4, place = t.places.load(mine);
      const int pixel = place < 0 ? cut.outputs : place + offset, at = pixel * cut.filters, turn = swizzle(pixel);
#pragma unroll
      for (int i = 0; i < 2; ++i)
        x[0].template set<kHighest>(2 * e + i, norms[i].apply(t.x.load(mine * C::kPitchX + group + i * 8)));
#pragma unroll
      for (int j = 0; j < C::kFilters / kMmaN; ++j)
        dy[j].template set<kHighest>(e, t.dy.load(at + ((item.first_k + j * 8 + group) ^ turn)));
    }
    add_products<kHighest>(x, dy, sums);
  }
}

// The thread's part of the sum over dy of filter thread() % cut.filters; of rows that the band before has not.
__device__ inline float sum_dy(const C& cut, const Tile& t) {
  const int k = thread() % cut.filters;
  float sum = 0.0f;
  for (int pixel = (t.row > 0 ? cut.more_h * cut.outputs_w : 0) + thread() / cut.filters; pixel < cut.outputs;
       pixel += C::kThreads / cut.filters)
    sum += t.dy.load(pixel * cut.filters + (k ^ swizzle(pixel)));
  return sum;
}

}  // namespace joint
}  // namespace fastconv::cuda
