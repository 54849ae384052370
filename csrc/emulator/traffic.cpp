#include "emulator/traffic.h"

#include <algorithm>
#include <set>

#include "common/cuda_types.h"

namespace fastconv::emulator {
namespace {

constexpr int kBanks = 32, kWordBytes = 4, kSectorBytes = 32, kWavefrontBytes = kBanks * kWordBytes;

}  // namespace

void Traffic::add(int thread, Place place, int64_t address, int bytes, bool shared) {
  const Line line = {shared, place.file, place.line};
  const int n = times_[{line, thread}]++;
  instructions_[{line, thread / cuda::kWarp, n}].push_back({thread % cuda::kWarp, address, bytes});
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
    const int lanes = std::min(kWavefrontBytes / bytes, cuda::kWarp);
    for (int first = 0; first < cuda::kWarp; first += lanes) {
      std::set<int64_t> words[kBanks];
      for (const Access& a : accesses)
        for (int64_t at = a.address; a.lane / lanes == first / lanes && at < a.address + bytes; at += kWordBytes)
          words[at / kWordBytes % kBanks].insert(at / kWordBytes);
      size_t most = 0;
      for (const auto& bank : words) most = std::max(most, bank.size());
      counts.wavefronts += int64_t(most);
      counts.ideal_wavefronts += most > 0;
    }
  }
  clear();
}

void Traffic::clear() {
  instructions_.clear();
  times_.clear();
}

}  // namespace fastconv::emulator
