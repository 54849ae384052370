// Both gradients of a convolution in one kernel, so that dy is made once: a block holds a tile (joint_cut.cuh) in shared
// memory and goes on to the next with the sums of dw in its registers. Its warps have items of dgrad, wgrad and, with a
// source, of the weight gradient before; no item waits for another but those.
#include "conv2d/backward.cuh"
#include "conv2d/joint_source.cuh"
#include "conv2d/splits.cuh"

namespace fastconv::cuda {
namespace {

using joint::C, joint::Tile, joint::WgradItem;

// Adds the lanes of a channel, for write_norm_sums to add the warps after a barrier.
__device__ void store_norm_sums(const joint::NormSums& sums, Shared<float> warps) {
#pragma unroll
  for (int v = 0; v < 4; ++v) {
    const int own = v / 2 * 8 + 2 * (lane() % 4) + v % 2;
    float dz = sums.dz[v / 2][v % 2], moment = sums.moment[v / 2][v % 2];
#pragma unroll
    for (int mask = 4; mask < kWarp; mask *= 2) {
      dz += shfl_xor(dz, mask);
      moment += shfl_xor(moment, mask);
    }
    if (lane() >= 4) continue;
    warps.store(2 * warp() * C::kChannels + own, dz);
    warps.store((2 * warp() + 1) * C::kChannels + own, moment);
  }
}

__device__ void write_norm_sums(const Joint& a, const Tile& t, int64_t tile, Shared<float> warps) {
  const int which = thread() / C::kChannels, own = thread() % C::kChannels, c = t.first_c + own;
  if (which >= 2 || c >= a.cut.c) return;
  float sum = 0.0f;
  for (int other = 0; other < C::kWarps; ++other) sum += warps.load((2 * other + which) * C::kChannels + own);
  a.sums.store((2 * tile + which) * a.cut.c + c, sum);
}

__device__ void write_db(const Joint& a, float sum, int64_t block, Shared<float> all) {
  all.store(thread(), sum);
  sync();
  if (thread() >= a.cut.k) return;
  for (int other = thread() + a.cut.filters; other < C::kThreads; other += a.cut.filters) sum += all.load(other);
  a.db.store(block * a.dw_floats + thread(), sum);
}

__device__ void write_dw(const Joint& a, const Tile& t, const WgradItem& item, const joint::WgradSums& sums,
                         int64_t block) {
  const C& cut = a.cut;
#pragma unroll
  for (int j = 0; j < C::kFilters / kMmaN; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int c = t.first_c + lane() / 4 + e / 2 * 8, k = item.first_k + j * 8 + lane() % 4 * 2 + e % 2;
      const int64_t entry = int64_t(cut.tap[item.tap].entry) * cut.c + c;
      if (c < cut.c && k < cut.k) a.dw.store(block * a.dw_floats + entry * cut.k + k, sums[0][j][e]);
    }
}

template <bool kHighest, bool kSource>
__global__ void __launch_bounds__(C::kThreads, 2) joint_kernel(Joint a) {
  const C& cut = a.cut;
  const int block = cut.by_slices.quotient(int(block_x()));
  Tile t = Tile::make<kSource>(cut);
  t.first_c = cut.by_slices.remainder(int(block_x()), block) * C::kChannels;
  if (thread() < C::kChannels) {
    const bool normalized = a.x_norm.given && t.first_c + thread() < cut.c;
    t.norms.store(thread(),
                  normalized ? channel_norm(a.x_norm, t.first_c + thread()) : ChannelNorm{0.0f, 1.0f, 0.0f, 1.0f});
  }
  joint::copy_w(a, t);

  joint::WgradSums dw[C::kItems] = {};
  float db = 0.0f;
  joint::SourceSums source;
  for (int tile = block; tile < cut.tiles; tile += cut.blocks) {
    t.image = cut.by_bands.quotient(tile);
    t.row = cut.by_bands.remainder(tile, t.image) * cut.rows * cut.stride_h;
    joint::copy_x<kSource>(a, t);
    if constexpr (kSource) joint::copy_input(a, t);
    joint::copy_dy(a, t);
    cp_async_commit();
    if (a.load.given()) joint::make_dy<kSource ? 1 : 2>(a, t);
    cp_async_wait<0>();
    sync();
    joint::NormSums norm_sums;
    joint::dgrad<kHighest, kSource>(a, t, norm_sums);
    if (a.sums) store_norm_sums(norm_sums, t.norm_sums);
#pragma unroll
    for (int i = 0; i < C::kItems; ++i)
      if (WgradItem::exists(cut, WgradItem::number(i)))
        joint::wgrad<kHighest>(a, t, WgradItem(cut, WgradItem::number(i)), dw[i]);
    if (a.db && t.first_c == 0) db += joint::sum_dy(cut, t);
    sync();
    if (a.sums) write_norm_sums(a, t, tile, t.norm_sums);
    if constexpr (kSource) {
      const joint::SourceItem item(cut);
      if (item.exists) joint::add_source<kHighest>(a, t, item, source);
      sync();
    }
  }
#pragma unroll
  for (int i = 0; i < C::kItems; ++i)
    if (WgradItem::exists(cut, WgradItem::number(i)))
      write_dw(a, t, WgradItem(cut, WgradItem::number(i)), dw[i], block);
  // The tile's memory is free: each sum has a part of its own.
  const auto part = [](int first, int count) { return shared<float>(first * int(sizeof(float)), count); };
  if (a.db && t.first_c == 0) write_db(a, db, block, part(0, C::kThreads));
  if constexpr (kSource) joint::write_source(a, t, source, block, part(C::kThreads, C::kWarps * joint::kSourceFloats));
}

// What the workspace begins with, in floats.
struct Layout {
  int64_t dw, sums, source, all;

