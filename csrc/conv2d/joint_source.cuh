// The weight gradient of the convolution that made x, beside both gradients of the one that reads it (joint.cu).
//
// dx is the gradient of the normalized x. That of x itself, scale * dz + (x - mean) * slope + offset, is known with the
// last tile only, but the weight gradient is linear in it: with p the inputs that a pixel of x was made of,
//   scale * sum p (x) dz + slope * sum p (x) (x - mean) + offset * sum p.
// A tile adds to the three sums while it is in shared memory; finish_source puts them together in double.
// (conv2d/deferred_wgrad.h has sum p (x) p for the second: fewer products, but x lies at hand here.)
#pragma once
#include "conv2d/joint.cuh"

namespace fastconv::cuda::joint {

// An item is 16 entries of the filter by the tile's channels, twice: with dz and with x - mean. Warps share its pixels.
struct SourceItem {
  int first, part;  // entry; of the pixels
  bool exists;

  __device__ explicit SourceItem(const C& cut) {
    part = cut.source.by_items.quotient(warp());
    first = cut.source.by_items.remainder(warp(), part) * kMmaM;
    exists = part < cut.source.parts;
  }
};

constexpr int kSourceColumns = 2 * C::kChannels;

struct SourceSums {
  float d[1][kSourceColumns / kMmaN][4] = {};
  float p[2] = {};  // of entries group and group + 8
};

__device__ inline void copy_input(const Joint& a, const Tile& t) {
  const JointCut::Source& source = a.cut.source;
  for (int i = thread(); i < source.rows * source.pitch; i += C::kThreads) {
    const int row = source.by_pitch.quotient(i), at = source.by_pitch.remainder(i, row) - source.pad_row;
    const int h = t.row * source.stride_h - source.pad_h + row;
    const bool inside = h >= 0 && h < source.h && at >= 0 && at < source.row;
    cp_async1(t.input, i, a.input, (int64_t(t.image) * source.h + h) * source.row + at, inside);
  }
}

template <bool kHighest>
__device__ void add_source(const Joint& a, const Tile& t, const SourceItem& item, SourceSums& sums) {
  const C& cut = a.cut;
  const int group = lane() / 4, member = lane() % 4;
  const float means[2] = {t.norms.load(group).mean, t.norms.load(group + 8).mean};
  int offsets[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int entry = item.first + group + 8 * i, row = cut.source.by_run.quotient(entry);
    offsets[i] = entry < cut.source.entries ? row * cut.source.pitch + cut.source.by_run.remainder(entry, row) : -1;
  }
  for (int slot = item.part * C::kMmaK; slot < cut.slots(); slot += cut.source.parts * C::kMmaK) {
    Fragment<4> p[1];
    Fragment<2> of_x[kSourceColumns / kMmaN];
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int mine = slot + member + e * 4, input = t.inputs.load(mine);
      const bool inside = t.places.load(mine) >= 0;
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const float x = inside && offsets[i] >= 0 ? t.input.load(input + offsets[i]) : 0.0f;
        p[0].template set<kHighest>(2 * e + i, x);
        sums.p[i] += kHighest ? x : as_float(p[0].big[2 * e + i]);  // the same p in all three sums
      }
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int at = mine * C::kPitchX + group + j * 8;
        of_x[j].template set<kHighest>(e, t.dz.load(at));
        of_x[2 + j].template set<kHighest>(e, t.x.load(at) - means[j]);
      }
    }
    add_products<kHighest>(p, of_x, sums.d);
  }
}

// Where the warps' sums meet; those of p are column kSourceColumns.
constexpr int kSourcePitch = kSourceColumns + 8, kSourceFloats = kMmaM * kSourcePitch;

// A block's sums: of its channels [entries][2][channels], and in the first slice those of p.
__host__ __device__ inline int64_t source_floats(const C& cut) { return cut.source.entries * (2 * int64_t(cut.c) + 1); }

__device__ inline void write_source(const Joint& a, const Tile& t, const SourceSums& sums, int64_t block,
                                    Shared<float> all) {
  const C& cut = a.cut;
  const int group = lane() / 4, member = lane() % 4, entries = cut.source.entries;
  const Shared<float> mine = all.from(warp() * kSourceFloats, kSourceFloats);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int j = 0; j < kSourceColumns / kMmaN; ++j)
      mine.store2((group + 8 * i) * kSourcePitch + j * 8 + 2 * member,
                  {{sums.d[0][j][2 * i], sums.d[0][j][2 * i + 1]}});
    float p = sums.p[i];
    p += shfl_xor(p, 1);
    p += shfl_xor(p, 2);
    if (member == 0) mine.store((group + 8 * i) * kSourcePitch + kSourceColumns, p);
  }
  sync();
  const auto sum_of = [&](int entry, int column) {
    float sum = 0.0f;
    for (int part = 0; part < cut.source.parts; ++part)
      sum += all.load((part * int(cut.source.by_items.d) + entry / kMmaM) * kSourceFloats +
                      entry % kMmaM * kSourcePitch + column);
    return sum;
  };
  const int64_t at = block * source_floats(cut);
  for (int i = thread(); i < entries * kSourceColumns; i += C::kThreads) {
    const int entry = i / kSourceColumns, column = i % kSourceColumns, c = t.first_c + column % C::kChannels;
    if (c < cut.c) a.source.store(at + (2 * entry + column / C::kChannels) * int64_t(cut.c) + c, sum_of(entry, column));
  }
  if (t.first_c == 0 && thread() < entries)
    a.source.store(at + 2 * int64_t(entries) * cut.c + thread(), sum_of(thread(), kSourceColumns));
}

}  // namespace fastconv::cuda::joint
