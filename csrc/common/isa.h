// Instruction sets: which were built, which this processor has, which one the kernels use.
#pragma once
#include <string>
#include <vector>

#if defined(__x86_64__) || defined(_M_X64)
#define FASTCONV_X86 1
#else
#define FASTCONV_X86 0
#endif

// Declares something once in the namespace of every instruction set that this build contains.
#if FASTCONV_X86
#define FASTCONV_FOR_EACH_ISA(M) M(scalar) M(avx2) M(avx512)
#elif defined(__aarch64__)
#define FASTCONV_FOR_EACH_ISA(M) M(scalar) M(neon)
#else
#define FASTCONV_FOR_EACH_ISA(M) M(scalar)
#endif

namespace fastconv {

enum class Isa { scalar, neon, avx2, avx512 };

std::vector<std::string> supported_isas();  // on this processor, slowest first
std::string isa_name();                     // the one in use
void set_isa(const std::string& name);      // throws std::invalid_argument if not supported here
Isa current_isa() noexcept;

// The chosen instruction set's version of a kernel: FASTCONV_PICK(conv2d_fprop_block)(...).
#if FASTCONV_X86
#define FASTCONV_PICK(kernel)                                             \
  (::fastconv::current_isa() == ::fastconv::Isa::avx512 ? &avx512::kernel \
   : ::fastconv::current_isa() == ::fastconv::Isa::avx2 ? &avx2::kernel   \
                                                        : &scalar::kernel)
#elif defined(__aarch64__)
#define FASTCONV_PICK(kernel) (::fastconv::current_isa() == ::fastconv::Isa::neon ? &neon::kernel : &scalar::kernel)
#else
#define FASTCONV_PICK(kernel) (&scalar::kernel)
#endif

}  // namespace fastconv