  Layout(const Conv2DGeometry& g, const C& cut)
      : dw(0),
        sums(cut.blocks * (g.r * g.s * g.c + 1) * g.k),
        source(sums + cut.tiles * 2 * g.c),
        all(source + cut.blocks * joint::source_floats(cut)) {}
};

}  // namespace

bool joint_fits(const Conv2DGeometry& g, const Conv2DGeometry* source) { return joint_cut(g, source).has_value(); }

size_t joint_workspace_bytes(const Conv2DGeometry& g, const Conv2DGeometry* source) {
  return sizeof(float) * Layout(g, *joint_cut(g, source)).all;
}

void joint_backward(const Conv2DGeometry& g, const Conv2DBackward& a, Precision precision, float* workspace,
                    void* stream) {
  check_limits(g);
  const Conv2DSource* source = a.x_source;
  const C cut = *joint_cut(g, source ? &source->geometry : nullptr);
  const Layout at(g, cut);
  const int64_t blocks = cut.blocks, pixels = g.n * g.h * g.w, dw_floats = g.r * g.s * g.c * g.k;
  const int64_t db_floats = a.db ? g.k : 0, split_floats = dw_floats + db_floats;
  const int64_t input_floats = source ? g.n * source->geometry.h * source->geometry.w * source->geometry.c : 0;
  const Joint arguments = {cut,
                           global(a.dy, g.n * g.p * g.q * g.k),
                           global(a.x.data, pixels * g.c),
                           global(a.w, dw_floats),
                           global(source ? source->x : nullptr, input_floats),
                           global(a.dx, pixels * g.c),
                           global(workspace + at.dw, blocks * split_floats),
                           global(a.db ? workspace + at.dw + dw_floats : nullptr, blocks * split_floats - dw_floats),
                           global(a.x_gradients ? workspace + at.sums : nullptr, 2 * cut.tiles * g.c),
                           global(source ? workspace + at.source : nullptr, blocks * joint::source_floats(cut)),
                           split_floats,
                           gradient_of(g, a),
                           norm(a.x.norm, g.c),
                           in_fours(g) && on_vectors(a.x.data, a.dy, a.w, a.y_norm ? a.y : nullptr)};
  const auto run = [&](auto highest, auto with_source) {
    launch("conv2d_backward", joint_kernel<highest, with_source>, {blocks * cut.slices}, C::kThreads, cut.bytes(),
           Stream(stream), arguments);
  };
  const auto with = [&](auto highest) { source ? run(highest, std::true_type()) : run(highest, std::false_type()); };
  precision == Precision::highest ? with(std::true_type()) : with(std::false_type());
  add_partials("conv2d_backward_add", {workspace + at.dw, blocks, dw_floats, db_floats}, nullptr, 1, a.dw, a.db,
               stream);
  if (a.x_gradients)
    batchnorm_finish_gradients(workspace + at.sums, cut.tiles, pixels, g.c, a.x.norm->rstd, a.x.norm->gamma,
                               *a.x_gradients, stream);
  if (source)
    finish_source({workspace + at.source, blocks, cut.source.entries, g.c}, *a.x.norm, *a.x_gradients, source->dw,
                  stream);
}

}  // namespace fastconv::cuda
