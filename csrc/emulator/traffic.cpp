#include "emulator/traffic.h"

#include <algorithm>
#include <set>

#include "common/cuda_types.h"

namespace fastconv::emulator {
namespace {

constexpr int kBanks = 32, kWordBytes = 4, kSectorBytes = 32, kWavefrontBytes = kBanks * kWordBytes;

}  // namespace

void Traffic::add(int thread, Place place, int64_t address, int bytes, bool shared) {
  if (!on) return;
  const Line line = {shared, place.file, place.line};
  const int n = times_[{line, thread}]++;
  instructions_[{line, thread / cuda::kWarp, n}].push_back({address, bytes});
}

void Traffic::flush(Counts& counts) {
  for (const auto& [key, accesses] : instructions_) {
    const int bytes = accesses[0].bytes;
    if (!std::get<0>(std::get<0>(key))) {
      std::set<int64_t> sectors;
      for (const Access& a : accesses)
        for (int64_t s = a.address / kSectorBytes; s <= (a.address + a.bytes - 1) / kSectorBytes; ++s)
          sectors.insert(s);
      counts.sectors += int64_t(sectors.size());
      counts.ideal_sectors += (int64_t(accesses.size()) * bytes + kSectorBytes - 1) / kSectorBytes;
      continue;
    }
    const size_t lanes = size_t(std::max(kWavefrontBytes / bytes, 1));
    for (size_t first = 0; first < accesses.size(); first += lanes) {
      std::set<int64_t> words[kBanks];
      for (size_t i = first; i < std::min(first + lanes, accesses.size()); ++i)
        for (int64_t at = accesses[i].address; at < accesses[i].address + bytes; at += kWordBytes)
          words[at / kWordBytes % kBanks].insert(at / kWordBytes);
      size_t most = 1;
      for (const auto& bank : words) most = std::max(most, bank.size());
      counts.wavefronts += int64_t(most);
      counts.ideal_wavefronts += 1;
    }
  }
  instructions_.clear();
  times_.clear();
}

}  // namespace fastconv::emulator
